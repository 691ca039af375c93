"""Trades between book rows: volumes, imbalance and VWAP of each row's interval (C10, C11).

A trade belongs to the first row whose time is at or after its own: to row i iff
`ts[i-1] < t <= ts[i]`, where i-1 is the previous row, valid or not. Of rows with equal times the
first takes all. The first row of a symbol has no interval, so its values are undefined.

Rolling values are over the raw trades of (t - h, t], not over sums of intervals (C14).
"""

from dataclasses import dataclass

import numpy as np

from ticklake.microstructure.trades import Trades
from ticklake.microstructure.windows import (
    Fit,
    Floats,
    Ints,
    rolling_ols,
    rolling_sum,
    row_windows,
    window_bounds,
)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Sums over the trades of each row's interval. NaN, and -1 for the count, on the first row."""

    buy_volume: Floats
    sell_volume: Floats
    trade_volume: Floats
    """Of known and unknown side."""
    notional: Floats
    trade_count: Ints
    signed_root_notional: Floats
    """Sum of sign * sqrt(price * size): the regressor of Hasbrouck's lambda."""

    @property
    def signed_volume(self) -> Floats:
        """Bought minus sold volume."""
        return self.buy_volume - self.sell_volume

    @property
    def tfi(self) -> Floats:
        """Trade flow imbalance, (B - S) / (B + S); NaN where nothing of known side traded."""
        return imbalance(self.buy_volume, self.sell_volume)

    @property
    def trade_vwap(self) -> Floats:
        """Notional over volume; NaN where nothing traded."""
        return ratio(self.notional, self.trade_volume)


def rows_of(trade_ts: Ints, row_ts: Ints) -> Ints:
    """Return the row that each trade belongs to: `len(row_ts)` where it is later than all rows."""
    return np.searchsorted(row_ts, trade_ts, side="left").astype(np.int64, copy=False)


def intervals(row_ts: Ints, trades: Trades) -> Intervals:
    """Return the sums over each row's interval. Rows and trades in order, on the same clock."""
    count = len(row_ts)
    # Trades up to the first row have no interval to be in, and those after the last no row yet.
    first = int(np.searchsorted(trades.ts_us, row_ts[0], side="right")) if count else 0
    last = int(np.searchsorted(trades.ts_us, row_ts[-1], side="right")) if count else 0
    row = rows_of(trades.ts_us[first:last], row_ts)
    price, size = trades.price[first:last], trades.size[first:last]
    sign = trades.sign[first:last]

    def summed(values: Floats) -> Floats:
        # Adds in the order of the trades, so the result does not depend on anything else.
        total = np.bincount(row, values, count).astype(np.float64)
        total[:1] = np.nan
        return total

    number = np.bincount(row, minlength=count).astype(np.int64)
    number[:1] = -1
    return Intervals(
        buy_volume=summed(np.where(sign > 0, size, 0.0)),
        sell_volume=summed(np.where(sign < 0, size, 0.0)),
        trade_volume=summed(size),
        notional=summed(price * size),
        trade_count=number,
        signed_root_notional=summed(sign.astype(np.float64) * np.sqrt(price * size)),
    )


@dataclass(frozen=True, slots=True)
class Rolling:
    """Sums over the trades of (t - h, t] of each row. NaN where there is no trade (C13)."""

    buy_volume: Floats
    sell_volume: Floats
    trade_count: Ints

    @property
    def tfi(self) -> Floats:
        """(B - S) / (B + S); NaN where nothing of known side traded."""
        return imbalance(self.buy_volume, self.sell_volume)


def rolling(row_ts: Ints, trades: Trades, horizon_us: int) -> Rolling:
    """Return the sums over the window of each row. All trades of exactly its time are in it."""
    windows = window_bounds(trades.ts_us, row_ts, horizon_us)
    return Rolling(
        buy_volume=rolling_sum(np.where(trades.sign > 0, trades.size, 0.0), windows),
        sell_volume=rolling_sum(np.where(trades.sign < 0, trades.size, 0.0), windows),
        trade_count=windows.row_counts,
    )


def price_impact_fit(row_ts: Ints, change: Floats, flow: Floats, window_us: int) -> Fit:
    """Regress the change of price of each row on the flow of its interval, over (t - w, t].

    Kyle's lambda (Econometrica 53(6), 1985): `change` is the change of mid, `flow` the signed
    volume. Hasbrouck's (J. Finance 64(3), 2009): the log return, and the sum of
    sign * sqrt(price * size).
    """
    return rolling_ols(change, flow, row_windows(row_ts, window_us))


def imbalance(buy: Floats, sell: Floats) -> Floats:
    """Return (B - S) / (B + S), NaN where both are 0."""
    return ratio(buy - sell, buy + sell)


def ratio(value: Floats, by: Floats) -> Floats:
    """Return a quotient, NaN where it is divided by 0."""
    quotient: Floats = np.divide(value, by, out=np.full(len(by), np.nan), where=by != 0)
    return quotient
