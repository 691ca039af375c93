{#
    Raw rows = funding_rates rows + repetitions of the row before, in order of time and arrival, for each
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
            or funding_rate is distinct from lag(funding_rate) over in_order
            or interval_hours is distinct from lag(interval_hours) over in_order
            or next_funding_ts is distinct from lag(next_funding_ts) over in_order
            or extra is distinct from lag(extra) over in_order,
            true
        ) as is_change
    from {{ lake_source('raw', 'funding_rates') }}
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
    from {{ lake_ref('funding_rates') }}
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
