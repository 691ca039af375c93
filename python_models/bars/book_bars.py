"""One row per bar of time in which a book has rows."""

from ticklake.lake.days import last_row_of_day_before, own_day
from ticklake.microstructure.book_bars import BEFORE, FEATURES, FLOW, book_bars


def model(dbt, session):
    features, flow = dbt.ref("book_features"), dbt.ref("order_flow")
    before = last_row_of_day_before(features, BEFORE)
    lengths_s = dbt.config.meta_get("bar_seconds")
    max_gap_s = dbt.config.meta_get("max_gap_s")
    return book_bars(own_day(features, FEATURES), own_day(flow, FLOW), before, lengths_s, max_gap_s)
