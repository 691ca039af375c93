"""Trades of a day to a table of volume buckets with VPIN: the columns of `bars.vpin_buckets`."""

from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa

from ticklake.microstructure.bar_tables import DECIMAL, TIME, Day, instants, refuse_flood
from ticklake.microstructure.exact import Scaled, decimals_of, fitting, to_decimal
from ticklake.microstructure.vpin import Buckets, volume_buckets, vpin

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


def last_imbalances(day: Day, threshold: Decimal, window: int) -> Scaled:
    """Return twice the imbalance of the last buckets of a day, as many as VPIN is over."""
    buckets, _, decimals = _buckets(day, threshold, 0)
    return Scaled(buckets.twice_imbalance[-window:], decimals)


def bucket_table(day: Day, threshold: Decimal, earlier: Scaled, window: int) -> pa.Table:
    """Return the complete buckets of a day, in order; `earlier` are yesterday's last imbalances."""
    buckets, bucket, decimals = _buckets(day, threshold, earlier.decimals)
    toxicity = vpin(buckets.twice_imbalance, bucket, earlier.to(decimals).values, window)
    count = len(buckets.last_trade)
    columns = [
        *day.keys(count),
        pa.repeat(pa.scalar(threshold, DECIMAL), count),
        np.arange(1, count + 1),
        instants(day.ts_event[buckets.first_trade]),
        instants(day.ts_event[buckets.last_trade]),
        instants(day.ts_known[buckets.last_trade]),
        pa.repeat(pa.scalar(threshold, DECIMAL), count),
        to_decimal(fitting(buckets.twice_buy, 5) * 5, decimals + 1, HALVES),
        to_decimal(fitting(buckets.twice_sell, 5) * 5, decimals + 1, HALVES),
        pa.array(toxicity, from_pandas=True),  # not a number is null
    ]
    return pa.table(columns, schema=SCHEMA)


def _buckets(day: Day, threshold: Decimal, at_least: int) -> tuple[Buckets, int, int]:
    """Return buckets with V and the decimals of the units that both are in."""
    size = day.size.to(max(day.size.decimals, decimals_of(threshold), at_least))
    bucket = size.of(threshold)
    refuse_flood(day, size.values, bucket, threshold)
    return volume_buckets(size.values, day.sign, bucket), bucket, size.decimals
