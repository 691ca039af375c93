{#
    A venue publishes its trades one by one, or aggregated. If both were landed for the same time, all
    volumes count each of these trades twice: delete one of the two (`ticklake delete --help`).

    A warning (2026-12-01): it is about what was landed for a symbol, and must not stop the others.
#}
{{ config(severity='warn', meta={'by_unit': true}) }}

with

prints as (

    select exchange, symbol, date, try_cast(trade_id as bigint) as id
    from {{ lake_ref('trades') }}
    where first_id is null

),

aggregates as (

    select exchange, symbol, date, first_id, last_id
    from {{ lake_ref('trades') }}
    where first_id is not null

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
