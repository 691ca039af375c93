{#
    Raw rows = fills + duplicates, for each exchange and day: nothing lost, nothing doubled. This says a
    second time and differently what a duplicate is: the fills whose ids are there once, the distinct
    fills of blocks among the others, and the distinct fills without a block that no block has.
#}
{{ config(meta={'by_unit': true}) }}

with

raw_fills as not materialized (

    select
        *,
        hash(coin, tid, user, oid, side) as ids_hash
    from {{ lake_source('raw', 'fills') }}

),

repeated_ids as (

    select ids_hash
    from raw_fills
    group by ids_hash
    having count(*) > 1

),

repeated as (

    select
        exchange,
        date,
        ts_event,
        block_number,
        hash(
            ids_hash,
            crossed,
            dir,
            hash,
            feeToken,
            px,
            sz,
            startPosition,
            closedPnl,
            fee
        ) as fill_hash
    from raw_fills
    semi join repeated_ids using (ids_hash)

),

by_block as (

    select distinct exchange, date, ts_event, block_number, fill_hash
    from repeated
    where block_number is not null

),

legacy as (

    select exchange, date, ts_event, fill_hash
    from repeated
    where block_number is null
    except
    select exchange, date, ts_event, fill_hash
    from repeated
    where block_number is not null

),

counted as (

    select exchange, date, count(*) as raw_count, 0 as fill_count
    from raw_fills
    anti join repeated_ids using (ids_hash)
    group by exchange, date
    union all
    select exchange, date, count(*) as raw_count, 0 as fill_count
    from by_block
    group by exchange, date
    union all
    select exchange, date, count(*) as raw_count, 0 as fill_count
    from legacy
    group by exchange, date
    union all
    select exchange, date, 0 as raw_count, count(*) as fill_count
    from {{ lake_ref('fills') }}
    group by exchange, date

)

select
    exchange,
    date,
    sum(raw_count) as raw_count,
    sum(fill_count) as fill_count
from counted
group by exchange, date
having sum(raw_count) <> sum(fill_count)
