{# One row per ticker of a symbol: best bid and offer, or last price, as they were at an instant. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'date'],
    order_by=['row_seq'],
) }}

{%- set update_key = 'exchange, symbol, date, ts_event, seq' %}

with

{# Not materialized: a day of raw tickers is read three times rather than held once. #}
raw_tickers as not materialized (

    select
        *,
        hash({{ update_key }}) as key_hash
    from {{ lake_source('raw', 'tickers') }}

),

{# Almost every update is there once: a narrow hash finds the few rows that need a closer look. #}
repeated as (

    select key_hash
    from raw_tickers
    group by key_hash
    having count(*) > 1

),

suspects as (

    select
        *,
        struct_pack(bid_price, bid_size, ask_price, ask_size, last_price, extra) as said,
        if(seq is null, null, said) as numbered_said
    from raw_tickers
    where key_hash in (select repeated.key_hash from repeated)

),

{#
    The first arrival stays. A duplicate says the same: with a `seq`, as any row before it; without
    one, as the row just before.
#}
duplicates as (

    select exchange, symbol, date, segment, segment_row
    from suspects
    window
        by_arrival as (partition by {{ update_key }}, numbered_said order by segment, segment_row)
    qualify coalesce(said = lag(said) over by_arrival, false)

),

ordered as (

    select *
    from raw_tickers
    anti join duplicates using (exchange, symbol, date, segment, segment_row)
    order by exchange, symbol, date, ts_event, seq nulls first, segment, segment_row

),

{# Rows in order are counted as they pass; a window by partition would sort them once more. #}
counted as (

    select
        *,
        row_number() over () as position,
        {{ is_first_of('exchange', 'symbol', 'date') }} as is_first
    from ordered

),

tickers as (

    select
        exchange,
        symbol,
        date,
        {{ position_since('is_first') }} as row_seq,  -- noqa: PRS
        ts_event,
        ts_capture,
        seq,
        bid_price,
        bid_size,
        ask_price,
        ask_size,
        last_price,
        extra
    from counted

)

select * from tickers
