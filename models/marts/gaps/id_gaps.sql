{# One row per hole in the ids of a symbol's aggregated trades. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'gap_seq'],
    lookback={'trades': 1},
    time_column=none,
) }}

with

trades as (

    select
        exchange,
        symbol,
        ts_event,
        first_id,
        last_id,
        first_id - first_id % 65536 as block
    from {{ lake_ref('trades') }}
    where first_id is not null

),

{# Almost every block of ids is whole and goes on where the one before ended. #}
blocks as (

    select
        exchange,
        symbol,
        block,
        min(first_id) as first_id,
        max(last_id) as last_id,
        sum(last_id - first_id + 1) as id_count
    from trades
    group by exchange, symbol, block

),

broken_blocks as (

    select
        exchange,
        symbol,
        block,
        lag(block) over blocks_of_symbol as previous_block
    from blocks
    window blocks_of_symbol as (partition by exchange, symbol order by block)
    qualify
        id_count <> last_id - first_id + 1
        or first_id <> lag(last_id) over blocks_of_symbol + 1

),

{# The trades of those that are not, and of the blocks before them. #}
suspects as (

    select
        *,
        (exchange, symbol, block) in (
            select (broken_blocks.exchange, broken_blocks.symbol, broken_blocks.block)
            from broken_blocks
        ) as is_broken
    from trades
    where
        is_broken
        or (exchange, symbol, block) in (
            select (broken_blocks.exchange, broken_blocks.symbol, broken_blocks.previous_block)
            from broken_blocks
        )

),

compared as (

    select
        exchange,
        symbol,
        first_id as place,
        is_broken,
        lag(ts_event) over ids as ts_from,
        ts_event as ts_to,
        first_id - 1 - max(last_id) over (ids rows between unbounded preceding and 1 preceding)
            as missing_count
    from suspects
    window ids as (partition by exchange, symbol order by first_id, last_id, ts_event)

),

id_gaps as (

    select
        exchange,
        cast(ts_to at time zone 'UTC' as date) as date,
        symbol,
        row_number() over (partition by exchange, date, symbol order by place) as gap_seq,
        ts_from,
        ts_to,
        cast(missing_count as bigint) as missing_count
    from compared
    where is_broken and missing_count > 0

)

select * from id_gaps
