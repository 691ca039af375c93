"""One row per bar in which buys and sells came apart by a given amount."""

from ticklake.bar_models import threshold_bars


def model(dbt, session):
    return threshold_bars(
        dbt.ref("trades"),
        dbt.ref("bar_thresholds"),
        ["tick_imbalance", "volume_imbalance", "dollar_imbalance"],
        dbt.config.meta_get("bars_per_day"),
    )
