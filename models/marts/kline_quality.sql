{# One row per symbol, interval and month with candles: what was published, and how well. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'month'],
    order_by=['symbol', 'interval'],
    time_column=none,
) }}

{%- set key = 'exchange, month, symbol, interval' %}

with

arrived as (

    select {{ key }}, count(*) as raw_row_count
    from {{ lake_source('raw', 'klines') }}
    group by {{ key }}

),

stored as (

    select
        {{ key }},
        count(*) as row_count,
        count(*) filter (where volume = 0) as idle_count,
        count(*) filter (where {{ is_consistent_kline() }} is not true) as inconsistent_count,
        sum(conflict_count) as conflict_count
    from {{ lake_ref('klines') }}
    group by {{ key }}

),

kline_quality as (

    select
        exchange,
        month,
        symbol,
        interval,
        row_count,
        idle_count,
        inconsistent_count,
        raw_row_count - row_count as duplicate_count,
        cast(conflict_count as bigint) as conflict_count
    from stored
    inner join arrived using ({{ key }})

)

select * from kline_quality
