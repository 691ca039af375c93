"""Changes of the mid: from row to row, and over a horizon."""

import numpy as np

from ticklake.microstructure.compiled import compiled
from ticklake.microstructure.windows import Floats, Ints


def mid_changes(mid: Floats, previous: Ints) -> tuple[Floats, Floats]:
    """Return M - M' and ln(M / M') against each row's previous valid one, NaN without one (C07)."""
    before = mid[previous]
    before[previous < 0] = np.nan
    change: Floats = mid - before
    return change, _log_ratio(mid, before, change)


def returns_since(
    ts_us: Ints,
    mid: Floats,
    starts: Ints,
    horizon_us: int,
    max_gap_us: int,
    rows: slice = slice(None),
) -> Floats:
    """Return ln(M_t / M_{t-h}) of some rows, M_{t-h} the mid of the last valid row up to t - h.

    `starts` are the first rows younger than t - h of each. NaN on rows that are not valid, and
    where that row is more than `max_gap_us` older than t - h.
    """
    own_ts, own_mid = ts_us[rows], mid[rows]
    reference = np.empty(len(own_ts))
    _as_of(ts_us, mid, own_ts, starts, horizon_us, max_gap_us, reference)
    return _log_ratio(own_mid, reference, own_mid - reference)


def _log_ratio(mid: Floats, before: Floats, change: Floats) -> Floats:
    """Return ln(M / M'), of M - M' where that is small: M / M' next to 1 has lost digits.

    M - M' has lost M where M' is many times larger, and overflows where M is.
    """
    with np.errstate(over="ignore"):
        quotient = change / before
    is_far = (quotient < -0.5) | np.isinf(quotient)
    quotient[is_far] = 0
    ratio: Floats = np.log1p(quotient, out=quotient)
    if is_far.any():
        ratio[is_far] = np.log(mid[is_far]) - np.log(before[is_far])
    return ratio


@compiled
def _as_of(
    ts: Ints,
    mid: Floats,
    row_ts: Ints,
    starts: Ints,
    horizon: int,
    max_gap: int,
    reference: Floats,
) -> None:
    position = starts[0] if len(starts) else 0
    last = position - 1
    while last >= 0 and np.isnan(mid[last]):
        last -= 1
    for row in range(len(starts)):
        while position < starts[row]:
            if not np.isnan(mid[position]):
                last = position
            position += 1
        if last >= 0 and row_ts[row] - horizon - ts[last] <= max_gap:
            reference[row] = mid[last]
        else:
            reference[row] = np.nan
