-- The busiest wallets: share of making, realised profit, fees by token.
select
    user,
    symbol,
    cast(maker_notional + taker_notional as decimal(18, 2)) as notional,
    round(cast(maker_notional / nullif(maker_notional + taker_notional, 0) as double), 2) as maker,
    cast(realized_pnl as decimal(18, 2)) as pnl,
    fees
from marts.wallet_daily
where exchange = 'hyperliquid' and date = '2025-08-01'
order by notional desc, user asc, symbol asc
limit 5
