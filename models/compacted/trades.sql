{# One row per trade: the two fills of an execution seen as one, from the taker's side. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'date'],
    unit_by=['exchange', 'date'],
    order_by=['trade_seq'],
) }}

with

legs as (

    select
        exchange,
        date,
        symbol,
        ts_event,
        block_number,
        tid,
        event_index,
        user,
        side,
        price,
        size,
        is_taker,
        liquidated_user is not null as is_liquidation
    from {{ lake_ref('fills') }}
    where tid <> 0  -- dust conversions have no counterparty

),
