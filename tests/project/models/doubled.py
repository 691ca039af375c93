"""One row per tick: a Python model."""

from ticklake.lake.paths import project  # any module of ticklake counts as code  # noqa: F401


def model(dbt, session):
    ticks = dbt.ref("ticks")
    return ticks.project("exchange, symbol, date, ts_event, value * 2 as doubled").arrow()
