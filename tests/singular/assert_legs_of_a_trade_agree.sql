{#
    Fills of one trade id that differ in price or size. They are of different trades in `fill_trades`.

    A warning (2026-12-01): it is what the venue says of one trade, and must not stop the others.
#}
{{ config(severity='warn', meta={'by_unit': true}) }}

select
    exchange,
    symbol,
    date,
    ts_event,
    block_number,
    tid,
    count(*) as fill_count,
    min(price) as lowest_price,
    max(price) as highest_price,
    min(size) as smallest_size,
    max(size) as largest_size
from {{ lake_ref('fills') }}
where tid <> 0
group by exchange, symbol, date, ts_event, block_number, tid
having min(price) <> max(price) or min(size) <> max(size)
