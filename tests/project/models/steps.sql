{# One row per tick with the value of the one before, also across midnight: a look-back of a day. #}
{{ config(
    materialized='lake', partition_by=['exchange', 'symbol', 'date'],
    order_by=['ts_event', 'value', 'note'], lookback={'ticks': 1},
) }}

select
    exchange,
    symbol,
    date,
    ts_event,
    value * {{ var('factor') }} as value,
    note,
    lag(value) over (partition by exchange, symbol order by ts_event, value, note) as previous
from {{ lake_ref('ticks') }}
