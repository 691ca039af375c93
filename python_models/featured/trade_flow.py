"""One row per book row: what was traded since the row before, and over rolling windows."""

from ticklake.bar_models import bucket_volume
from ticklake.lake.days import day_before, end_of_day_before, own_day
from ticklake.microstructure.book import columns_of
from ticklake.microstructure.trade_features import READ, Settings, trade_features


def model(dbt, session):
    book, trades = dbt.ref("order_book"), dbt.ref("trades")
    settings = Settings(
        horizons_s=dbt.config.meta_get("horizons_s"),
        max_gap_s=dbt.config.meta_get("max_gap_s"),
        warmup_s=dbt.config.meta_get("warmup_s"),
        buckets=dbt.config.meta_get("vpin_buckets"),
        bucket_volume=bucket_volume(
            trades, dbt.ref("bar_thresholds"), dbt.config.meta_get("bars_per_day")
        ),
    )
    best = columns_of(1)
    head = end_of_day_before(book, best, settings.warmup_s)
    before = day_before(trades, READ)
    return trade_features(own_day(book, best), own_day(trades, READ), head, before, settings)
