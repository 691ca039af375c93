"""Bars that close with a trade: by count, volume, notional, imbalance or run.

Lopez de Prado, "Advances in Financial Machine Learning", 2018, chapter 2. Amounts and thresholds
are whole numbers (see `exact`), so a bar closes exactly when it should. A bar begins with the trade
after the one that closed the bar before, with nothing carried over; the last one of a day may be
open. Of split volume bars every one holds exactly the threshold: a trade is cut where it has to be.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ticklake.microstructure.compiled import compiled
from ticklake.microstructure.exact import LIMIT, Integers, fitting, largest
from ticklake.microstructure.trades import Signs
from ticklake.microstructure.windows import Ints

Rule = Literal["sum", "imbalance", "run"]

RULES: Final[tuple[Rule, ...]] = ("sum", "imbalance", "run")


@dataclass(frozen=True, slots=True)
class Trades:
    """The trades of a symbol and day, in order; prices and sizes as whole numbers."""

    price: Integers
    size: Integers
    sign: Signs
    """+1 where the aggressor bought, -1 where it sold, 0 where that is unknown."""

    @property
    def notional(self) -> Integers:
        """Price times size, in units of the product of theirs."""
        return _times(self.price, self.size)


@dataclass(frozen=True, slots=True)
class Bars:
    """One value a bar, in order. Volumes in units of the sizes, notional in those of the product.

    Of split bars `first` and `last` may be shared by neighbours, and `trade_count` counts parts.
    """

    first: Ints
    """Index of the first trade."""
    last: Ints
    """Index of the last trade."""
    is_complete: npt.NDArray[np.bool_]
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers
    buy_volume: Integers
    sell_volume: Integers
    notional: Integers
    trade_count: Ints


def closing_trades(amount: Integers, sign: Signs, threshold: int, rule: Rule) -> Ints:
    """Return the index of each trade that closes a bar.

    `amount` is what a trade adds: 1, its size or its notional, never negative. A bar closes when
    `sum`: the sum reaches the threshold; `imbalance`: the sum of amounts bought minus sold, or the
    reverse, reaches it; `run`: what was bought or what was sold reaches it.
    """
    if threshold <= 0:
        raise ValueError(f"a threshold is more than nothing, not {threshold}")
    amount = fitting(amount, 2)
    loop: Any = _closing
    if amount.dtype == object or threshold >= 1 << 62:
        amount, loop = amount.astype(object), _closing.py_func  # type: ignore[attr-defined]
    closing = np.empty(len(amount), np.int64)
    count = loop(amount, sign, threshold, RULES.index(rule), closing)
    return closing[:count].copy()


def whole_bars(trades: Trades, closing: Ints) -> Bars:
    """Return bars of whole trades, given the trades that close them."""
    count = len(trades.size)
    last = closing
    if count and (not len(closing) or closing[-1] < count - 1):
        last = np.append(closing, count - 1)  # the bar that is still open
    first = np.concatenate([np.zeros(min(len(last), 1), np.int64), last[:-1] + 1])
    buy, sell = trades.sign > 0, trades.sign < 0
    return Bars(
        first=first,
        last=last,
        is_complete=np.arange(len(last)) < len(closing),
        open=trades.price[first],
        high=_reduced(np.maximum, trades.price, first),
        low=_reduced(np.minimum, trades.price, first),
        close=trades.price[last],
        volume=_reduced(np.add, fitting(trades.size), first),
        buy_volume=_reduced(np.add, fitting(trades.size) * buy, first),
        sell_volume=_reduced(np.add, fitting(trades.size) * sell, first),
        notional=_reduced(np.add, fitting(trades.notional), first),
        trade_count=last - first + 1,
    )


def split_bars(trades: Trades, threshold: int) -> Bars:
    """Return bars of exactly `threshold` each, and the rest of the day as one that is open.

    A trade that spans the end of a bar is cut; one larger than the threshold fills several.
    """
    if threshold <= 0:
        raise ValueError(f"a threshold is more than nothing, not {threshold}")
    if not len(trades.size):
        return whole_bars(trades, np.zeros(0, np.int64))
    size = fitting(trades.size)
    until = np.cumsum(size)
    total = int(until[-1])
    count = total // threshold
    ends = np.arange(1, count + 1).astype(size.dtype) * threshold
    if total > count * threshold:
        ends = np.append(ends, until[-1:])
    starts = np.concatenate([np.zeros(min(len(ends), 1), size.dtype), ends[:-1]])
    last = np.searchsorted(until, ends, side="left")
    first = np.searchsorted(until, starts, side="right")
    beyond = until[last] - ends  # of the last trade, what is in later bars

    def summed(values: Integers, per_size: npt.NDArray[Any]) -> Integers:
        reached = np.cumsum(values)[last] - beyond * per_size[last]
        result: Integers = np.diff(reached, prepend=np.zeros(1, reached.dtype))
        return result

    buy, sell = trades.sign > 0, trades.sign < 0
    notional = fitting(trades.notional)
    price = trades.price.astype(object) if notional.dtype == object else trades.price
    high, low = _extremes(trades.price, first, last)
    return Bars(
        first=first,
        last=last,
        is_complete=np.arange(len(ends)) < count,
        open=trades.price[first],
        high=high,
        low=low,
        close=trades.price[last],
        volume=ends - starts,
        buy_volume=summed(size * buy, buy),
        sell_volume=summed(size * sell, sell),
        notional=summed(notional, price),
        trade_count=last - first + 1,
    )


def _times(price: Integers, size: Integers) -> Integers:
    """Return the products of two columns: int64 where every one of them fits."""
    if object not in (price.dtype, size.dtype) and largest(price) * largest(size) < LIMIT:
        product: Integers = price * size
        return product
    wide: Integers = price.astype(object) * size.astype(object)
    return wide


def _reduced(how: np.ufunc, values: Integers, first: Ints) -> Integers:
    """Reduce the values of each bar, where bars follow each other without a hole."""
    if not len(first):
        return values[:0]
    result: Integers = how.reduceat(values, first)
    return result


def _extremes(values: Integers, first: Ints, last: Ints) -> tuple[Integers, Integers]:
    """Return the highest and lowest value from `first` to `last`, both included."""
    # Of each pair reduceat reduces [first, last); the second of a pair is thrown away.
    pairs = np.column_stack([first, last]).ravel()
    high = np.maximum(np.maximum.reduceat(values, pairs)[::2], values[last])
    low = np.minimum(np.minimum.reduceat(values, pairs)[::2], values[last])
    return high, low


@compiled
def _closing(amount: Any, sign: Any, threshold: Any, rule: int, closing: Any) -> int:
    count = 0
    bought = threshold - threshold  # zero, of whatever kind of integer this is
    sold = bought
    unknown = bought
    for number in range(len(amount)):
        if sign[number] > 0:
            bought += amount[number]
        elif sign[number] < 0:
            sold += amount[number]
        else:
            unknown += amount[number]
        if rule == 0:
            reached = bought + sold + unknown
        elif rule == 1:
            reached = abs(bought - sold)
        else:
            reached = max(bought, sold)
        if reached >= threshold:
            closing[count] = number
            count += 1
            bought = sold = unknown = threshold - threshold
    return count
