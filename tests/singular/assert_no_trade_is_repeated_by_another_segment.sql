{#
    Trades without an id that equal a trade of another segment, as in a full dump and a file of a
    quarter, or a file that was moved and landed again. They are counted, because two trades may be
    equal. A warning (2026-12-01) for that reason: delete one of the segments (`ticklake delete --help`),
    or name the exchange in the var `drop_repeats_of`.
#}
{{ config(
    meta={'by_unit': true},
    severity='warn',
) }}

with

held as (

    select exchange, symbol, date, segment, hash(ts_event, price, size, side) as said_hash
    from {{ lake_source('raw', 'trades') }}
    where trade_id is null and not {{ drops_repeats_of('exchange') }}

),

repeated as (

    select exchange, symbol, date, said_hash
    from held
    group by exchange, symbol, date, said_hash
    having min(segment) <> max(segment)

)

select
    exchange,
    symbol,
    date,
    count(*) as row_count,
    list_sort(array_agg(distinct segment)) as segments
from held
semi join repeated using (exchange, symbol, date, said_hash)
group by exchange, symbol, date
