{#
    Raw rows = fills + duplicates, for each exchange and day: nothing lost, nothing doubled. What a
    duplicate is, is said here a second time and differently: the distinct fills of blocks, and the
    distinct fills without a block that no block has.
#}
{{ config(meta={'by_unit': true}) }}

with

raw_fills as (

    select
        exchange,
        date,
        block_number,
        ts_event,
        hash(coin, tid, user, oid, side) as fill_hash
    from {{ lake_source('raw', 'fills') }}

),

by_block as (

    select distinct exchange, date, block_number, fill_hash
    from raw_fills
    where block_number is not null

),

legacy as (

    select exchange, date, ts_event, fill_hash
    from raw_fills
    where block_number is null
    except
    select exchange, date, ts_event, fill_hash
    from raw_fills
    where block_number is not null

),

counted as (

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
