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
        volume,
        {{ kline_seconds() }} as length_seconds,
        coalesce(close_time, open_time + to_seconds(length_seconds)) as end_time
    from {{ lake_ref('klines') }}

),

compared as (

    select
        *,
        lag(open_time) over (
            partition by exchange, month, symbol, interval order by open_time
        ) as previous_open
    from klines

),

spans as (

    select
        exchange,
        month,
        symbol,
        interval,
        min(open_time) as first_open,
        max(open_time) as last_open,
        max(end_time) as last_end,
        max_by(length_seconds, open_time) as length_seconds,
        count(*) as candle_count,
        count(*) filter (where volume > 0) as traded_count,
        count(*) filter (
            where {{ seconds_between('previous_open', 'open_time') }} > 1.5 * length_seconds
        ) as hole_count
    from compared
    group by exchange, month, symbol, interval

),

kline_spans as (

    select
        exchange,
        month,
        symbol,
        interval,
        first_open,
        last_open,
        last_end,
        length_seconds,
        {# A few holes are no habit, and who ever writes a candle of volume 0 leaves none out. #}
        traded_count = candle_count
        and hole_count >= 3
        and hole_count * 100 > candle_count as is_sparse
    from spans

)

select * from kline_spans
