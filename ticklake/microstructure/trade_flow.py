"""Trades between book rows: volumes, imbalance and VWAP of each row's interval (C10, C11).

A trade belongs to the first row whose time is at or after its own: to row i iff
`ts[i-1] < t <= ts[i]`, where i-1 is the previous row, valid or not. Of rows with equal times the
first takes all. The first row of a symbol has no interval, so its values are undefined.

Rolling values are over the raw trades of (t - h, t], not over sums of intervals (C14).

Sizes are exact decimals, and so are their sums: as much bought as sold is a flow of 0, not of what
rounding leaves, which a regression would take for a regressor that varies.
"""

from dataclasses import dataclass

import numpy as np

from ticklake.microstructure.book import Flags
from ticklake.microstructure.exact import Integers, fitting
from ticklake.microstructure.trades import Trades
from ticklake.microstructure.windows import (
    Floats,
    Ints,
    Windows,
    rolling_sum,
    seen,
)


@dataclass(frozen=True, slots=True)
class Intervals:
    """What was traded in each row's interval. NaN, and -1 for the count, on the first row."""

    buy_volume: Floats
    sell_volume: Floats
    trade_volume: Floats
    """Of known and unknown side."""
    tfi: Floats
    """Trade flow imbalance, (B - S) / (B + S); NaN where nothing of known side traded."""
    trade_count: Ints
    notional: Floats
    trade_vwap: Floats
    """Notional over volume, between the lowest and the highest price; NaN if nothing traded."""


@dataclass(frozen=True, slots=True)
class Rolling:
    """Sums over the trades of (t - h, t] of each row. NaN where there is no trade (C13)."""

    buy_volume: Floats
    sell_volume: Floats
    tfi: Floats
    trade_count: Ints


class TradeFlow:
    """What trades say of the rows of a book. Rows and trades are in order, on the same clock.

    Of the whole day are `signed_volume`, bought minus sold volume of each row's interval, and
    `signed_root_notional`, the sum of sign * sqrt(price * size) over it: what prices are regressed
    on. The rest is made for runs of rows, so that a day of it is never in memory.
    """

    def __init__(self, row_ts: Ints, trades: Trades) -> None:
        self._row_ts, self._trades = row_ts, trades
        size = fitting(trades.size.values)
        self._buy, self._sell = _before(size * (trades.sign > 0)), _before(size * (trades.sign < 0))
        self._traded = _before(size)
        self._notional = trades.price * trades.size.as_floats(trades.size.values)
        self._ends = seen(trades.ts_us, row_ts)
        self._starts = np.concatenate([self._ends[:1], self._ends[:-1]])
        self._has_interval = np.ones(len(row_ts), np.bool_)
        self._has_interval[:1] = False
        day = slice(0, len(row_ts))
        self.signed_volume = self._volume(self._buy - self._sell, day)
        roots = trades.sign.astype(np.float64) * np.sqrt(self._notional)
        self.signed_root_notional = self._sum(roots, day)

    def intervals(self, rows: slice) -> Intervals:
        """Return the sums over the intervals of a run of rows."""
        starts, ends, has_interval = self._starts[rows], self._ends[rows], self._has_interval[rows]
        buy, sell, tfi = self._by_side(starts, ends, has_interval)
        traded, notional = self._volume(self._traded, rows), self._sum(self._notional, rows)
        count = np.where(has_interval, ends - starts, -1)
        vwap = self._within_prices(ratio(notional, traded), starts, ends)
        return Intervals(buy, sell, traded, tfi, count, notional, vwap)

    def rolling(self, horizon_us: int, rows: slice) -> Rolling:
        """Return the sums over the window of each row of a run.

        All trades of exactly its time are in it.
        """
        starts, ends = seen(self._trades.ts_us, self._row_ts[rows] - horizon_us), self._ends[rows]
        count = ends - starts
        return Rolling(*self._by_side(starts, ends, count > 0), count)

    def _sum(self, values: Floats, rows: slice) -> Floats:
        """Return the sum of a value of trades over the interval of each row."""
        starts = self._starts[rows]
        # No interval reaches into another, so each is a window that begins at its anchor.
        windows = Windows(starts, starts, self._ends[rows])
        summed = np.nan_to_num(rolling_sum(values, windows), copy=False)
        summed[~self._has_interval[rows]] = np.nan
        return summed

    def _within_prices(self, vwap: Floats, starts: Ints, ends: Ints) -> Floats:
        """Return averages of prices inside their range, which rounding may have led out of."""
        traded = np.flatnonzero(ends > starts)
        if len(traded):
            # No interval reaches into another: of each pair reduceat reduces [start, end).
            pairs = np.column_stack([starts[traded], ends[traded]]).ravel()
            price = np.append(self._trades.price, 0.0)  # the last pair may end behind the trades
            low = np.minimum.reduceat(price, pairs)[::2]
            high = np.maximum.reduceat(price, pairs)[::2]
            vwap[traded] = np.clip(vwap[traded], low, high)
        return vwap

    def _volume(self, before: Integers, rows: slice) -> Floats:
        """Return what a running total of sizes adds up to over the interval of each row."""
        sums = before[self._ends[rows]] - before[self._starts[rows]]
        volume = self._trades.size.as_floats(sums)
        volume[~self._has_interval[rows]] = np.nan
        return volume

    def _by_side(
        self, starts: Ints, ends: Ints, is_defined: Flags
    ) -> tuple[Floats, Floats, Floats]:
        """Return what was bought, what was sold, and the imbalance of the two."""
        buy, sell = (total[ends] - total[starts] for total in (self._buy, self._sell))
        tfi = ratio((buy - sell).astype(np.float64), (buy + sell).astype(np.float64))
        found = self._trades.size.as_floats(buy), self._trades.size.as_floats(sell), tfi
        for values in found:
            values[~is_defined] = np.nan
        return found


def ratio(value: Floats, by: Floats) -> Floats:
    """Return a quotient, NaN where it is divided by 0."""
    quotient: Floats = np.divide(value, by, out=np.full(len(by), np.nan), where=by != 0)
    return quotient


def _before(values: Integers) -> Integers:
    """Return the sum of the values before each, and of all: one more than there are values."""
    return np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])
