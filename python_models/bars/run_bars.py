"""One row per bar in which buys or sells reached a given amount."""

from ticklake.bar_models import threshold_bars


def model(dbt, session):
    return threshold_bars(
        dbt.ref("trades"),
        dbt.ref("bar_thresholds"),
        ["tick_run", "volume_run", "dollar_run"],
        dbt.config.meta_get("bars_per_day"),
    )
