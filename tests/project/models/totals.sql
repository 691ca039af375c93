{# One row per exchange, date and symbol: the partitions of all symbols come together in one. #}
{{ config(
    materialized='lake', partition_by=['exchange', 'date'], order_by=['symbol'], closed_by='ticks_by_day',
    time_column=none,
) }}

select
    steps.exchange,
    steps.date,
    steps.symbol,
    cast(sum(steps.value) as bigint) as total,
    count(*) as tick_count,
    coalesce(max(limits.top), 0) as top,
    {{ lake_is_closed('steps.exchange') }} as is_closed
from {{ lake_ref('steps') }} as steps
inner join {{ lake_ref('ticks_by_day') }} as ticks_by_day
    on ticks_by_day.exchange = steps.exchange and ticks_by_day.date = steps.date
left join {{ lake_ref('limits') }} as limits on limits.symbol = steps.symbol
group by steps.exchange, steps.date, steps.symbol
