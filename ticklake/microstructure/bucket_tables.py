"""Trades of a day to a table of volume buckets with VPIN: the columns of `bars.vpin_buckets`."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa

from ticklake.microstructure.bar_tables import DECIMAL, TIME, Day, instants, refuse_flood
from ticklake.microstructure.exact import decimals_of, fitting, scaled_up, to_decimal
from ticklake.microstructure.vpin import Buckets, volume_buckets, vpin
from ticklake.microstructure.windows import Floats, Ints

HALVES: Final = pa.decimal128(38, 13)
"""Half of a size has one decimal more than the size."""

SCHEMA: Final = pa.schema(
    [
        ("exchange", pa.string()),
        ("date", pa.date32()),
        ("symbol", pa.string()),
        ("threshold", DECIMAL),
        ("bar_seq", pa.int64()),
        ("ts_open", TIME),
        ("ts_close", TIME),
        ("ts_available", TIME),
        ("volume", DECIMAL),
        ("buy_volume", HALVES),
        ("sell_volume", HALVES),
        ("vpin", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Filled:
    """The complete buckets of a day, in order, with VPIN after each."""

    buckets: Buckets
    decimals: int
    """Of the units that their volumes are in."""
    known_us: Ints
    """When each was known: its last trade was, and so was every bucket before it."""
    vpin: Floats


def filled(day: Day, threshold: Decimal, window: int, earlier: Filled | None = None) -> Filled:
    """Return the complete buckets of a day; VPIN is over `window`, those of the day before too."""
    least = max(decimals_of(threshold), earlier.decimals if earlier else 0)
    size = day.size.to(max(day.size.decimals, least))
    bucket = size.of(threshold)
    refuse_flood(day, size.values, bucket, threshold)
    buckets = volume_buckets(size.values, day.sign, bucket)
    known = day.ts_known[buckets.last_trade]
    before = None
    if earlier and len(earlier.known_us):
        known = np.maximum(known, earlier.known_us[-1])
        imbalance = earlier.buckets.twice_imbalance[-window:]
        before = scaled_up(imbalance, earlier.decimals, size.decimals).values
    values = vpin(buckets.twice_imbalance, bucket, before, window)
    return Filled(buckets, size.decimals, known, values)


def bucket_table(
    day: Day, threshold: Decimal, window: int, earlier: Filled | None = None
) -> pa.Table:
    """Return the complete buckets of a day as rows."""
    found = filled(day, threshold, window, earlier)
    buckets, decimals = found.buckets, found.decimals
    count = len(buckets.last_trade)
    columns = [
        *day.keys(count),
        pa.repeat(pa.scalar(threshold, DECIMAL), count),
        np.arange(1, count + 1),
        instants(day.ts_event[buckets.first_trade]),
        instants(day.ts_event[buckets.last_trade]),
        instants(found.known_us),
        pa.repeat(pa.scalar(threshold, DECIMAL), count),
        to_decimal(fitting(buckets.twice_buy, 5) * 5, decimals + 1, HALVES),
        to_decimal(fitting(buckets.twice_sell, 5) * 5, decimals + 1, HALVES),
        pa.array(found.vpin, from_pandas=True),  # not a number is null
    ]
    return pa.table(columns, schema=SCHEMA)
