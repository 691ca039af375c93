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
        close_time,
        {# A candle is written to end one tick of the exchange's clock early, 1 ms or 1 us. #}
        round({{ seconds_between('open_time', 'close_time') }}) as length_seconds
    from {{ lake_ref('klines') }}

),

followed as (

    select
        exchange,
        month,
        symbol,
        interval,
        close_time as ts_from,
        lead(open_time) over (
            partition by exchange, month, symbol, interval order by open_time
        ) as ts_to,
        {{ seconds_between('open_time', 'ts_to') }} / length_seconds - 1 as missing_count
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
    where missing_count > 0

)

select * from kline_gaps
