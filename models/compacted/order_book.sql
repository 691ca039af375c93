{# One row per book of a symbol, after an update or as a snapshot has it: its best levels, clean. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'date'],
    order_by=['row_seq'],
    keeps_order=true,
) }}

{%- set update_key = 'exchange, symbol, date, ts_event, seq' %}

with

{# Not materialized: a day of raw books is read three times rather than held once. #}
raw_books as not materialized (

    select
        *,
        hash({{ update_key }}) as key_hash
    from {{ lake_source('raw', 'order_book') }}

),

{# Almost every update is there once: a narrow hash finds the few rows that need a closer look. #}
repeated as (

    select key_hash
    from raw_books
    group by key_hash
    having count(*) > 1

),

suspects as (

    select
        {{ update_key }},
        segment,
        segment_row,
        is_reset,
        hash(bids, asks) as book_hash
    from raw_books
    where key_hash in (select repeated.key_hash from repeated)

),

{#
    The first arrival stays. A duplicate has the same book: with a `seq`, that of any row before it;
    without one, that of the row just before. It hands a reset on to the row that stands for it.
#}
compared as (

    select
        *,
        if(seq is null, null, book_hash) as numbered_hash,
        coalesce(book_hash = lag(book_hash) over by_arrival, false) as is_duplicate
    from suspects
    window
        by_arrival as (partition by {{ update_key }}, numbered_hash order by segment, segment_row)

),

numbered as (

    select
        *,
        count(*) filter (where not is_duplicate) over (
            partition by {{ update_key }}, numbered_hash order by segment, segment_row
        ) as kept_count
    from compared

),

standing as (

    select
        *,
        bool_or(is_reset) over (
            partition by {{ update_key }}, numbered_hash, kept_count
        ) as is_any_reset
    from numbered

),

valid as (

    select
        raw_books.*,
        coalesce(is_any_reset, raw_books.is_reset, false) as is_marked_reset,
        {{ valid_levels('bids') }} as valid_bids,
        {{ valid_levels('asks') }} as valid_asks
    from raw_books
    left join standing using (exchange, symbol, date, segment, segment_row)
    where is_duplicate is not true

),

clean as (

    select
        * exclude (bids, asks),
        {{ ordered_levels('valid_bids', 'desc') }} as bids,
        {{ ordered_levels('valid_asks', 'asc') }} as asks
    from valid

),

{# Wide before they are sorted: rows of fixed size sort faster than lists. #}
flat as (

    select
        * exclude (bids, asks),
        {{ book_state('bids', 'asks') }} as book_state,
        cast(least(len(bids), {{ var('book_levels') }}) as integer) as bid_levels,
        cast(least(len(asks), {{ var('book_levels') }}) as integer) as ask_levels,
        {{ book_level_columns('bids', 'asks') }}
    from clean
    order by exchange, symbol, date, ts_event, seq nulls first, segment, segment_row

),

{# Rows in order are counted as they pass; a window by partition would sort them once more. #}
counted as (

    select
        *,
        row_number() over () as position,
        {{ is_first_of('exchange', 'symbol', 'date') }} as is_first
    from flat

),

order_book as (

    select
        exchange,
        symbol,
        date,
        {{ position_since('is_first') }} as row_seq,  -- noqa: PRS
        ts_event,
        ts_capture,
        seq,
        is_marked_reset as is_reset,
        book_state,
        bid_levels,
        ask_levels,
        {{ book_level_names() }}
    from counted

)

select * from order_book
