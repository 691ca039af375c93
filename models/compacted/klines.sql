{# One row per candle that the exchange published: symbol, interval and start. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'interval', 'month'],
    order_by=['open_time'],
    time_column='open_time',
) }}

with

raw_klines as (

    select *
    from {{ lake_source('raw', 'klines') }}

),

{# First arrival wins. #}
klines as (

    select
        exchange,
        symbol,
        interval,
        month,
        open_time,
        close_time,
        open,
        high,
        low,
        close,
        volume,
        quote_volume,
        count,
        taker_buy_volume,
        taker_buy_quote_volume,
        ignore,
        extra
    from raw_klines
    qualify
        row_number() over (
            partition by exchange, symbol, interval, month, open_time
            order by segment, segment_row
        ) = 1

)

select * from klines
