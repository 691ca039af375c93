-- Trade flow imbalance per 15 minutes: (buys - sells) / (buys + sells), NULL where nothing traded.
select
    symbol,
    ts_open,
    trade_count,
    round(
        cast(buy_volume - sell_volume as double)
        / nullif(cast(buy_volume + sell_volume as double), 0), 3
    ) as tfi
from bars.time_bars
where exchange = 'hyperliquid' and date = '2025-08-01' and bar_seconds = 900
order by trade_count desc, symbol asc, ts_open asc
limit 5
