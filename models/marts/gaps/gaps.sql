{# One row per hole in what was recorded of a symbol: trades, order_book or klines. #}
{{ config(materialized='view') }}

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
