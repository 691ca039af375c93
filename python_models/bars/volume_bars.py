"""One row per bar of a given volume, of whole trades or cut exactly."""

from ticklake.bar_models import threshold_bars


def model(dbt, session):
    return threshold_bars(
        dbt.ref("trades"),
        dbt.ref("bar_thresholds"),
        ["volume", "volume_split"],
        dbt.config.meta_get("bars_per_day"),
    )
