{#
    Bars from trades = the exchange's own candles, to the last digit, in all nine fields, wherever the
    trades of the day begin before a candle and go on after it, and no recorded hole in the trades touches
    it. A candle without trades has no bar.
#}
with

klines as (

    select
        *,
        round({{ seconds_between('open_time', 'close_time') }}) as bar_seconds,
        open_time + to_seconds(bar_seconds) as end_time,
        cast(open_time at time zone 'UTC' as date) as date
    from {{ lake_ref('klines') }}

),

bars as (

    select
        *,
        ts_open as open_time
    from {{ lake_ref('time_bars') }}
    where trade_count > 0

),

days as (

    select
        exchange,
        symbol,
        bar_seconds,
        date,
        min(open_time) as first_open_time,
        max(open_time) as last_open_time
    from bars
    group by exchange, symbol, bar_seconds, date

),

spans as (

    select
        *,
        coalesce(
            lead(date) over (partition by exchange, symbol, bar_seconds order by date) = date + 1,
            false
        ) as goes_on
    from days

),

holes as (

    select exchange, symbol, ts_from, ts_to
    from {{ lake_ref('id_gaps') }}
    union all
    select exchange, symbol, ts_from, ts_to
    from {{ lake_ref('silences') }}
    where table_name = 'trades'

),

covered as (

    select klines.*
    from klines
    inner join spans using (exchange, symbol, bar_seconds, date)
    where
        klines.open_time > spans.first_open_time
        and (klines.open_time < spans.last_open_time or spans.goes_on)

),

whole as (

    select covered.*
    from covered
    anti join holes
        on
            covered.exchange = holes.exchange
            and covered.symbol = holes.symbol
            and covered.open_time <= holes.ts_to
            and covered.end_time > holes.ts_from

)

select
    exchange,
    symbol,
    interval,
    open_time
from whole
left join bars using (exchange, symbol, bar_seconds, open_time)
where
    whole.count <> coalesce(bars.match_count, 0)
    or whole.volume <> coalesce(bars.volume, 0)
    or whole.quote_volume <> coalesce(bars.notional, 0)
    or whole.taker_buy_volume <> coalesce(bars.buy_volume, 0)
    or whole.taker_buy_quote_volume <> coalesce(bars.buy_notional, 0)
    or whole.open <> bars.open
    or whole.high <> bars.high
    or whole.low <> bars.low
    or whole.close <> bars.close
