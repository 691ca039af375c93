{# One row per table, exchange, symbol and day with rows: the times of the first and the last. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['table_name', 'symbol'],
    time_column=none,
) }}

{%- set tables = ['funding_rates', 'mark_prices', 'order_book', 'tickers', 'trades'] %}

with

day_spans as (

    {% for table in tables -%}
        select
            exchange,
            date,
            '{{ table }}' as table_name,
            symbol,
            min(ts_event) as first_ts,
            max(ts_event) as last_ts
        from {{ lake_ref(table) }}
        group by exchange, date, symbol
        {{- ' union all' if not loop.last }}
    {% endfor %}

)

select * from day_spans
