{#
    Raw rows = order_book rows + duplicates, for each exchange, symbol and day. What a duplicate is, is
    said here a second time and differently: of rows with a `seq` the distinct ones are counted, of those
    without one, in order, the ones that differ from their predecessor.
#}
{{ config(meta={'by_unit': true}) }}

with

raw_books as (

    select
        exchange,
        symbol,
        date,
        ts_event,
        seq,
        segment,
        segment_row,
        hash(bids, asks) as book_hash
    from {{ lake_source('raw', 'order_book') }}

),

numbered_updates as (

    select distinct exchange, symbol, date, ts_event, seq, book_hash
    from raw_books
    where seq is not null

),

changes as (

    select
        exchange,
        symbol,
        date,
        coalesce(
            ts_event <> lag(ts_event) over in_order or book_hash <> lag(book_hash) over in_order,
            true
        ) as is_change
    from raw_books
    where seq is null
    window
        in_order as (
            partition by exchange, symbol, date order by ts_event, segment, segment_row
        )

),

counted as (

    select exchange, symbol, date, count(*) as raw_count, 0 as book_count
    from numbered_updates
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, count_if(is_change) as raw_count, 0 as book_count
    from changes
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, 0 as raw_count, count(*) as book_count
    from {{ lake_ref('order_book') }}
    group by exchange, symbol, date

)

select
    exchange,
    symbol,
    date,
    sum(raw_count) as raw_count,
    sum(book_count) as book_count
from counted
group by exchange, symbol, date
having sum(raw_count) <> sum(book_count)
