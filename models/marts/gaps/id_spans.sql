{# One row per symbol and day whose trades have numbers as ids: the first and the last id. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol'],
    time_column=none,
) }}

with

{# Ids above 2^62 would overflow sums of two. No exchange counts that far. #}
ids as (

    select
        exchange,
        symbol,
        date,
        ts_event,
        first_id is not null as is_aggregate,
        coalesce(first_id, try_cast(trade_id as bigint)) as id_from,
        coalesce(last_id, id_from) as id_to
    from {{ lake_ref('trades') }}
    where id_from >= 0 and id_to < 4611686018427387904

),

{#
    Trades come in order, so ids that go up by one do so from one row to the next. Rows that have the
    id of the row before are no step.
#}
compared as (

    select
        *,
        {{ is_first_of('exchange', 'symbol', 'date') }} as is_first,
        not is_first and id_from <> lag(id_from) over () as is_step,
        is_step and id_from <> lag(id_to) over () + 1 as is_long_step
    from ids

),

spans as (

    select
        exchange,
        date,
        symbol,
        min(struct_pack(id := id_from, ts := ts_event)) as first_row,
        max(struct_pack(id := id_to, ts := ts_event)) as last_row,
        bool_or(is_aggregate) as has_aggregates,
        count(*) filter (where is_step) as step_count,
        count(*) filter (where is_long_step) as long_step_count
    from compared
    group by exchange, date, symbol

),

id_spans as (

    select
        exchange,
        date,
        symbol,
        first_row.id as first_id,
        last_row.id as last_id,
        first_row.ts as first_ts,
        last_row.ts as last_ts,
        case
            when has_aggregates then true
            when step_count > 0 then long_step_count * 3 <= step_count
        end as is_consecutive
    from spans

)

select * from id_spans
