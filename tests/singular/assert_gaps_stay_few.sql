{#
    No table has more than var `max_gaps` holes of one kind a symbol and day: a feed that breaks so often
    should be looked at before anyone computes on it.
#}
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
