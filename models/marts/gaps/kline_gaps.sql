{# One row per hole in the candles of a symbol, interval and month. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'month'],
    order_by=['symbol', 'interval', 'gap_seq'],
    time_column=none,
) }}

with

klines as (

    select
        exchange,
        month,
        symbol,
        interval,
        open_time,
        {{ kline_seconds() }} as length_seconds,
        coalesce(close_time, open_time + to_seconds(length_seconds)) as end_time
    from {{ lake_ref('klines') }}

),

spans as (

    select exchange, month, symbol, interval, is_sparse
    from {{ lake_ref('kline_spans') }}

),

followed as (

    select
        exchange,
        month,
        symbol,
        interval,
        lead(open_time) over (
            partition by exchange, month, symbol, interval order by open_time
        ) as ts_to,
        {# A candle may claim an end after the next one starts. #}
        least(end_time, ts_to) as ts_from,
        round({{ seconds_between('open_time', 'ts_to') }} / length_seconds - 1) as missing_count
    from klines

),

kline_gaps as (

    select
        exchange,
        month,
        symbol,
        interval,
        row_number() over (
            partition by exchange, month, symbol, interval order by ts_to
        ) as gap_seq,
        ts_from,
        ts_to,
        cast(missing_count as bigint) as missing_count
    from followed
    inner join spans using (exchange, month, symbol, interval)
    where missing_count > 0 and {{ is_gap_in_klines('is_sparse', 'ts_from', 'ts_to') }}

)

select * from kline_gaps
