{# One row per exchange, date, user and symbol the user had a fill in. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['user', 'symbol'],
    time_column=none,
) }}

with

too_large as (

    {{ sums_too_large('fills') }}

),

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
    anti join too_large using (exchange, date, symbol)

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

numbered as (

    select
        *,
        row_number() over (
            partition by exchange, date, user, symbol order by fee_token nulls last
        ) as token_number,
        struct_pack(token := fee_token, fee := fee) as token_fee
    from by_token

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
        min(fee_token) as first_token,
        sum(fee) filter (where token_number = 1) as first_fee,
        {# Hardly any wallet has these. A list for each would not fit into memory. #}
        list(token_fee order by fee_token) filter (
            where token_number > 1 and fee_token is not null
        ) as further_fees,
        sum(closed_pnl) as realized_pnl
    from numbered
    group by exchange, date, user, symbol

),

wallet_daily as (

    select
        exchange,
        date,
        user,
        symbol,
        maker_notional,
        taker_notional,
        maker_fill_count,
        taker_fill_count,
        dust_fill_count,
        {# Fees in different tokens are different things: never one sum. #}
        case
            when first_token is not null
                then map_from_entries(
                    list_prepend(
                        struct_pack(token := first_token, fee := first_fee),
                        coalesce(further_fees, [])
                    )
                )
        end as fees,
        realized_pnl
    from wallets

)

select * from wallet_daily
