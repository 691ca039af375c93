{# One row per exchange, symbol, bar length and bar start from the first trade to the last bar. #}
{{ config(materialized='view') }}

with

bars as (

    select
        exchange,
        symbol,
        bar_seconds,
        cast(bar_seconds as bigint) * 1000000 as bar_us,
        ts_open,
        ts_available,
        open,
        high,
        low,
        close,
        volume,
        buy_volume,
        sell_volume,
        notional,
        buy_notional,
        sell_notional,
        vwap,
        trade_count,
        match_count,
        is_complete
    from {{ ref('time_bars') }}

),

{# In the place of bars without a trade, once it is known: the last close, up to the next bar. #}
followed as (

    select
        * exclude (ts_available),
        last_value(close ignore nulls) over so_far as last_close,
        max(bars.ts_available) over so_far as ts_available,
        epoch_us(ts_open) as open_us,
        coalesce(lead(open_us) over so_far, open_us + bar_us) as next_us
    from bars
    window so_far as (
        partition by exchange, symbol, bar_seconds
        order by ts_open
        rows between unbounded preceding and current row
    )

),

calendar as (

    select
        *,
        unnest(range(open_us, next_us, bar_us)) as start_us,
        start_us > open_us or trade_count = 0 as is_filled
    from followed
    where last_close is not null

),

time_bars_filled as (

    select
        exchange,
        cast(make_timestamp(start_us) as date) as date,
        symbol,
        bar_seconds,
        make_timestamptz(start_us) as ts_open,
        make_timestamptz(start_us + bar_us) as ts_close,
        greatest(ts_available, make_timestamptz(start_us + bar_us)) as ts_available,
        if(is_filled, last_close, open) as open,
        if(is_filled, last_close, high) as high,
        if(is_filled, last_close, low) as low,
        last_close as close,
        if(is_filled, 0, volume) as volume,
        if(is_filled, 0, buy_volume) as buy_volume,
        if(is_filled, 0, sell_volume) as sell_volume,
        if(is_filled, 0, notional) as notional,
        if(is_filled, 0, buy_notional) as buy_notional,
        if(is_filled, 0, sell_notional) as sell_notional,
        if(is_filled, null, vwap) as vwap,
        if(is_filled, 0, trade_count) as trade_count,
        if(is_filled, 0, match_count) as match_count,
        start_us > open_us or is_complete as is_complete,
        is_filled
    from calendar

)

select * from time_bars_filled
