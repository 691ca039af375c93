{#
    Raw rows = tickers rows + duplicates, for each exchange, symbol and day: the distinct updates with a
    `seq`, and of those without, in order, the ones that differ from their predecessor.
#}
{{ config(meta={'by_unit': true}) }}

with

raw_tickers as (

    select
        *,
        hash(bid_price, bid_size, ask_price, ask_size, last_price, extra) as value_hash
    from {{ lake_source('raw', 'tickers') }}

),

changes as (

    select
        exchange,
        symbol,
        date,
        coalesce(
            ts_event <> lag(ts_event) over in_order or value_hash <> lag(value_hash) over in_order,
            true
        ) as is_change
    from raw_tickers
    where seq is null
    window
        in_order as (
            partition by exchange, symbol, date order by ts_event, segment, segment_row
        )

),

numbered_updates as (

    select distinct exchange, symbol, date, ts_event, seq, value_hash
    from raw_tickers
    where seq is not null

),

distinct_rows as (

    select exchange, symbol, date
    from numbered_updates
    union all
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
    from {{ lake_ref('tickers') }}
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
