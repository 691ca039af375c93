-- What traded most, and how large a trade was.
select
    symbol,
    count(*) as trade_count,
    cast(sum(price * size) as decimal(18, 2)) as notional,
    cast(max(price * size) as decimal(18, 2)) as largest_trade
from compacted.trades
where exchange = 'hyperliquid' and date = '2025-08-01'
group by symbol
order by notional desc
limit 5
