"""One row per book row: what the trades say. The columns of `featured.trade_flow`."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ticklake.microstructure.book import KEYS, Book, read_day, to_arrow
from ticklake.microstructure.exact import Integers, Scaled, fitting, scaled
from ticklake.microstructure.flow import chain
from ticklake.microstructure.returns import mid_changes
from ticklake.microstructure.trade_flow import Intervals, intervals, price_impact_fit, rolling
from ticklake.microstructure.trades import clock_us, in_order, read_trades, signs
from ticklake.microstructure.vpin import as_of, volume_buckets, vpin
from ticklake.microstructure.windows import Floats, Ints

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What the features depend on besides book and trades. Times are in seconds."""

    horizons_s: Sequence[int] = (5, 15, 60, 300, 900)
    regression_s: int = 300
    max_gap_s: int = 300
    warmup_s: int = 1_200
    buckets: int = 50
    """How many volume buckets VPIN is the mean over."""
    bucket_volume: Decimal | None = None
    """VPIN's V. None for a `buckets`-th of the volume of the day before."""

    def __post_init__(self) -> None:
        needed = max([*self.horizons_s, self.regression_s]) + self.max_gap_s
        if self.warmup_s < needed:
            raise ValueError(
                f"warmup_s is {self.warmup_s}, less than the {needed} s that the longest window "
                "and max_gap_s before it look back; raise it or shorten them"
            )


DEFAULTS: Final = Settings()


def schema(settings: Settings = DEFAULTS) -> pa.Schema:
    """Return the columns of `trade_features`."""
    whole, real = pa.int64(), pa.float64()
    fields: dict[str, pa.DataType] = {
        "ts": pa.timestamp("us", "UTC"),
        **dict.fromkeys(("buy_volume", "sell_volume", "trade_volume", "notional"), real),
        "trade_count": whole,
        **dict.fromkeys(("signed_volume", "tfi", "trade_vwap"), real),
    }
    for horizon in settings.horizons_s:
        fields |= {
            f"buy_volume_{horizon}s": real,
            f"sell_volume_{horizon}s": real,
            f"trade_count_{horizon}s": whole,
            f"tfi_{horizon}s": real,
        }
    fields |= {
        "kyle_lambda": real,
        "kyle_lambda_r2": real,
        "kyle_lambda_n": whole,
        "hasbrouck_lambda": real,
        "vpin": real,
    }
    return pa.schema([*KEYS, *fields.items()])


def trade_features(
    book: pa.Table,
    trades: pa.Table,
    book_before: pa.Table | None = None,
    trades_before: pa.Table | None = None,
    settings: Settings = DEFAULTS,
) -> pa.Table:
    """Return the trade features of each row of `book`, in its order, as FEATURES.md defines them.

    `book` and `trades` are the partitions of a symbol and day, `*_before` those of the day before:
    of the book its end is enough, of the trades all is needed, because volume buckets begin at
    midnight. The result has the columns of `schema()`; undefined is null.
    """
    day, positions = read_day(book, book_before, settings.warmup_s * SECOND_US)
    known = trades if trades_before is None else pa.concat_tables([trades_before, trades])
    series = read_trades(in_order(known))
    between = intervals(day.ts_us, series)
    columns: dict[str, Any] = {
        "ts": day.ts_us,
        "buy_volume": between.volumes.buy_volume,
        "sell_volume": between.volumes.sell_volume,
        "trade_volume": between.volumes.trade_volume,
        "notional": between.notional,
        "trade_count": between.trade_count,
        "signed_volume": between.volumes.signed_volume,
        "tfi": between.volumes.tfi,
        "trade_vwap": between.trade_vwap,
    }
    for horizon in settings.horizons_s:
        window = rolling(day.ts_us, series, horizon * SECOND_US)
        columns |= {
            f"buy_volume_{horizon}s": window.volumes.buy_volume,
            f"sell_volume_{horizon}s": window.volumes.sell_volume,
            f"trade_count_{horizon}s": window.trade_count,
            f"tfi_{horizon}s": window.volumes.tfi,
        }
    columns |= _impact(day, between, settings)
    columns["vpin"] = _vpin(day.ts_us, trades, trades_before, settings)
    fields = schema(settings)
    keys = [book[key.name].cast(key.type) for key in KEYS]
    own = [
        to_arrow(columns[field.name][positions], field.type) for field in list(fields)[len(KEYS) :]
    ]
    return pa.table([*keys, *own], schema=fields)


def _impact(day: Book, between: Intervals, settings: Settings) -> dict[str, Any]:
    previous, _ = chain(day, settings.max_gap_s * SECOND_US)
    change, log_return = mid_changes(day.mid, previous)
    window_us = settings.regression_s * SECOND_US
    kyle = price_impact_fit(day.ts_us, change, between.volumes.signed_volume, window_us)
    hasbrouck = price_impact_fit(day.ts_us, log_return, between.signed_root_notional, window_us)

    def on_valid_rows(values: Floats) -> Floats:
        return np.where(day.is_valid, values, np.nan)

    return {
        "kyle_lambda": on_valid_rows(kyle.slope),
        "kyle_lambda_r2": on_valid_rows(kyle.r2),
        "kyle_lambda_n": kyle.counts,
        "hasbrouck_lambda": on_valid_rows(hasbrouck.slope),
    }


def _vpin(
    row_ts: Ints, trades: pa.Table, trades_before: pa.Table | None, settings: Settings
) -> Floats:
    """Return VPIN as of each row, by buckets that begin at the midnight of each day."""
    volume, count = settings.bucket_volume, settings.buckets
    days = [in_order(day) for day in (trades_before, trades) if day is not None]
    least = 0 if volume is None else max(0, -int(volume.normalize().as_tuple().exponent))
    sizes = _same_units([scaled(day["size"], least) for day in days])
    values = [size.values for size in sizes]
    if volume is not None:
        bucket = sizes[-1].of(volume)
    else:
        # In units of a `count`-th of those of the sizes, so that the quotient is a whole number.
        bucket = int(fitting(values[0]).sum()) if trades_before is not None else 0
        values = [fitting(size, count) * count for size in values]
    if bucket <= 0:
        return np.full(len(row_ts), np.nan)
    filled = [
        volume_buckets(size, signs(day), bucket) for size, day in zip(values, days, strict=True)
    ]
    known = [clock_us(day)[buckets.last_trade] for buckets, day in zip(filled, days, strict=True)]
    series: list[Floats] = []
    earlier: Integers | None = None
    for buckets in filled:
        series.append(vpin(buckets.twice_imbalance, bucket, earlier, count))
        earlier = buckets.twice_imbalance
    # A trade of yesterday may be received after one of today; until then, today's has no value.
    times = np.maximum.accumulate(np.concatenate(known))
    return as_of(row_ts, times, np.concatenate(series))


def _same_units(columns: list[Scaled]) -> list[Scaled]:
    finest = max(column.decimals for column in columns)
    return [column.to(finest) for column in columns]
