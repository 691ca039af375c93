{# One row per trade known by fills: the two of an execution seen as one, from the taker's side. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'trade_seq'],
    units_from='fills',
) }}

with

legs as (

    select
        exchange,
        symbol,
        date,
        ts_event,
        block_number,
        event_index,
        tid,
        user,
        side,
        price,
        size,
        is_taker,
        -- Of some liquidations the venue does not say who was liquidated.
        coalesce(liquidated_user, liquidation_method) is not null as is_of_liquidation
    from {{ lake_ref('fills') }}
    where tid <> 0  -- a dust conversion has no counterparty: it is a fill, but no trade

),

{#
    The taker's leg speaks for the trade; a maker's if the venue left the taker's out. Legs with
    another price or size are of another trade, whatever their id.
#}
led as (

    select
        *,
        row_number() over legs_of_trade as leg_number,
        count(*) over legs_of_trade as leg_count,
        first_value(if(not is_taker, user, null) ignore nulls) over legs_of_trade as maker_user,
        bool_or(is_of_liquidation) over legs_of_trade as is_liquidation
    from legs
    window legs_of_trade as (
        partition by exchange, symbol, date, ts_event, block_number, tid, price, size
        order by not is_taker, event_index, user, side
        rows between unbounded preceding and unbounded following
    )

),

{# The venue's own prints of these symbols count too: at one instant they come first. #}
merged as (

    select *
    from led
    where leg_number = 1
    union all by name
    select exchange, symbol, date, ts_event
    from {{ lake_ref('prints') }}
    semi join legs using (exchange, symbol, date)

),

numbered as (

    select
        *,
        row_number() over (
            partition by exchange, symbol, date
            order by
                ts_event,
                leg_count is not null,
                block_number nulls first,
                event_index, tid, price, size
        ) as trade_seq
    from merged

),

fill_trades as (

    select
        exchange,
        symbol,
        date,
        trade_seq,
        ts_event,
        cast(tid as varchar) as trade_id,
        price,
        size,
        case
            when is_taker then side
            when side = 'buy' then 'sell'
            when side = 'sell' then 'buy'
        end as side,
        if(is_taker, user, null) as taker_user,
        maker_user,
        block_number,
        is_liquidation,
        leg_count
    from numbered
    where leg_count is not null

)

select * from fill_trades
