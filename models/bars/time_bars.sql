{# One row per exchange, symbol, bar length and bar start with a trade or a book row. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'bar_seconds', 'ts_open'],
    closed_by='*',
    time_column='ts_open',
) }}

with

too_large as (

    {{ sums_too_large('trades') }}

),

bar_lengths as (

    select
        unnest({{ bar_lengths() }}) as bar_seconds,
        cast(bar_seconds as bigint) * 1000000 as bar_us

),

trades as (

    select
        exchange,
        symbol,
        date,
        trade_seq,
        epoch_us(ts_event) - epoch_us(ts_event) % {{ bar_step() }} as step_us,
        coalesce(ts_capture, ts_event) as ts,
        price,
        size,
        side,
        coalesce(last_id - first_id + 1, 1) as match_count,
        {{ exact_notional('price', 'size') }} as notional
    from {{ lake_ref('trades') }}
    anti join too_large using (exchange, date, symbol)
    where price > 0 and size > 0  -- Binance prints others, and leaves them out of its candles

),

book_bars as (

    select * from {{ lake_ref('book_bars') }}

),

{# Trades are read once: bars of every length are put together from steps, exactly. #}
steps as (

    select
        exchange,
        date,
        symbol,
        step_us,
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
        sum(match_count) as match_count,
        max(ts) as ts
    from trades
    group by exchange, date, symbol, step_us

),

trade_bars as (

    select
        exchange,
        date,
        symbol,
        bar_seconds,
        make_timestamptz(step_us - step_us % bar_us) as ts_open,
        min_by(open, step_us) as open,
        max(high) as high,
        min(low) as low,
        max_by(close, step_us) as close,
        sum(volume) as volume,
        sum(buy_volume) as buy_volume,
        sum(sell_volume) as sell_volume,
        sum(notional) as notional,
        sum(buy_notional) as buy_notional,
        sum(sell_notional) as sell_notional,
        sum(trade_count) as trade_count,
        sum(match_count) as match_count,
        max(ts) as ts
    from steps
    cross join bar_lengths
    group by exchange, date, symbol, bar_seconds, ts_open

),

joined as (

    select
        * exclude (ts_close),
        ts_open + to_seconds(bar_seconds) as ts_close
    from trade_bars
    full outer join book_bars using (exchange, date, symbol, bar_seconds, ts_open)

),

time_bars as (

    select
        exchange,
        date,
        symbol,
        bar_seconds,
        ts_open,
        ts_close,
        max(greatest(ts_close, ts, ts_available)) over so_far as ts_available,
        open,
        high,
        low,
        close,
        coalesce(volume, 0) as volume,
        coalesce(buy_volume, 0) as buy_volume,
        coalesce(sell_volume, 0) as sell_volume,
        coalesce(notional, 0) as notional,
        coalesce(buy_notional, 0) as buy_notional,
        coalesce(sell_notional, 0) as sell_notional,
        {# Rounding must not lead out of the range: a bar of one price has that price. #}
        greatest(
            least(cast(notional as double) / cast(volume as double), cast(high as double)),
            cast(low as double)
        ) as vwap,
        cast(coalesce(trade_count, 0) as bigint) as trade_count,
        cast(coalesce(match_count, 0) as bigint) as match_count,
        mid_open,
        mid_high,
        mid_low,
        mid_close,
        spread_mean,
        spread_twap,
        ofi_sum,
        mlofi_decay_sum,
        mlofi_decay_close,
        realized_var,
        realized_vol,
        imbalance_l1_open,
        imbalance_l1_close,
        microprice_open,
        microprice_close,
        coalesce(book_row_count, 0) as book_row_count,
        is_gap,
        {# The data say when a bar is over, not the clock: a later bar, or a later day. #}
        lead(ts_open) over so_far is not null or {{ lake_is_closed('exchange') }} as is_complete
    from joined
    window so_far as (
        partition by exchange, date, symbol, bar_seconds
        order by ts_open
        rows between unbounded preceding and current row
    )

)

select * from time_bars
