{#
    Raw fills with the same ids (block, or without one the instant; coin, tid, user, oid, side) that
    differ in price, size, role, PnL or fee. `fills` has the first to arrive of them. A warning
    (2026-12-01): it is what the venue says of one fill, and must not stop the others.
#}
{{ config(severity='warn', meta={'by_unit': true}) }}

with

raw_fills as (

    select
        exchange,
        date,
        coin,
        ts_event,
        tid,
        hash(block_number, if(block_number is null, ts_event, null), coin, tid, user, oid, side)
            as ids_hash,
        hash(px, sz, crossed, closedPnl, fee, feeToken) as said_hash
    from {{ lake_source('raw', 'fills') }}

)

select
    exchange,
    min(coin) as symbol,
    date,
    min(ts_event) as ts_event,
    min(tid) as tid,
    count(distinct said_hash) as version_count
from raw_fills
group by exchange, date, ids_hash
having min(said_hash) <> max(said_hash)
