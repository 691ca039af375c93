{# One row per fill: one side of one execution, as the venue reported it to one user. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'ts_event', 'block_number', 'event_index', 'tid', 'user', 'oid', 'side'],
) }}

{# A fill is the same fill when these are equal and it is of the same block (or instant). #}
{%- set fill_key = ['exchange', 'date', 'coin', 'tid', 'user', 'oid', 'side'] | join(', ') %}

with

raw_fills as not materialized (

    select
        *,
        hash({{ fill_key }}) as fill_key_hash
    from {{ lake_source('raw', 'fills') }}

),

{# Nearly every fill is there once, so a narrow hash first finds the few rows worth comparing. #}
repeated_hashes as (

    select fill_key_hash
    from raw_fills
    group by fill_key_hash
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
        {# The change-over hour is there twice: in the older form without blocks, and by block. #}
        bool_or(block_number is not null) over (
            partition by {{ fill_key }}, ts_event
        ) as is_known_by_block
    from raw_fills
    where fill_key_hash in (select fill_key_hash from repeated_hashes)

),

duplicates as (

    select exchange, date, segment, segment_row
    from compared
    where arrival > 1 or (is_legacy and is_known_by_block)

),

fills as (

    select
        exchange,
        date,
        coin as symbol,
        ts_event,
        block_time,
        block_number,
        event_index,
        user,
        case side when 'B' then 'buy' when 'A' then 'sell' end as side,
        {{ exact_decimal('px') }} as price,
        {{ exact_decimal('sz') }} as size,
        {{ exact_decimal('startPosition') }} as start_position,
        dir as direction,
        {{ exact_decimal('closedPnl') }} as closed_pnl,
        crossed as is_taker,
        {{ exact_decimal('fee') }} as fee,
        feeToken as fee_token,
        oid,
        tid,
        hash,
        cloid,
        builder,
        {{ exact_decimal('builderFee') }} as builder_fee,
        twapId as twap_id,
        {{ exact_decimal('deployerFee') }} as deployer_fee,
        {{ exact_decimal('priorityGas') }} as priority_gas,
        liquidation.liquidatedUser as liquidated_user,
        {{ exact_decimal('liquidation.markPx') }} as liquidation_mark_price,
        liquidation.method as liquidation_method,
        local_time,
        extra
    from raw_fills
    anti join duplicates using (exchange, date, segment, segment_row)

)

select * from fills
