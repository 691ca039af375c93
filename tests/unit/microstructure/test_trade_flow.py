"""Trades between book rows, against a walk over all pairs with exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.trade_flow import intervals, rolling
from ticklake.microstructure.trades import Trades

times = st.integers(0, 12)
row_times = st.lists(times, max_size=8).map(sorted)
trade_lists = st.lists(
    st.tuples(times, st.integers(1, 9), st.integers(0, 5), st.sampled_from([1, -1, 0])), max_size=12
).map(lambda trades: sorted(trades, key=lambda trade: trade[0]))
Trade = tuple[int, int, int, int]


def columns(trades: list[Trade]) -> Trades:
    ts, price, size, sign = (list(column) for column in zip(*trades, strict=True)) if trades else (
        [], [], [], []
    )  # fmt: skip
    return Trades(
        np.array(ts, np.int64),
        np.array(price, np.float64),
        np.array(size, np.float64),
        np.array(sign, np.int8),
    )


def of_row(rows: list[int], trades: list[Trade], number: int) -> list[Trade] | None:
    """Return the trades of a row by C10, None on the first row."""
    if number == 0:
        return None
    return [trade for trade in trades if rows[number - 1] < trade[0] <= rows[number]]


def share(value: Fraction | int, by: Fraction | int) -> float | None:
    return float(Fraction(value) / by) if by else None


def plain(value: float) -> float | None:
    return None if math.isnan(value) else value


@given(row_times, trade_lists)
def test_intervals_hold_the_trades_since_the_row_before(
    rows: list[int], trades: list[Trade]
) -> None:
    found = intervals(np.array(rows, np.int64), columns(trades))
    for number in range(len(rows)):
        mine = of_row(rows, trades, number)
        if mine is None:
            assert math.isnan(found.buy_volume[number])
            assert math.isnan(found.signed_volume[number])
            assert found.trade_count[number] == -1
            continue
        buy = sum(size for _, _, size, sign in mine if sign > 0)
        sell = sum(size for _, _, size, sign in mine if sign < 0)
        volume = sum(size for _, _, size, _ in mine)
        notional = sum(price * size for _, price, size, _ in mine)
        roots = sum(sign * math.sqrt(price * size) for _, price, size, sign in mine)
        assert found.buy_volume[number] == buy
        assert found.sell_volume[number] == sell
        assert found.trade_volume[number] == volume
        assert found.notional[number] == notional
        assert found.trade_count[number] == len(mine)
        assert found.signed_volume[number] == buy - sell
        assert plain(found.tfi[number]) == share(buy - sell, buy + sell)
        assert plain(found.trade_vwap[number]) == share(notional, volume)
        assert found.signed_root_notional[number] == pytest.approx(roots, rel=1e-12, abs=1e-12)


@given(row_times, trade_lists)
def test_every_trade_after_the_first_row_is_counted_once(
    rows: list[int], trades: list[Trade]
) -> None:
    found = intervals(np.array(rows, np.int64), columns(trades))
    inside = [trade for trade in trades if rows and rows[0] < trade[0] <= rows[-1]]
    assert found.trade_count[1:].sum() == len(inside)


@given(row_times, trade_lists, st.integers(1, 8))
def test_rolling_values_are_over_the_raw_trades(
    rows: list[int], trades: list[Trade], horizon: int
) -> None:
    found = rolling(np.array(rows, np.int64), columns(trades), horizon)
    for number, moment in enumerate(rows):
        mine = [trade for trade in trades if moment - horizon < trade[0] <= moment]
        buy = sum(size for _, _, size, sign in mine if sign > 0)
        sell = sum(size for _, _, size, sign in mine if sign < 0)
        assert found.trade_count[number] == len(mine)
        assert plain(found.buy_volume[number]) == (buy if mine else None)
        assert plain(found.sell_volume[number]) == (sell if mine else None)
        assert plain(found.tfi[number]) == share(buy - sell, buy + sell)
