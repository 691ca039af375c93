-- Order flow and the price by minute: what joined and left the best quotes, what the mid did.
select
    date_trunc('minute', ts) as minute,
    count(*) as book_rows,
    round(sum(ofi), 2) as ofi,
    round(sum(signed_volume), 2) as signed_volume,
    round(avg(spread_bps), 3) as spread_bps,
    round(1e4 * sum(log_return), 2) as return_bps
from featured.features
where exchange = 'binance-futures' and symbol = 'BTCUSDT' and date = '2025-08-01'
group by date_trunc('minute', ts)
order by minute asc
limit 5
