{# One row per book row: its levels and all features side by side. #}
{{ config(materialized='view') }}

{%- set key = 'exchange, symbol, date, row_seq' %}

with

books as (

    select
        {{ key }},
        seq,
        is_reset,
        {{ book_level_aliases() }}
    from {{ ref('order_book') }}

),

book_features as (

    select * from {{ ref('book_features') }}

),

order_flow as (

    select * exclude (ts_event, ts) from {{ ref('order_flow') }}

),

trade_flow as (

    select * exclude (ts_event, ts) from {{ ref('trade_flow') }}

),

basis as (

    select * exclude (ts_event) from {{ ref('basis') }}

),

features as (

    select
        {{ key }},
        book_features.* exclude ({{ key }}),
        books.* exclude ({{ key }}),
        order_flow.* exclude ({{ key }}),
        trade_flow.* exclude ({{ key }}),
        basis.* exclude ({{ key }})
    from book_features
    inner join books using ({{ key }})
    inner join order_flow using ({{ key }})
    left join trade_flow using ({{ key }})
    inner join basis using ({{ key }})

)

select * from features  -- noqa: AM04
