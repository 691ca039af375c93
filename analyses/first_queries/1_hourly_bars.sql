-- BTC by the hour: prices, volume, and who pushed.
select ts_open, open, high, low, close, volume, buy_volume - sell_volume as net_volume, is_complete
from bars.time_bars
where exchange = 'hyperliquid' and date = '2025-08-01' and symbol = 'BTC' and bar_seconds = 3600
order by ts_open
limit 5
