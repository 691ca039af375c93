{# One row per exchange, symbol, bar length and bar start in which there was a trade. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'bar_seconds', 'ts_open'],
    closed_by='trades',
    time_column='ts_open',
) }}

with

trades as (

    select
        exchange,
        symbol,
        date,
        ts_event,
        trade_seq,
        price,
        size,
        side,
        coalesce(last_id - first_id + 1, 1) as match_count,
        {{ exact_notional('price', 'size') }} as notional
    from {{ lake_ref('trades') }}
    where price > 0 and size > 0  -- Binance prints others, and leaves them out of its candles

),

bar_lengths as (

    select
        unnest({{ bar_lengths() }}) as bar_seconds,
        cast(bar_seconds as bigint) * 1000000 as bar_us

),

bucketed as (

    select
        trades.*,
        bar_lengths.bar_seconds,
        bar_lengths.bar_us,
        epoch_us(ts_event) - epoch_us(ts_event) % bar_us as open_us
    from trades
    cross join bar_lengths

),

bars as (

    select
        exchange,
        date,
        symbol,
        bar_seconds,
        open_us,
        open_us + bar_us as close_us,
        min_by(price, trade_seq) as open,
        max(price) as high,
        min(price) as low,
        max_by(price, trade_seq) as close,
        sum(size) as volume,
        sum(if(side = 'buy', size, 0)) as buy_volume,
        sum(if(side = 'sell', size, 0)) as sell_volume,
        sum(notional) as notional,
        sum(if(side = 'buy', notional, 0)) as buy_notional,
        sum(if(side = 'sell', notional, 0)) as sell_notional,
        count(*) as trade_count,
        cast(sum(match_count) as bigint) as match_count,
        max(epoch_us(ts_event)) as last_trade_us
    from bucketed
    group by exchange, date, symbol, bar_seconds, bar_us, open_us

),

time_bars as (

    select
        exchange,
        date,
        symbol,
        bar_seconds,
        make_timestamptz(open_us) as ts_open,
        make_timestamptz(close_us) as ts_close,
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
        cast(notional as double) / cast(volume as double) as vwap,
        trade_count,
        match_count,
        {# The data say when a bar is over, not the clock: a later trade, or a later day. #}
        max(last_trade_us) over (partition by exchange, date, symbol, bar_seconds)
        >= close_us
        or {{ lake_is_closed('exchange') }} as is_complete
    from bars

)

select * from time_bars
