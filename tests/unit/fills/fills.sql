{# What the model `fills` is in SQL: slow, and short enough to be right. Merging is held to it. #}

{#- Together with the block, or without one the instant, these say which fill a row is. -#}
{%- set fill_key = 'exchange, date, coin, tid, user, oid, side' %}

with

{# Not materialized: a day of raw fills is read three times rather than held once. #}
raw_fills as not materialized (

    select
        *,
        hash({{ fill_key }}) as fill_hash
    from {{ lake_source('raw', 'fills') }}

),

{# Almost every fill is there once: a narrow hash finds the few rows that need a closer look. #}
repeated as (

    select fill_hash
    from raw_fills
    group by fill_hash
    having count(*) > 1

),

compared as (

    select
        exchange,
        date,
        segment,
        segment_row,
        block_number is null as is_legacy,
        row_number() over (
            partition by {{ fill_key }}, block_number, if(block_number is null, ts_event, null)
            order by segment, segment_row
        ) as arrival,
        bool_or(block_number is not null) over (
            partition by {{ fill_key }}, ts_event
        ) as is_there_by_block
    from raw_fills
    where fill_hash in (select repeated.fill_hash from repeated)

),

{# First arrival wins, and a fill by block over its legacy form: the change-over hour has both. #}
duplicates as (

    select exchange, date, segment, segment_row
    from compared
    where arrival > 1 or (is_legacy and is_there_by_block)

),

block_parts as (

    select exchange, date, block_number, segment, max(event_index) + 1 as part_size
    from raw_fills
    where block_number is not null
    group by exchange, date, block_number, segment

),

{# A block that goes on in another segment counts on where it stopped. #}
continued as (

    select
        exchange,
        date,
        block_number,
        segment,
        sum(part_size) over (
            partition by exchange, date, block_number
            order by segment
            rows between unbounded preceding and 1 preceding
        ) as earlier_size
    from block_parts
    qualify earlier_size is not null

),

fills as (

    select
        raw_fills.exchange,
        raw_fills.date,
        coin as symbol,
        ts_event,
        block_time,
        raw_fills.block_number,
        cast(event_index + coalesce(earlier_size, 0) as integer) as event_index,
        user,
        case side when 'B' then 'buy' when 'A' then 'sell' end as side,
        {{ exact_decimal('px') }} as price,
        {{ exact_decimal('sz') }} as size,
        crossed as is_taker,
        dir as direction,
        {{ exact_decimal('startPosition') }} as start_position,
        {{ exact_decimal('closedPnl') }} as closed_pnl,
        {{ exact_decimal('fee') }} as fee,
        feeToken as fee_token,
        {{ exact_decimal('builderFee') }} as builder_fee,
        {{ exact_decimal('deployerFee') }} as deployer_fee,
        {{ exact_decimal('priorityGas') }} as priority_gas,
        tid,
        oid,
        cloid,
        hash,
        builder,
        twapId as twap_id,
        struct_extract(liquidation, 'liquidatedUser') as liquidated_user,
        {{ exact_decimal("struct_extract(liquidation, 'markPx')") }} as liquidation_mark_price,
        struct_extract(liquidation, 'method') as liquidation_method,
        local_time,
        extra
    from raw_fills
    anti join duplicates using (exchange, date, segment, segment_row)
    left join continued using (exchange, date, block_number, segment)

)

select * from fills
