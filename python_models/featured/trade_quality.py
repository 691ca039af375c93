"""One row per trade: what it paid over the mid before it."""

from ticklake.lake.days import end_of_day_before, own_day
from ticklake.microstructure.book import columns_of
from ticklake.microstructure.trade_costs import READ, trade_costs


def model(dbt, session):
    book, trades = dbt.ref("order_book"), dbt.ref("trades")
    best = columns_of(1)
    head = end_of_day_before(book, best, dbt.config.meta_get("warmup_s"))
    max_gap_s = dbt.config.meta_get("max_gap_s")
    return trade_costs(own_day(trades, READ), own_day(book, best), head, max_gap_s)
