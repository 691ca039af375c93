{# One row per mark price of a symbol, as it was at an instant. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'row_seq'],
) }}

with

raw_mark_prices as (

    select
        *,
        struct_pack(mark_price, index_price, extra) as said
    from {{ lake_source('raw', 'mark_prices') }}

),

{# What arrived again: the same instant and values as the row just before. #}
distinct_rows as (

    select *
    from raw_mark_prices
    qualify
        said is distinct from lag(said) over (
            partition by exchange, symbol, date, ts_event order by segment, segment_row
        )

),

mark_prices as (

    select
        exchange,
        symbol,
        date,
        row_number() over (
            partition by exchange, symbol, date order by ts_event, segment, segment_row
        ) as row_seq,
        ts_event,
        ts_capture,
        mark_price,
        index_price,
        extra
    from distinct_rows

)

select * from mark_prices
