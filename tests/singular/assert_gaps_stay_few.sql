{#
    Symbols and days on which a table has more holes of one kind than the var `max_gaps`.

    A warning (2026-12-01): some feeds break that often, and some exchanges skip ids. Look at such a feed
    before you compute on it.
#}
{{ config(severity='warn') }}

with

holes as (

    select 'trades' as table_name, exchange, date, symbol
    from {{ lake_ref('id_gaps') }}
    union all
    select 'order_book' as table_name, exchange, date, symbol
    from {{ lake_ref('book_resets') }}
    union all
    select
        'klines ' || interval as table_name,
        exchange,
        cast(ts_to at time zone 'UTC' as date) as date,
        symbol
    from {{ lake_ref('kline_gaps') }}

)

select table_name, exchange, date, symbol, count(*) as gap_count
from holes
group by table_name, exchange, date, symbol
having count(*) > {{ var('max_gaps') }}
