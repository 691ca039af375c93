{# One row per exchange, date, user and symbol the user had a fill in. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['user', 'symbol'],
    time_column=none,
) }}

with

fills as (

    select
        exchange,
        date,
        user,
        symbol,
        fee_token,
        fee,
        closed_pnl,
        {{ exact_notional('price', 'size') }} as notional,
        is_taker,
        tid = 0 as is_dust
    from {{ lake_ref('fills') }}

),

by_token as (

    select
        exchange,
        date,
        user,
        symbol,
        fee_token,
        sum(if(not is_dust and not is_taker, notional, 0)) as maker_notional,
        sum(if(not is_dust and is_taker, notional, 0)) as taker_notional,
        count_if(not is_dust and not is_taker) as maker_fill_count,
        count_if(not is_dust and is_taker) as taker_fill_count,
        count_if(is_dust) as dust_fill_count,
        sum(fee) as fee,
        sum(closed_pnl) as closed_pnl
    from fills
    group by exchange, date, user, symbol, fee_token

),

wallets as (

    select
        exchange,
        date,
        user,
        symbol,
        sum(maker_notional) as maker_notional,
        sum(taker_notional) as taker_notional,
        cast(sum(maker_fill_count) as bigint) as maker_fill_count,
        cast(sum(taker_fill_count) as bigint) as taker_fill_count,
        cast(sum(dust_fill_count) as bigint) as dust_fill_count,
        {# Fees in different tokens are different things: never one sum. #}
        map_from_entries(
            list(struct_pack(token := fee_token, fee := fee) order by fee_token)
            filter (where fee_token is not null)
        ) as fees,
        sum(closed_pnl) as realized_pnl
    from by_token
    group by exchange, date, user, symbol

)

select * from wallets
