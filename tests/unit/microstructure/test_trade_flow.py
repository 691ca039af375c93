"""Trades between book rows, against a walk over all pairs with exact fractions."""

import math
from dataclasses import astuple
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.exact import Scaled
from ticklake.microstructure.trade_flow import TradeFlow
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
        Scaled(np.array(size, np.int64), 1),
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
    flow = TradeFlow(np.array(rows, np.int64), columns(trades))
    found = flow.intervals(slice(None))
    for number in range(len(rows)):
        mine = of_row(rows, trades, number)
        if mine is None:
            assert math.isnan(found.buy_volume[number])
            assert math.isnan(flow.signed_volume[number])
            assert found.trade_count[number] == -1
            continue
        buy = sum(Fraction(size, 10) for _, _, size, sign in mine if sign > 0)
        sell = sum(Fraction(size, 10) for _, _, size, sign in mine if sign < 0)
        volume = sum(Fraction(size, 10) for _, _, size, _ in mine)
        notional = sum(price * Fraction(size, 10) for _, price, size, _ in mine)
        roots = sum(sign * math.sqrt(price * size / 10) for _, price, size, sign in mine)
        assert found.buy_volume[number] == float(buy)
        assert found.sell_volume[number] == float(sell)
        assert found.trade_volume[number] == float(volume)
        assert found.notional[number] == pytest.approx(float(notional), rel=1e-14)
        assert found.trade_count[number] == len(mine)
        assert flow.signed_volume[number] == float(buy - sell)
        assert plain(found.tfi[number]) == share(buy - sell, buy + sell)
        vwap = share(notional, volume)
        found_vwap = plain(found.trade_vwap[number])
        assert found_vwap == (vwap if vwap is None else pytest.approx(vwap, rel=1e-14))
        if found_vwap is not None:
            prices = [price for _, price, _, _ in mine]
            assert min(prices) <= found_vwap <= max(prices)
        assert flow.signed_root_notional[number] == pytest.approx(roots, rel=1e-12, abs=1e-12)


@given(row_times, trade_lists)
def test_every_trade_after_the_first_row_is_counted_once(
    rows: list[int], trades: list[Trade]
) -> None:
    found = TradeFlow(np.array(rows, np.int64), columns(trades)).intervals(slice(None))
    inside = [trade for trade in trades if rows and rows[0] < trade[0] <= rows[-1]]
    assert found.trade_count[1:].sum() == len(inside)


@given(row_times, trade_lists, st.integers(0, 8), st.integers(0, 8), st.integers(1, 8))
def test_a_run_of_rows_has_the_values_that_all_rows_have(
    rows: list[int], trades: list[Trade], first: int, last: int, horizon: int
) -> None:
    flow, run = TradeFlow(np.array(rows, np.int64), columns(trades)), slice(first, max(first, last))
    for of in (flow.intervals, partial(flow.rolling, horizon)):
        whole, part = astuple(of(slice(None))), astuple(of(run))
        for values, own in zip(whole, part, strict=True):
            assert values[run].tobytes() == own.tobytes()


@given(row_times, trade_lists, st.integers(1, 8))
def test_rolling_values_are_over_the_raw_trades(
    rows: list[int], trades: list[Trade], horizon: int
) -> None:
    found = TradeFlow(np.array(rows, np.int64), columns(trades)).rolling(horizon, slice(None))
    for number, moment in enumerate(rows):
        mine = [trade for trade in trades if moment - horizon < trade[0] <= moment]
        buy = sum(Fraction(size, 10) for _, _, size, sign in mine if sign > 0)
        sell = sum(Fraction(size, 10) for _, _, size, sign in mine if sign < 0)
        assert found.trade_count[number] == len(mine)
        assert plain(found.buy_volume[number]) == (float(buy) if mine else None)
        assert plain(found.sell_volume[number]) == (float(sell) if mine else None)
        assert plain(found.tfi[number]) == share(buy - sell, buy + sell)
