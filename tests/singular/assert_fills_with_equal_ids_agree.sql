{#
    Fills with the same ids (symbol, tid, user, oid, side) and the same time or block, of which one says
    something else than the other. All of them are in `fills`. A warning (2026-12-01): only the source
    can say which of them is true.
#}
{{ config(severity='warn', meta={'by_unit': true}) }}

with

fills as not materialized (

    select
        exchange,
        symbol,
        date,
        ts_event,
        tid,
        version,
        hash(block_number, symbol, tid, user, oid, side) as ids_hash,
        block_number is not null as is_by_block
    from {{ lake_ref('fills') }}

),

repeated as (

    select exchange, date, ids_hash
    from fills
    where is_by_block
    group by exchange, date, ids_hash
    having count(*) > 1

)

select
    exchange,
    symbol,
    date,
    ts_event,
    tid,
    version
from fills
left join repeated using (exchange, date, ids_hash)
where version > 1 or (is_by_block and repeated.ids_hash is not null)
