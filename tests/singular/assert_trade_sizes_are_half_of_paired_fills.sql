{#
    sum(size of the fills of trades) = sum(size * number of legs of the trades), to the last digit, for
    each exchange, symbol and day: a trade of two fills has half of their size.
#}
{{ config(meta={'by_unit': true}) }}

with

fill_sizes as (

    select exchange, date, symbol, sum(size) as fill_size
    from {{ lake_ref('fills') }}
    where tid <> 0
    group by exchange, date, symbol

),

trade_sizes as (

    select exchange, date, symbol, sum(size * leg_count) as leg_size
    from {{ lake_ref('fill_trades') }}
    group by exchange, date, symbol

)

select *
from fill_sizes
full join trade_sizes using (exchange, date, symbol)
where fill_size is distinct from leg_size
