"""What a trade paid: effective and realized spread, price impact.

Huang and Stoll, J. Financial Economics 41(3), 1996. `d` is +1 where the aggressor bought and -1
where it sold, `p` the price, `M-` the mid strictly before the trade (a snapshot at the trade's own
time may already show it), `M+` the mid a while later:

    effective = 2 d (p - M-)        realized = 2 d (p - M+)        impact = 2 d (M+ - M-)

so that effective = realized + impact. All in units of price; NaN is undefined.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ticklake.microstructure.trades import Signs
from ticklake.microstructure.windows import Floats, Ints

MAX_GAP_US: Final = 300_000_000


def quote_before(
    trade_ts: Ints, row_ts: Ints, mid: Floats, max_gap_us: int = MAX_GAP_US
) -> tuple[Floats, Ints]:
    """Return the mid of the last valid row strictly before each trade, and its age.

    `mid` is NaN on rows that are not valid. NaN and -1 where there is no such row, or none that is
    at most `max_gap_us` old. Ints in microseconds, rows in order.
    """
    valid = ~np.isnan(mid)
    times, mids = row_ts[valid], mid[valid]
    last = np.searchsorted(times, trade_ts, side="left") - 1
    age = trade_ts - _at(times, last)
    is_known = (last >= 0) & (age <= max_gap_us)
    return _taken(mids, last, is_known), np.where(is_known, age, -1)


def mid_after(
    trade_ts: Ints,
    row_ts: Ints,
    mid: Floats,
    delay_us: int,
    max_gap_us: int = MAX_GAP_US,
) -> Floats:
    """Return the mid in force `delay_us` after each trade: that of the last valid row by then.

    NaN where no row is that late: then the mid is not known yet; and where the last valid row is
    more than `max_gap_us` older than the moment asked for.
    """
    valid = ~np.isnan(mid)
    times, mids = row_ts[valid], mid[valid]
    moment = trade_ts + delay_us
    last = np.searchsorted(times, moment, side="right") - 1
    is_known = (len(row_ts) > 0) & (moment <= (row_ts[-1] if len(row_ts) else 0))
    return _taken(mids, last, is_known & (last >= 0) & (moment - _at(times, last) <= max_gap_us))


def effective_spread(price: Floats, sign: Signs, before: Floats) -> Floats:
    """Return 2 d (p - M-), NaN where the side is unknown."""
    return 2.0 * _direction(sign) * (price - before)


def realized_spread(price: Floats, sign: Signs, after: Floats) -> Floats:
    """Return 2 d (p - M+): what is left to the maker once the mid has moved."""
    return 2.0 * _direction(sign) * (price - after)


def price_impact(sign: Signs, before: Floats, after: Floats) -> Floats:
    """Return 2 d (M+ - M-): by how much the mid went the way of the trade."""
    return 2.0 * _direction(sign) * (after - before)


def _direction(sign: Signs) -> Floats:
    return np.where(sign == 0, np.nan, sign.astype(np.float64))


def _at(values: npt.NDArray[Any], index: Ints) -> npt.NDArray[Any]:
    """Return the values at some places, something at places before the first."""
    return values[np.maximum(index, 0)] if len(values) else np.zeros(len(index), values.dtype)


def _taken(values: Floats, index: Ints, where: npt.NDArray[np.bool_]) -> Floats:
    return np.where(where, _at(values, index), np.nan)
