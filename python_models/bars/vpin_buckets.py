"""One row per complete bucket of a given volume, with VPIN."""

from ticklake.bar_models import vpin_buckets


def model(dbt, session):
    return vpin_buckets(
        dbt.ref("trades"),
        dbt.ref("bar_thresholds"),
        dbt.config.meta_get("bars_per_day"),
        dbt.config.meta_get("vpin_buckets"),
    )
