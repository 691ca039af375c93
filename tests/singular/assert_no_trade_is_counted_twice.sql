{#
    A venue tells of its trades one by one or aggregated. If both were landed for the same time, an
    aggregated trade stands for the single trades in it. These are the single trades that stay beside
    one, because their price is another: one of the two sources has it wrong. A warning (2026-12-01): both
    are kept, whichever is right.
#}
{{ config(
    meta={'by_unit': true},
    severity='warn',
) }}

with

prints as (

    select exchange, symbol, date, try_cast(trade_id as bigint) as id
    from {{ lake_ref('trades') }}
    where first_id is null

),

aggregates as (

    select exchange, symbol, date, first_id, max(last_id) as last_id
    from {{ lake_ref('trades') }}
    where first_id is not null
    group by exchange, symbol, date, first_id

)

select prints.exchange, prints.symbol, prints.date, count(*) as counted_twice
from prints
asof join aggregates
    on
        prints.exchange = aggregates.exchange
        and prints.symbol = aggregates.symbol
        and prints.date = aggregates.date
        and prints.id >= aggregates.first_id
where prints.id <= aggregates.last_id
group by prints.exchange, prints.symbol, prints.date
