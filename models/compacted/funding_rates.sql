{# One row per funding rate of a symbol, as it was at an instant. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'row_seq'],
) }}

with

raw_funding_rates as (

    select
        *,
        struct_pack(funding_rate, interval_hours, next_funding_ts, extra) as said
    from {{ lake_source('raw', 'funding_rates') }}

),

{# What arrived again: the same instant and values as the row just before. #}
distinct_rows as (

    select *
    from raw_funding_rates
    qualify
        said is distinct from lag(said) over (
            partition by exchange, symbol, date, ts_event order by segment, segment_row
        )

),

funding_rates as (

    select
        exchange,
        symbol,
        date,
        row_number() over (
            partition by exchange, symbol, date order by ts_event, segment, segment_row
        ) as row_seq,
        ts_event,
        ts_capture,
        funding_rate,
        interval_hours,
        next_funding_ts,
        extra
    from distinct_rows

)

select * from funding_rates
