{#
    The buckets of a symbol and day hold the volume of its trades but for a rest smaller than one, and
    no more of a side than was bought or sold, half of the unknown included.
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
        sum(case side when 'buy' then size when 'sell' then 0 else size * 0.5 end) as buy_volume,
        sum(case side when 'sell' then size when 'buy' then 0 else size * 0.5 end) as sell_volume
    from {{ lake_ref('trades') }}
    anti join too_large using (exchange, date, symbol)
    where price > 0 and size > 0
    group by exchange, date, symbol

),

buckets as (

    select
        exchange,
        date,
        symbol,
        threshold,
        sum(volume) as volume,
        sum(buy_volume) as buy_volume,
        sum(sell_volume) as sell_volume
    from {{ lake_ref('vpin_buckets') }}
    group by exchange, date, symbol, threshold

)

select exchange, date, symbol, threshold
from buckets
left join trades using (exchange, date, symbol)
where
    trades.volume is null
    or buckets.volume > trades.volume
    or trades.volume - buckets.volume >= threshold
    or buckets.buy_volume > trades.buy_volume
    or buckets.sell_volume > trades.sell_volume
