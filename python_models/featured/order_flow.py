"""One row per book row: order-flow imbalance, returns, volatility and spread regime."""

from functools import partial

from ticklake.lake.days import end_of_day_before, own_batches, own_day
from ticklake.microstructure.book import columns_of
from ticklake.microstructure.level_flows import Levels
from ticklake.microstructure.order_flow import Settings, order_flow


def model(dbt, session):
    book = dbt.ref("order_book")
    settings = Settings(
        horizons_s=dbt.config.meta_get("horizons_s"),
        half_lives_s=dbt.config.meta_get("half_lives_s"),
        max_gap_s=dbt.config.meta_get("max_gap_s"),
        warmup_s=dbt.config.meta_get("warmup_s"),
    )
    count = dbt.config.meta_get("book_levels")
    head = end_of_day_before(book, columns_of(count), settings.warmup_s)
    levels = Levels(count, partial(own_batches, book))
    return order_flow(own_day(book, columns_of(1)), head, settings, levels)
