"""Volume buckets and VPIN: order-flow toxicity on a clock of traded volume.

Easley, Lopez de Prado, O'Hara, "Flow Toxicity and Liquidity in a High-frequency World", Review of
Financial Studies 25(5), 2012. A bucket holds exactly `V`: a trade that spans its end is split, and
one larger than `V` fills several. All of it is integer arithmetic, so a bucket of 1.0 is full after
ten trades of 0.1. Volume of unknown side counts half as bought and half as sold.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ticklake.microstructure.exact import Integers, fitting
from ticklake.microstructure.trades import Signs
from ticklake.microstructure.windows import Floats, Ints

BUCKETS: Final = 50


@dataclass(frozen=True, slots=True)
class Buckets:
    """The complete buckets of a day, in order; volumes in half units of the sizes given."""

    first_trade: Ints
    """Index of the trade that the bucket begins in."""
    last_trade: Ints
    """Index of the trade that completes it."""
    twice_buy: Integers
    twice_sell: Integers

    @property
    def twice_imbalance(self) -> Integers:
        """Twice the absolute difference of bought and sold volume."""
        difference: Integers = np.abs(self.twice_buy - self.twice_sell)
        return difference


def volume_buckets(size: Integers, sign: Signs, bucket: int) -> Buckets:
    """Return the complete buckets of the trades of a day.

    `size` are whole numbers, not negative, in the order of the trades; `sign` is +1 where the
    aggressor bought, -1 where it sold, 0 where that is unknown; `bucket` is V in units of `size`.
    """
    if bucket <= 0:
        raise ValueError(f"a bucket holds more than nothing, not {bucket}")
    size = fitting(size, 4)
    until = np.cumsum(size)
    count = int(until[-1]) // bucket if len(until) else 0
    ends = np.arange(1, count + 1).astype(size.dtype) * bucket
    last = np.searchsorted(until, ends, side="left")
    # A bucket begins in the trade that holds the first bit of volume after the one before.
    starts = ends - bucket
    first = np.searchsorted(until, starts, side="right")
    twice_buy_of = size * (1 + sign.astype(np.int64))
    bought = np.cumsum(twice_buy_of)
    # What of its last trade lies beyond the end of the bucket is not in it.
    beyond = (until[last] - ends) * (1 + sign[last].astype(np.int64))
    twice_buy = np.diff(bought[last] - beyond, prepend=np.zeros(1, size.dtype))
    return Buckets(first, last, twice_buy, 2 * bucket - twice_buy)


def vpin(
    twice_imbalance: Integers,
    bucket: int,
    earlier: Integers | None = None,
    count: int = BUCKETS,
) -> Floats:
    """Return VPIN after each bucket: the mean of `abs(B - S) / V` over the last `count` of them.

    `earlier` are yesterday's, which count as long as today has fewer than `count`. NaN before there
    are `count` in all.
    """
    before = earlier[-count:] if earlier is not None else twice_imbalance[:0]
    all_of_them: Any = np.concatenate([before, twice_imbalance]).astype(
        object if object in (before.dtype, twice_imbalance.dtype) else np.int64
    )
    total = np.concatenate([np.zeros(1, all_of_them.dtype), np.cumsum(fitting(all_of_them))])
    result = np.full(len(all_of_them), np.nan)
    if len(all_of_them) >= count:
        sums = (total[count:] - total[:-count]).astype(np.float64)
        result[count - 1 :] = sums / (2.0 * count * bucket)
    return result[len(before) :]


def as_of(row_ts: Ints, completed_ts: Ints, values: Floats) -> Floats:
    """Return for each row the last value of those known at its time, NaN before the first.

    A row sees what was completed by trades with a time at or before its own.
    """
    known = np.searchsorted(completed_ts, row_ts, side="right")
    return np.concatenate([[np.nan], values])[known]
