-- The liquidations of a day: what was taken from whom.
select ts_event, symbol, side, price, size, liquidation_mark_price as mark_price, liquidated_user
from compacted.fills
where date = '2025-08-01' and user = liquidated_user
order by ts_event, block_number, event_index
limit 5
