{#
    Fills = legs of all trades + dust conversions, and there are as many trades as (instant, block, tid,
    price, size) among the fills, for each exchange, symbol and day.
#}
{{ config(meta={'by_unit': true}) }}

with

fills as (

    select
        exchange,
        date,
        symbol,
        count(*) as fill_count,
        count_if(tid = 0) as dust_count
    from {{ lake_ref('fills') }}
    group by exchange, date, symbol

),

executions as (

    select distinct exchange, date, symbol, ts_event, block_number, tid, price, size
    from {{ lake_ref('fills') }}
    where tid <> 0

),

execution_counts as (

    select exchange, date, symbol, count(*) as execution_count
    from executions
    group by exchange, date, symbol

),

trades as (

    select
        exchange,
        date,
        symbol,
        count(*) as trade_count,
        sum(leg_count) as leg_count
    from {{ lake_ref('fill_trades') }}
    group by exchange, date, symbol

)

select *
from fills
left join execution_counts using (exchange, date, symbol)
full join trades using (exchange, date, symbol)
where
    fill_count is distinct from coalesce(leg_count, 0) + dust_count
    or coalesce(execution_count, 0) <> coalesce(trade_count, 0)
