{# One row per trade: the venue's own prints, and the trades known by their fills. #}
{{ config(materialized='view', order_by=['exchange', 'symbol', 'date', 'trade_seq']) }}

with

prints as (

    select
        exchange,
        symbol,
        date,
        trade_seq,
        ts_event,
        ts_capture,
        trade_id,
        price,
        size,
        side,
        first_id,
        last_id,
        cast(null as varchar) as taker_user,
        cast(null as varchar) as maker_user,
        cast(null as bigint) as block_number,
        cast(null as boolean) as is_liquidation,
        cast(null as bigint) as leg_count
    from {{ lake_ref('prints') }}

),

fill_trades as (

    select
        exchange,
        symbol,
        date,
        trade_seq,
        ts_event,
        cast(null as timestamptz) as ts_capture,
        trade_id,
        price,
        size,
        side,
        cast(null as bigint) as first_id,
        cast(null as bigint) as last_id,
        taker_user,
        maker_user,
        block_number,
        is_liquidation,
        leg_count
    from {{ lake_ref('fill_trades') }}

),

{# Each table counts the rows of the other in its trade_seq. #}
trades as (

    select * from prints
    union all
    select * from fill_trades

)

select * from trades
