{# One row per fill: one side of one execution, as the venue reported it to one user. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=[
        'symbol', 'ts_event', 'block_number nulls first', 'event_index', 'tid', 'user', 'oid', 'side', 'version'
    ],
) }}

{%- set row_key = 'exchange, date, segment, segment_row' %}
{%- set ids = 'exchange, date, coin, tid, user, oid, side' %}
{#- What every file says of a fill, besides the block: the older files lack it. -#}
{%- set said = ids ~ ', ts_event, px, sz, crossed, dir, hash'
    ~ ', startPosition, closedPnl, fee, feeToken' %}

with

{# Not materialized: reading a day of raw fills several times takes less memory than holding it. #}
raw_fills as not materialized (

    select
        *,
        hash({{ ids }}) as ids_hash
    from {{ lake_source('raw', 'fills') }}

),

{# Almost every fill is there once: a narrow hash finds the few rows that need a closer look. #}
repeated as (

    select ids_hash
    from raw_fills
    group by ids_hash
    having count(*) > 1

),

suspects as (

    select
        {{ ids }},
        ts_event,
        crossed,
        dir,
        hash,
        feeToken,
        block_number,
        segment,
        segment_row,
        px,
        sz,
        startPosition,
        closedPnl,
        fee
    from raw_fills
    where ids_hash in (select repeated.ids_hash from repeated)

),

{#
    A duplicate is equal in all that is said. The first arrival stays, but a fill by block rather than
    the same one without: the change-over hour has both.
#}
distinct_suspects as (

    select *
    from suspects
    qualify
        row_number() over (partition by {{ said }}, block_number order by segment, segment_row) = 1
        and (
            block_number is not null
            or not bool_or(block_number is not null) over (partition by {{ said }})
        )

),

{# Fills with equal ids and times that differ in something else are all kept, and numbered. #}
versions as (

    select
        {{ row_key }},
        row_number() over (
            partition by {{ ids }}, ts_event
            order by block_number, segment, segment_row
        ) as version
    from distinct_suspects

),

block_parts as (

    select exchange, date, block_number, segment, max(cast(event_index as bigint)) + 1 as part_size
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

duplicates as (

    select {{ row_key }} from suspects
    except
    select {{ row_key }} from versions

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
        cast(coalesce(versions.version, 1) as integer) as version,
        px as price,
        sz as size,
        crossed as is_taker,
        dir as direction,
        startPosition as start_position,
        closedPnl as closed_pnl,
        fee,
        feeToken as fee_token,
        builderFee as builder_fee,
        deployerFee as deployer_fee,
        priorityGas as priority_gas,
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
    left join versions using (exchange, date, segment, segment_row)
    left join continued using (exchange, date, block_number, segment)

)

select * from fills
