{# One row per hole in what was recorded of a symbol: trades, order_book or klines. #}
{{ config(materialized='view') }}

with

{#- A table by day or month sees one of them at a time. This view finds what is between two. #}

between_ids as (

    select
        exchange,
        symbol,
        date,
        lag(last_ts) over days as ts_from,
        first_ts as ts_to,
        first_id - lag(last_id) over days - 1 as missing_count,
        {# Unknown of a day with one trade: what the other day shows counts. #}
        least(is_consecutive, lag(is_consecutive) over days) as is_consecutive
    from {{ ref('id_spans') }}
    window days as (partition by exchange, symbol order by date)

),

between_days as (

    select
        table_name,
        exchange,
        symbol,
        date,
        lag(last_ts) over days as ts_from,
        first_ts as ts_to,
        {{ seconds_between('lag(last_ts) over days', 'first_ts') }} as seconds,
        date - lag(date) over days > 1 as is_day_missing
    from {{ ref('day_spans') }}
    window days as (partition by table_name, exchange, symbol order by date)

),

between_months as (

    select
        exchange,
        symbol,
        interval,
        least(lag(last_end) over months, first_open) as ts_from,
        first_open as ts_to,
        round(
            {{ seconds_between('lag(last_open) over months', 'first_open') }}
            / lag(length_seconds) over months - 1
        ) as missing_count,
        is_sparse or lag(is_sparse) over months as is_sparse
    from {{ ref('kline_spans') }}
    window months as (partition by exchange, symbol, interval order by month)

)

select
    'trades' as table_name,
    exchange,
    symbol,
    date,
    cast(null as varchar) as interval,
    'missing_ids' as kind,
    gap_seq,
    ts_from,
    ts_to,
    cast(missing_count as double) as amount
from {{ ref('id_gaps') }}
union all
select
    'trades' as table_name,
    exchange,
    symbol,
    date,
    cast(null as varchar) as interval,
    'missing_ids' as kind,
    0 as gap_seq,
    ts_from,
    ts_to,
    cast(missing_count as double) as amount
from between_ids
where is_consecutive and missing_count > 0
union all
select
    'order_book' as table_name,
    exchange,
    symbol,
    date,
    cast(null as varchar) as interval,
    'reset' as kind,
    gap_seq,
    ts_from,
    ts_to,
    cast(null as double) as amount
from {{ ref('book_resets') }}
union all
select
    table_name,
    exchange,
    symbol,
    date,
    cast(null as varchar) as interval,
    'silence' as kind,
    gap_seq,
    ts_from,
    ts_to,
    seconds as amount
from {{ ref('silences') }}
union all
select
    table_name,
    exchange,
    symbol,
    date,
    cast(null as varchar) as interval,
    'silence' as kind,
    0 as gap_seq,
    ts_from,
    ts_to,
    seconds as amount
from between_days
where
    is_day_missing
    or (table_name in ('order_book', 'trades') and seconds > {{ var('gap_seconds') }})
union all
select
    'klines' as table_name,
    exchange,
    symbol,
    cast(ts_to at time zone 'UTC' as date) as date,
    interval,
    'missing_candles' as kind,
    gap_seq,
    ts_from,
    ts_to,
    cast(missing_count as double) as amount
from {{ ref('kline_gaps') }}
union all
select
    'klines' as table_name,
    exchange,
    symbol,
    cast(ts_to at time zone 'UTC' as date) as date,
    interval,
    'missing_candles' as kind,
    0 as gap_seq,
    ts_from,
    ts_to,
    missing_count as amount
from between_months
where missing_count > 0 and {{ is_gap_in_klines('is_sparse', 'ts_from', 'ts_to') }}
