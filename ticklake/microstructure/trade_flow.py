"""Trades between book rows: volumes, imbalance and VWAP of each row's interval (C10, C11).

A trade belongs to the first row whose time is at or after its own: to row i iff
`ts[i-1] < t <= ts[i]`, where i-1 is the previous row, valid or not. Of rows with equal times the
first takes all. The first row of a symbol has no interval, so its values are undefined.

Rolling values are over the raw trades of (t - h, t], not over sums of intervals (C14).

Sizes are exact decimals, and so are their sums: as much bought as sold is a flow of 0, not of what
rounding leaves, which a regression would take for a regressor that varies.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ticklake.microstructure.book import Flags
from ticklake.microstructure.exact import Integers, fitting
from ticklake.microstructure.trades import Trades
from ticklake.microstructure.windows import (
    Fit,
    Floats,
    Ints,
    Windows,
    rolling_ols,
    rolling_sum,
    row_windows,
    seen,
    window_bounds,
)


@dataclass(frozen=True, slots=True)
class Volumes:
    """Sums of sizes over the trades of each row. NaN where undefined."""

    buy_volume: Floats
    sell_volume: Floats
    trade_volume: Floats
    """Of known and unknown side."""
    signed_volume: Floats
    """Bought minus sold volume."""
    tfi: Floats
    """Trade flow imbalance, (B - S) / (B + S); NaN where nothing of known side traded."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """What was traded in each row's interval. NaN, and -1 for the count, on the first row."""

    volumes: Volumes
    trade_count: Ints
    notional: Floats
    trade_vwap: Floats
    """Notional over volume; NaN where nothing traded."""
    signed_root_notional: Floats
    """Sum of sign * sqrt(price * size): the regressor of Hasbrouck's lambda."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of the sizes of the trades before each, and of all: one more than there are trades."""

    buy: Integers
    sell: Integers
    traded: Integers
    """Of known and unknown side."""


def totals_of(trades: Trades) -> Totals:
    """Return the running totals of trades, in units of their sizes."""
    size = fitting(trades.size.values)

    def total(values: Integers) -> Integers:
        return np.concatenate([np.zeros(1, size.dtype), np.cumsum(values)])

    return Totals(total(size * (trades.sign > 0)), total(size * (trades.sign < 0)), total(size))


def intervals(row_ts: Ints, trades: Trades, totals: Totals | None = None) -> Intervals:
    """Return the sums over each row's interval. Rows and trades in order, on the same clock.

    `totals` are those of the trades, for who has them.
    """
    ends = seen(trades.ts_us, row_ts)
    starts = np.concatenate([ends[:1], ends[:-1]])
    has_interval = np.arange(len(row_ts)) > 0
    # No interval reaches into another, so each is a window that begins at its anchor.
    windows = Windows(starts, starts, ends)

    def summed(values: Floats) -> Floats:
        return np.where(has_interval, np.nan_to_num(rolling_sum(values, windows)), np.nan)

    def of_notional() -> tuple[Floats, Floats]:
        each = trades.price * trades.size.as_floats(trades.size.values)
        return summed(each), summed(trades.sign.astype(np.float64) * np.sqrt(each))

    with ThreadPoolExecutor(1) as pool:
        summing = pool.submit(of_notional)
        volumes = _volumes(trades, totals or totals_of(trades), starts, ends, has_interval)
        notional, signed_root_notional = summing.result()
    return Intervals(
        volumes=volumes,
        trade_count=np.where(has_interval, ends - starts, -1),
        notional=notional,
        trade_vwap=ratio(notional, volumes.trade_volume),
        signed_root_notional=signed_root_notional,
    )


@dataclass(frozen=True, slots=True)
class Rolling:
    """Sums over the trades of (t - h, t] of each row. NaN where there is no trade (C13)."""

    buy_volume: Floats
    sell_volume: Floats
    tfi: Floats
    trade_count: Ints


def rolling(row_ts: Ints, trades: Trades, horizon_us: int, totals: Totals | None = None) -> Rolling:
    """Return the sums over the window of each row. All trades of exactly its time are in it.

    `totals` are those of the trades, for who asks more than once.
    """
    windows = window_bounds(trades.ts_us, row_ts, horizon_us)
    count = windows.row_counts
    known, starts, ends = totals or totals_of(trades), windows.starts, windows.ends
    return Rolling(*_by_side(trades, known, starts, ends, count > 0), count)


def price_impact_fit(
    row_ts: Ints, change: Floats, flow: Floats, window_us: int, rows: slice = slice(None)
) -> Fit:
    """Regress the change of price of rows on the flow of their intervals, over (t - w, t] of each.

    Kyle's lambda (Econometrica 53(6), 1985): `change` is the change of mid, `flow` the signed
    volume. Hasbrouck's (J. Finance 64(3), 2009): the log return, and the sum of
    sign * sqrt(price * size).
    """
    return rolling_ols(change, flow, row_windows(row_ts, window_us, rows))


def ratio(value: Floats, by: Floats) -> Floats:
    """Return a quotient, NaN where it is divided by 0."""
    quotient: Floats = np.divide(value, by, out=np.full(len(by), np.nan), where=by != 0)
    return quotient


def _volumes(
    trades: Trades, totals: Totals, starts: Ints, ends: Ints, is_defined: Flags
) -> Volumes:
    """Return sums over the trades at [start, end) of each row."""
    buy, sell, tfi = _by_side(trades, totals, starts, ends, is_defined)
    traded, signed = (
        np.where(is_defined, trades.size.as_floats(total[ends] - total[starts]), np.nan)
        for total in (totals.traded, totals.buy - totals.sell)
    )
    return Volumes(buy, sell, traded, signed, tfi)


def _by_side(
    trades: Trades, totals: Totals, starts: Ints, ends: Ints, is_defined: Flags
) -> tuple[Floats, Floats, Floats]:
    """Return what was bought, what was sold, and the imbalance of the two."""
    buy, sell = (total[ends] - total[starts] for total in (totals.buy, totals.sell))
    tfi = ratio((buy - sell).astype(np.float64), (buy + sell).astype(np.float64))

    def defined(values: Floats) -> Floats:
        return np.where(is_defined, values, np.nan)

    as_floats = trades.size.as_floats
    return defined(as_floats(buy)), defined(as_floats(sell)), defined(tfi)
