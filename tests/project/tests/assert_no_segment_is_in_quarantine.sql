{{ config(meta={'reads_quarantine': true}) }}
-- depends_on: {{ ref('ticks') }}
-- depends_on: {{ ref('ticks_by_day') }}
-- depends_on: {{ ref('totals') }}

select path, error_type, message from {{ lake_quarantine() }}
