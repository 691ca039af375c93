{#
    Raw rows = mark_prices rows + repetitions of the row before, in order of time and arrival, for each
    exchange, symbol and day.
#}
{{ config(meta={'by_unit': true}) }}

with

changes as (

    select
        exchange,
        symbol,
        date,
        coalesce(
            ts_event <> lag(ts_event) over in_order
            or mark_price is distinct from lag(mark_price) over in_order
            or index_price is distinct from lag(index_price) over in_order
            or extra is distinct from lag(extra) over in_order,
            true
        ) as is_change
    from {{ lake_source('raw', 'mark_prices') }}
    window
        in_order as (
            partition by exchange, symbol, date order by ts_event, segment, segment_row
        )

),

distinct_rows as (

    select exchange, symbol, date
    from changes
    where is_change

),

counted as (

    select exchange, symbol, date, count(*) as raw_count, 0 as row_count
    from distinct_rows
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, 0 as raw_count, count(*) as row_count
    from {{ lake_ref('mark_prices') }}
    group by exchange, symbol, date

)

select
    exchange,
    symbol,
    date,
    sum(raw_count) as raw_count,
    sum(row_count) as row_count
from counted
group by exchange, symbol, date
having sum(raw_count) <> sum(row_count)
