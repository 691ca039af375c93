"""One row per bar of a given number of trades."""

from ticklake.bar_models import threshold_bars


def model(dbt, session):
    return threshold_bars(
        dbt.ref("trades"),
        dbt.ref("bar_thresholds"),
        ["tick"],
        dbt.config.meta_get("bars_per_day"),
    )
