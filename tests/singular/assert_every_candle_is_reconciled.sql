{#
    The reconciliation has each candle as long as a bar of ours, and each such bar with a trade, exactly
    once and with the values of its table, for symbols and days that have both.
#}
with

klines as (

    select
        *,
        cast(open_time at time zone 'UTC' as date) as date,
        {{ interval_seconds('interval') }} as bar_seconds
    from {{ lake_ref('klines') }}

),

bars as (

    select *
    from {{ lake_ref('time_bars') }}
    where trade_count > 0

),

candles as (

    select klines.*
    from klines
    semi join bars using (exchange, date, symbol, bar_seconds)

),

intervals as (

    select distinct exchange, date, symbol, bar_seconds, interval from candles

),

expected as (

    select
        'candle' as side,
        exchange,
        symbol,
        date,
        interval,
        open_time as ts_open,
        struct_pack(
            open := open,
            high := high,
            low := low,
            close := close,
            volume := volume,
            notional := cast(quote_volume as varchar),
            match_count := count
        ) as numbers
    from candles
    union all
    select
        'bar' as side,
        bars.exchange,
        bars.symbol,
        bars.date,
        intervals.interval,
        bars.ts_open,
        struct_pack(
            open := bars.open,
            high := bars.high,
            low := bars.low,
            close := bars.close,
            volume := bars.volume,
            notional := cast(bars.notional as varchar),
            match_count := bars.match_count
        ) as numbers
    from bars
    inner join intervals using (exchange, date, symbol, bar_seconds)

),

reconciled as (

    select
        'candle' as side,
        exchange,
        symbol,
        date,
        interval,
        ts_open,
        struct_pack(
            open := kline_open,
            high := kline_high,
            low := kline_low,
            close := kline_close,
            volume := kline_volume,
            notional := cast(kline_quote_volume as varchar),
            match_count := kline_count
        ) as numbers
    from {{ lake_ref('klines_reconciliation') }}
    where kline_volume is not null
    union all
    select
        'bar' as side,
        exchange,
        symbol,
        date,
        interval,
        ts_open,
        struct_pack(
            open := open,
            high := high,
            low := low,
            close := close,
            volume := volume,
            notional := cast(notional as varchar),
            match_count := match_count
        ) as numbers
    from {{ lake_ref('klines_reconciliation') }}
    where volume is not null

),

counted as (

    select *, 1 as row_count
    from expected
    union all
    select *, -1 as row_count
    from reconciled

)

select exchange, symbol, date, interval, ts_open, side, numbers, sum(row_count) as missing_count
from counted
group by exchange, symbol, date, interval, ts_open, side, numbers
having sum(row_count) <> 0
