{# One row per raw tick, by exchange, symbol and date: a unit is wider than a partition. #}
{{ config(
    materialized='lake', partition_by=['exchange', 'symbol', 'date'], unit_by=['exchange', 'date'],
    order_by=['ts_event', 'value', 'note'],
) }}

select exchange, symbol, date, ts_event, value, note
from {{ lake_source('raw', 'ticks') }}
where value <> 0
