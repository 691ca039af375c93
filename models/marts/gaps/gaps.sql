{# One row per hole in what was recorded of a symbol: trades, order_book or klines. #}
{{ config(materialized='view') }}

with

{# A table of the lake by month cannot look into the month before. #}
between_months as (

    select
        exchange,
        symbol,
        interval,
        lag(last_end) over months as ts_from,
        first_open as ts_to,
        round(
            {{ seconds_between('lag(last_open) over months', 'first_open') }}
            / lag(length_seconds) over months - 1
        ) as amount
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
    amount
from between_months
where amount > 0
