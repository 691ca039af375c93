{#
    Fills, notional and realized PnL of all wallets = those of the fills, to the last digit, for each
    exchange, symbol and day. Fees have a test of their own, token by token.
#}
{{ config(meta={'by_unit': true}) }}

with

too_large as (

    {{ sums_too_large('fills') }}

),

fills as (

    select
        exchange,
        date,
        symbol,
        count(*) as fill_count,
        sum(if(tid = 0, 0, {{ exact_notional('price', 'size') }})) as notional,
        sum(if(tid <> 0 and is_taker, {{ exact_notional('price', 'size') }}, 0)) as taker_notional,
        sum(closed_pnl) as realized_pnl
    from {{ lake_ref('fills') }}
    anti join too_large using (exchange, date, symbol)
    group by exchange, date, symbol

),

wallets as (

    select
        exchange,
        date,
        symbol,
        sum(maker_fill_count + taker_fill_count + dust_fill_count) as fill_count,
        sum(maker_notional) + sum(taker_notional) as notional,
        sum(taker_notional) as taker_notional,
        sum(realized_pnl) as realized_pnl
    from {{ lake_ref('wallet_daily') }}
    group by exchange, date, symbol

)

select exchange, date, symbol
from fills
full join wallets using (exchange, date, symbol)
where
    fills.fill_count is distinct from wallets.fill_count
    or fills.notional is distinct from wallets.notional
    or fills.taker_notional is distinct from wallets.taker_notional
    or fills.realized_pnl is distinct from wallets.realized_pnl
