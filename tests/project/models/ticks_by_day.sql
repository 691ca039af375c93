{# One row per exchange and date. #}
{{ config(
    materialized='lake', partition_by=['exchange', 'date'], order_by=['tick_count'], time_column=none,
) }}

select exchange, date, count(*) as tick_count
from {{ lake_source('raw', 'ticks') }}
group by exchange, date
