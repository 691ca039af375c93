{#
    Volume, bought and sold volume and notional of the threshold bars of every type = those of the
    trades with a price and a size, to the last digit, for each exchange, symbol and day. So is the
    count, but where trades are cut.
#}
{{ config(meta={'by_unit': true}) }}

with

too_large as (

    {{ sums_too_large('trades') }}

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
        count(*) as trade_count,
        min(price) as low,
        max(price) as high
    from {{ lake_ref('trades') }}
    anti join too_large using (exchange, date, symbol)
    where price > 0 and size > 0
    group by exchange, date, symbol

),

bars as (

    select * from {{ lake_ref('tick_bars') }}
    union all by name
    select * from {{ lake_ref('volume_bars') }}
    union all by name
    select * from {{ lake_ref('dollar_bars') }}
    union all by name
    select * from {{ lake_ref('imbalance_bars') }}
    union all by name
    select * from {{ lake_ref('run_bars') }}

),

summed as (

    select
        exchange,
        date,
        symbol,
        bar_type,
        threshold,
        sum(volume) as volume,
        sum(buy_volume) as buy_volume,
        sum(sell_volume) as sell_volume,
        sum(notional) as notional,
        sum(trade_count) as trade_count,
        min(low) as low,
        max(high) as high
    from bars
    group by exchange, date, symbol, bar_type, threshold

)

select exchange, date, symbol, bar_type, threshold
from summed
left join trades using (exchange, date, symbol)
where
    summed.volume is distinct from trades.volume
    or summed.buy_volume is distinct from trades.buy_volume
    or summed.sell_volume is distinct from trades.sell_volume
    or summed.notional is distinct from trades.notional
    or summed.low is distinct from trades.low
    or summed.high is distinct from trades.high
    or (bar_type <> 'volume_split' and summed.trade_count is distinct from trades.trade_count)
