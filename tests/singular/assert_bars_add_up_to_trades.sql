{#
    Volume, notional and count of the bars of every length = those of the trades, to the last digit,
    for each exchange, symbol and day. Prints with price 0 or size 0 are in no bar.
#}
{{ config(meta={'by_unit': true}) }}

with

too_large as (

    {{ sums_too_large('trades') }}

),

bar_lengths as (

    select unnest({{ bar_lengths() }}) as bar_seconds

),

trades as (

    select
        exchange,
        date,
        symbol,
        sum(size) as volume,
        sum(case side when 'buy' then size else 0 end) as buy_volume,
        sum(case side when 'sell' then size else 0 end) as sell_volume,
        sum({{ exact_notional('price', 'size') }}) as notional,
        sum(case side when 'buy' then {{ exact_notional('price', 'size') }} else 0 end)
            as buy_notional,
        sum(case side when 'sell' then {{ exact_notional('price', 'size') }} else 0 end)
            as sell_notional,
        count(*) as trade_count,
        sum(if(first_id is null, 1, last_id - first_id + 1)) as match_count,
        min(price) as low,
        max(price) as high
    from {{ lake_ref('trades') }}
    anti join too_large using (exchange, date, symbol)
    where price > 0 and size > 0
    group by exchange, date, symbol

),

expected as (

    select *
    from trades
    cross join bar_lengths

),

bars as (

    select
        exchange,
        date,
        symbol,
        bar_seconds,
        sum(volume) as volume,
        sum(buy_volume) as buy_volume,
        sum(sell_volume) as sell_volume,
        sum(notional) as notional,
        sum(buy_notional) as buy_notional,
        sum(sell_notional) as sell_notional,
        sum(trade_count) as trade_count,
        sum(match_count) as match_count,
        min(low) as low,
        max(high) as high
    from {{ lake_ref('time_bars') }}
    where trade_count > 0
    group by exchange, date, symbol, bar_seconds

)

select exchange, date, symbol, bar_seconds
from expected
full join bars using (exchange, date, symbol, bar_seconds)
where
    expected.volume is distinct from bars.volume
    or expected.buy_volume is distinct from bars.buy_volume
    or expected.sell_volume is distinct from bars.sell_volume
    or expected.notional is distinct from bars.notional
    or expected.buy_notional is distinct from bars.buy_notional
    or expected.sell_notional is distinct from bars.sell_notional
    or expected.trade_count is distinct from bars.trade_count
    or expected.match_count is distinct from bars.match_count
    or expected.low is distinct from bars.low
    or expected.high is distinct from bars.high
