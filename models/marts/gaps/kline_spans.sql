{# One row per symbol, interval and month with candles: where they begin and end. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'month'],
    order_by=['symbol', 'interval'],
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

kline_spans as (

    select
        exchange,
        month,
        symbol,
        interval,
        min(open_time) as first_open,
        max(open_time) as last_open,
        max(end_time) as last_end,
        max_by(length_seconds, open_time) as length_seconds
    from klines
    group by exchange, month, symbol, interval

)

select * from kline_spans
