{#
    Klines = distinct starts of raw klines, for each exchange, symbol, interval and month: nothing lost,
    nothing doubled.
#}
{{ config(meta={'by_unit': true}) }}

with

distinct_rows as (

    select distinct exchange, symbol, interval, month, open_time
    from {{ lake_source('raw', 'klines') }}

),

counted as (

    select exchange, symbol, interval, month, count(*) as raw_count, 0 as row_count
    from distinct_rows
    group by exchange, symbol, interval, month
    union all
    select exchange, symbol, interval, month, 0 as raw_count, count(*) as row_count
    from {{ lake_ref('klines') }}
    group by exchange, symbol, interval, month

)

select
    exchange,
    symbol,
    interval,
    month,
    sum(raw_count) as raw_count,
    sum(row_count) as row_count
from counted
group by exchange, symbol, interval, month
having sum(raw_count) <> sum(row_count)
