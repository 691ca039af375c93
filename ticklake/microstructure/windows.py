"""Rolling values over (t - h, t]: one engine for all series whose times are not regular.

Time is cut into blocks of the horizon's length, counted from the epoch. A window reaches into two
blocks at most, so it is a suffix of one block and a prefix of the next, and both are accumulated
from their common border, the window's anchor. Nothing is ever subtracted: a value depends on the
observations in its window and on no other, down to the last bit, however long the history and
wherever a day or a batch was cut. Sums carry their rounding error along (Neumaier 1974), so they
are what exact arithmetic gives, rounded, but for pathological data.

Values are float64 with NaN for NULL; NULL does not count. Times are int64 microseconds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure.compiled import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """The window of each row as positions [start, end) in a series of observations.

    All arrays are int64[rows] and never decrease; start <= anchor <= end. The anchor is the first
    observation in the last block of time that the window reaches into.
    """

    starts: Ints
    anchors: Ints
    ends: Ints

    @property
    def row_counts(self) -> Ints:
        """How many observations are in each window, NULL ones included."""
        return self.ends - self.starts


def row_windows(ts_us: Ints, horizon_us: int, rows: slice = slice(None)) -> Windows:
    """Windows of rows of a series over it; of equal times, those up to the row count (C12).

    Raises ValueError where times decrease or the horizon is not positive.
    """
    own_ts = ts_us[rows]
    _check(own_ts, horizon_us)
    first = rows.indices(len(ts_us))[0]
    ends = np.arange(first + 1, first + 1 + len(own_ts), dtype=np.int64)
    starts, anchors = _borders(ts_us, own_ts, horizon_us)
    return Windows(starts, anchors, ends)


def rolling_sum(values: Floats, windows: Windows) -> Floats:
    """The sum of each window, NaN over nothing."""
    return rolling_sum_and_count(values, windows)[0]


def rolling_mean(values: Floats, windows: Windows) -> Floats:
    """The mean of each window, NaN over nothing."""
    sums, counts = rolling_sum_and_count(values, windows)
    return sums / np.maximum(counts, 1)


def rolling_sum_of_squares(values: Floats, windows: Windows) -> Floats:
    """The sum of the squares of each window, NaN over nothing."""
    return rolling_sum(values * values, windows)


def rolling_sum_and_count(values: Floats, windows: Windows) -> tuple[Floats, Ints]:
    """The sum and the number of the values of each window that are not NULL."""
    rows = len(windows.starts)
    sums, counts = np.empty(rows), np.empty(rows, np.int64)
    _sum(values, windows.starts, windows.anchors, windows.ends, sums, counts)
    return sums, counts


def rolling_std(values: Floats, windows: Windows) -> Floats:
    """The sample standard deviation (ddof 1) of each window, NaN below two values.

    Exactly 0 where all are equal. Deviations are taken from a member of the window.
    """
    std = np.empty(len(windows.starts))
    _std(values, windows.starts, windows.anchors, windows.ends, std)
    return std


@dataclass(frozen=True, slots=True)
class Fit:
    """A least-squares line through each window: y = intercept + slope * x.

    NaN with fewer than three pairs or one and the same x; r2 also where all y are equal.
    """

    slope: Floats
    r2: Floats
    counts: Ints


def rolling_ols(y: Floats, x: Floats, windows: Windows) -> Fit:
    """Regress y on x with an intercept over the pairs of each window that have both."""
    rows = len(windows.starts)
    fit = Fit(np.empty(rows), np.empty(rows), np.empty(rows, np.int64))
    _ols(y, x, windows.starts, windows.anchors, windows.ends, fit.slope, fit.r2, fit.counts)
    return fit


def ranked(values: Floats) -> Ints:
    """The rank of each value among the distinct ones, from 1; 0 for NULL."""
    coded = pa.array(values).dictionary_encode()  # sorting a million values takes longer
    distinct = coded.dictionary.to_numpy()
    ranks = np.where(np.isnan(distinct), 0, np.unique(distinct, return_inverse=True)[1] + 1)
    found: Ints = ranks.astype(np.int64, copy=False)[coded.indices.to_numpy()]
    return found


def rolling_rank(ranks: Ints, windows: Windows) -> Floats:
    """The share of each window's values that are strictly below its last one, by their `ranked`.

    NaN where the last observation is NULL or the window empty.
    """
    share = np.empty(len(windows.starts))
    _rank(ranks, windows.starts, windows.ends, share)
    return share


def _check(ts_us: Ints, horizon_us: int) -> None:
    if horizon_us <= 0:
        raise ValueError(f"the horizon of a window is {horizon_us} us; it has to be positive")
    if len(ts_us) and (falls := np.flatnonzero(ts_us[1:] < ts_us[:-1])).size:
        row = int(falls[0]) + 1
        raise ValueError(f"the times of the rows decrease at position {row}; sort them first")


@compiled
def seen(obs_ts: Ints, row_ts: Ints) -> Ints:
    """How many observations are at or before each row's time. Neither series decreases."""
    counts = np.empty(len(row_ts), np.int64)
    count = 0
    if len(row_ts):
        count = np.searchsorted(obs_ts, row_ts[0], side="right")
    for row in range(len(row_ts)):
        while count < len(obs_ts) and obs_ts[count] <= row_ts[row]:
            count += 1
        counts[row] = count
    return counts


@compiled
def _borders(obs_ts: Ints, row_ts: Ints, horizon: int) -> tuple[Ints, Ints]:
    starts = np.empty(len(row_ts), np.int64)
    anchors = np.empty(len(row_ts), np.int64)
    start = anchor = 0
    if len(row_ts):
        start = np.searchsorted(obs_ts, row_ts[0] - horizon, side="right")
        anchor = np.searchsorted(obs_ts, row_ts[0] // horizon * horizon, side="left")
    for row in range(len(row_ts)):
        ts = row_ts[row]
        while start < len(obs_ts) and obs_ts[start] <= ts - horizon:
            start += 1
        block = ts // horizon * horizon
        while anchor < len(obs_ts) and obs_ts[anchor] < block:
            anchor += 1
        starts[row] = start
        anchors[row] = anchor
    return starts, anchors


@compiled
def _room(starts: Ints, anchors: Ints) -> int:
    """How long the longest suffix is, plus one for the empty suffix."""
    longest = 0
    for row in range(len(starts)):
        longest = max(longest, anchors[row] - starts[row])
    return longest + 1


@compiled
def _two_sum(a: float, b: float) -> tuple[float, float]:
    """A sum and its rounding error, exactly (Knuth)."""
    total = a + b
    rest = total - a
    return total, (a - (total - rest)) + (b - rest)


@compiled
def _sum(
    values: Floats, starts: Ints, anchors: Ints, ends: Ints, sums: Floats, counts: Ints
) -> None:
    # Of the suffix that begins `back` observations before the anchor: sum, error and count.
    room = _room(starts, anchors)
    suffix_sum, suffix_err = np.zeros(room), np.zeros(room)
    suffix_n = np.zeros(room, np.int64)
    anchor, position = -1, 0
    total, err, n = 0.0, 0.0, 0
    for row in range(len(starts)):
        if anchors[row] != anchor:
            anchor = anchors[row]
            total, err, n = 0.0, 0.0, 0
            for back in range(1, anchor - starts[row] + 1):
                value = values[anchor - back]
                if not np.isnan(value):
                    total, rest = _two_sum(total, value)
                    err += rest
                    n += 1
                suffix_sum[back], suffix_err[back], suffix_n[back] = total, err, n
            position = anchor
            total, err, n = 0.0, 0.0, 0
        while position < ends[row]:
            value = values[position]
            if not np.isnan(value):
                total, rest = _two_sum(total, value)
                err += rest
                n += 1
            position += 1
        back = anchor - starts[row]
        counts[row] = n + suffix_n[back]
        if counts[row]:
            both, rest = _two_sum(total, suffix_sum[back])
            sums[row] = both + (rest + (err + suffix_err[back]))
        else:
            sums[row] = np.nan


@compiled
def _std(values: Floats, starts: Ints, anchors: Ints, ends: Ints, std: Floats) -> None:
    # Sums of deviations and of their squares, with errors, as above; each side of the anchor
    # deviates from its own value next to the anchor. As that is in the window, no offset is left
    # to cancel: the squares never exceed n times what remains of them.
    room = _room(starts, anchors)
    suffix = np.zeros((room, 4))
    suffix_n = np.zeros(room, np.int64)
    anchor, position = -1, 0
    pivot = suffix_pivot = 0.0
    dev, dev_err, square, square_err, n = 0.0, 0.0, 0.0, 0.0, 0
    for row in range(len(starts)):
        if anchors[row] != anchor:
            anchor = position = anchors[row]
            dev, dev_err, square, square_err, n = 0.0, 0.0, 0.0, 0.0, 0
            for back in range(1, anchor - starts[row] + 1):
                value = values[anchor - back]
                if not np.isnan(value):
                    if n == 0:
                        suffix_pivot = value
                    value -= suffix_pivot
                    dev, rest = _two_sum(dev, value)
                    dev_err += rest
                    square, rest = _two_sum(square, value * value)
                    square_err += rest
                    n += 1
                suffix[back, 0], suffix[back, 1] = dev, dev_err
                suffix[back, 2], suffix[back, 3] = square, square_err
                suffix_n[back] = n
            dev, dev_err, square, square_err, n = 0.0, 0.0, 0.0, 0.0, 0
        while position < ends[row]:
            value = values[position]
            if not np.isnan(value):
                if n == 0:
                    pivot = value
                value -= pivot
                dev, rest = _two_sum(dev, value)
                dev_err += rest
                square, rest = _two_sum(square, value * value)
                square_err += rest
                n += 1
            position += 1
        back = anchor - starts[row]
        before = suffix_n[back]
        if n + before < 2:
            std[row] = np.nan
            continue
        mean = suffix_mean = scatter = 0.0
        if n:
            mean = (dev + dev_err) / n
            scatter += max(square + square_err - mean * mean * n, 0.0)
        if before:
            suffix_mean = (suffix[back, 0] + suffix[back, 1]) / before
            squares = suffix[back, 2] + suffix[back, 3]
            scatter += max(squares - suffix_mean * suffix_mean * before, 0.0)
        if n and before:
            apart = (pivot - suffix_pivot) + (mean - suffix_mean)
            scatter += apart * apart * (n * before / (n + before))
        std[row] = np.sqrt(scatter / (n + before - 1))


@compiled
def _add_pair(sums: Floats, errors: Floats, dx: float, dy: float) -> None:
    """Add the deviations of one pair to the sums of dx, dy, dx dx, dx dy and dy dy."""
    for term, value in enumerate((dx, dy, dx * dx, dx * dy, dy * dy)):
        sums[term], rest = _two_sum(sums[term], value)
        errors[term] += rest


@compiled
def _ols(
    y: Floats,
    x: Floats,
    starts: Ints,
    anchors: Ints,
    ends: Ints,
    slope: Floats,
    r2: Floats,
    counts: Ints,
) -> None:
    # As in _std, each side of the anchor deviates from its own pair next to the anchor. x is
    # constant where every x equals that of its side and both sides agree: compared, not measured.
    room = _room(starts, anchors)
    suffix, suffix_err = np.zeros((room, 5)), np.zeros((room, 5))
    suffix_n = np.zeros(room, np.int64)
    suffix_flat = np.zeros(room, np.bool_)
    sums, errors = np.zeros(5), np.zeros(5)
    anchor, position, n, flat = -1, 0, 0, True
    pivot_x = pivot_y = suffix_x = suffix_y = 0.0
    for row in range(len(starts)):
        if anchors[row] != anchor:
            anchor = position = anchors[row]
            sums[:], errors[:], n, flat = 0.0, 0.0, 0, True
            for back in range(1, anchor - starts[row] + 1):
                one_x, one_y = x[anchor - back], y[anchor - back]
                if not (np.isnan(one_x) or np.isnan(one_y)):
                    if n == 0:
                        suffix_x, suffix_y = one_x, one_y
                    flat = flat and one_x == suffix_x
                    _add_pair(sums, errors, one_x - suffix_x, one_y - suffix_y)
                    n += 1
                suffix[back], suffix_err[back] = sums, errors
                suffix_n[back], suffix_flat[back] = n, flat
            sums[:], errors[:], n, flat = 0.0, 0.0, 0, True
        while position < ends[row]:
            one_x, one_y = x[position], y[position]
            if not (np.isnan(one_x) or np.isnan(one_y)):
                if n == 0:
                    pivot_x, pivot_y = one_x, one_y
                flat = flat and one_x == pivot_x
                _add_pair(sums, errors, one_x - pivot_x, one_y - pivot_y)
                n += 1
            position += 1
        back = anchor - starts[row]
        before = suffix_n[back]
        counts[row] = n + before
        slope[row] = r2[row] = np.nan
        is_flat = flat and (before == 0 or (suffix_flat[back] and (n == 0 or pivot_x == suffix_x)))
        if counts[row] < 3 or is_flat:
            continue
        xx = xy = yy = mean_x = mean_y = before_x = before_y = 0.0
        if n:
            mean_x, mean_y = (sums[0] + errors[0]) / n, (sums[1] + errors[1]) / n
            xx += max(sums[2] + errors[2] - mean_x * mean_x * n, 0.0)
            xy += sums[3] + errors[3] - mean_x * mean_y * n
            yy += max(sums[4] + errors[4] - mean_y * mean_y * n, 0.0)
        if before:
            side, side_err = suffix[back], suffix_err[back]
            before_x = (side[0] + side_err[0]) / before
            before_y = (side[1] + side_err[1]) / before
            xx += max(side[2] + side_err[2] - before_x * before_x * before, 0.0)
            xy += side[3] + side_err[3] - before_x * before_y * before
            yy += max(side[4] + side_err[4] - before_y * before_y * before, 0.0)
        if n and before:
            apart_x = (pivot_x - suffix_x) + (mean_x - before_x)
            apart_y = (pivot_y - suffix_y) + (mean_y - before_y)
            weight = n * before / (n + before)
            xx += apart_x * apart_x * weight
            xy += apart_x * apart_y * weight
            yy += apart_y * apart_y * weight
        if xx > 0.0:
            slope[row] = xy / xx
            if yy > 0.0:
                r2[row] = min((xy / xx) * (xy / yy), 1.0)


@compiled
def _rank(ranks: Ints, starts: Ints, ends: Ints, share: Floats) -> None:
    """Counts by rank in a binary indexed tree (Fenwick 1994), one for all windows."""
    low = high = starts[0] if len(starts) else 0
    distinct = 0
    for place in range(low, ends[-1] if len(ends) else 0):
        distinct = max(distinct, ranks[place])
    tree = np.zeros(distinct + 1, np.int32)
    n = 0
    for row in range(len(starts)):
        while high < ends[row]:
            node = ranks[high]
            if node:
                n += 1
                while node <= distinct:
                    tree[node] += 1
                    node += node & -node
            high += 1
        while low < starts[row]:
            node = ranks[low]
            if node:
                n -= 1
                while node <= distinct:
                    tree[node] -= 1
                    node += node & -node
            low += 1
        if high == low or ranks[high - 1] == 0:
            share[row] = np.nan
            continue
        below = 0
        node = ranks[high - 1] - 1
        while node:
            below += tree[node]
            node -= node & -node
        share[row] = below / n
