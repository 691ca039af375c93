{# Fees of all wallets = fees of the fills, for each exchange, day, symbol and fee token. #}
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
        fee_token,
        sum(fee) as fee
    from {{ lake_ref('fills') }}
    anti join too_large using (exchange, date, symbol)
    where fee_token is not null
    group by exchange, date, symbol, fee_token

),

wallet_fees as (

    select
        exchange,
        date,
        symbol,
        unnest(map_entries(fees)) as entry
    from {{ lake_ref('wallet_daily') }}

),

wallets as (

    select
        exchange,
        date,
        symbol,
        entry.key as fee_token,
        sum(entry.value) as fee
    from wallet_fees
    group by exchange, date, symbol, entry.key

)

select *
from fills
full join wallets using (exchange, date, symbol, fee_token)
where fills.fee is distinct from wallets.fee
