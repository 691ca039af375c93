"""Threshold bars against a walk through the trades with exact fractions."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.bars import (
    RULES,
    Bars,
    Rule,
    Trades,
    closing_trades,
    split_bars,
    whole_bars,
)

Trade = tuple[int, int, int]  # price, size, sign
trade_lists = st.lists(
    st.tuples(
        st.integers(1, 20),
        st.one_of(st.integers(1, 30), st.integers(1, 10**4)),
        st.sampled_from([1, -1, 0]),
    ),
    max_size=50,
)
AMOUNTS = {
    "tick": lambda trade: 1,
    "volume": lambda trade: trade[1],
    "dollar": lambda trade: trade[0] * trade[1],
}


def columns(trades: list[Trade], wide: bool = False) -> Trades:
    kind: Any = object if wide else np.int64
    return Trades(
        np.array([price for price, _, _ in trades], kind),
        np.array([size for _, size, _ in trades], kind),
        np.array([sign for _, _, sign in trades], np.int8),
    )


def amounts(trades: Trades, of: str) -> np.ndarray:
    if of == "tick":
        return np.ones(len(trades.size), np.int64)
    return trades.size if of == "volume" else trades.notional


def as_rows(bars: Bars) -> list[tuple[Any, ...]]:
    names = ("first", "last", "is_complete", "open", "high", "low", "close", "volume")
    names += ("buy_volume", "sell_volume", "notional", "trade_count")
    columns_of = [getattr(bars, name).tolist() for name in names]
    return list(zip(*columns_of, strict=True))


def row(parts: list[tuple[int, Trade, Fraction]], is_complete: bool) -> tuple[Any, ...]:
    """Return what a bar should be, from (number of the trade, trade, size in the bar)."""
    prices = [trade[0] for _, trade, _ in parts]
    return (
        parts[0][0],
        parts[-1][0],
        is_complete,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(size for *_, size in parts),
        sum(size for _, trade, size in parts if trade[2] > 0),
        sum(size for _, trade, size in parts if trade[2] < 0),
        sum(size * trade[0] for _, trade, size in parts),
        len(parts),
    )


def walked(trades: list[Trade], of: str, threshold: int, rule: Rule) -> list[tuple[Any, ...]]:
    bars, parts = [], []
    for number, trade in enumerate(trades):
        parts.append((number, trade, Fraction(trade[1])))
        held = [(each, AMOUNTS[of](each)) for _, each, _ in parts]
        bought = sum(amount for each, amount in held if each[2] > 0)
        sold = sum(amount for each, amount in held if each[2] < 0)
        reached = {
            "sum": sum(amount for _, amount in held),
            "imbalance": abs(bought - sold),
            "run": max(bought, sold),
        }[rule]
        if reached >= threshold:
            bars.append(row(parts, True))
            parts = []
    return bars + ([row(parts, False)] if parts else [])


def walked_split(trades: list[Trade], threshold: int) -> list[tuple[Any, ...]]:
    bars, parts, room = [], [], Fraction(threshold)
    for number, trade in enumerate(trades):
        left = Fraction(trade[1])
        while left:
            part = min(left, room)
            parts.append((number, trade, part))
            left, room = left - part, room - part
            if not room:
                bars.append(row(parts, True))
                parts, room = [], Fraction(threshold)
    return bars + ([row(parts, False)] if parts else [])


@given(
    trade_lists,
    st.sampled_from(sorted(AMOUNTS)),
    st.integers(1, 300),
    st.sampled_from(RULES),
    st.booleans(),
)
def test_whole_bars_are_those_of_a_walk(
    trades: list[Trade], of: str, threshold: int, rule: Rule, wide: bool
) -> None:
    kernel = columns(trades, wide)
    closing = closing_trades(amounts(kernel, of), kernel.sign, threshold, rule)
    assert as_rows(whole_bars(kernel, closing)) == walked(trades, of, threshold, rule)


@given(trade_lists, st.integers(1, 300), st.booleans())
def test_split_bars_are_those_of_a_walk(trades: list[Trade], threshold: int, wide: bool) -> None:
    assert as_rows(split_bars(columns(trades, wide), threshold)) == walked_split(trades, threshold)


@given(trade_lists, st.integers(1, 300), st.booleans())
def test_bars_add_up_to_the_trades(trades: list[Trade], threshold: int, split: bool) -> None:
    kernel = columns(trades)
    bars = (
        split_bars(kernel, threshold)
        if split
        else whole_bars(kernel, closing_trades(kernel.size, kernel.sign, threshold, "sum"))
    )
    assert bars.volume.sum() == kernel.size.sum()
    assert bars.notional.sum() == kernel.notional.sum()
    assert bars.buy_volume.sum() == kernel.size[kernel.sign > 0].sum()
    assert bars.sell_volume.sum() == kernel.size[kernel.sign < 0].sum()
    assert split or bars.trade_count.sum() == len(trades)


def test_one_giant_trade_fills_one_whole_bar_and_many_split_ones() -> None:
    giant = columns([(7, 1_000_000, 1)])
    closing = closing_trades(giant.size, giant.sign, 10, "sum")
    assert whole_bars(giant, closing).volume.tolist() == [1_000_000]
    assert split_bars(giant, 10).volume.tolist() == [10] * 100_000


def test_numbers_beyond_64_bits_are_exact() -> None:
    large = 3 * 10**18
    trades = columns([(large, large, 1), (large, large, -1), (large, 1, 1)])
    closing = closing_trades(trades.notional, trades.sign, 2 * large * large, "sum")
    assert closing.tolist() == [1]
    bars = whole_bars(trades, closing)
    assert bars.notional.tolist() == [2 * large * large, large]
    assert bars.volume.tolist() == [2 * large, 1]


def test_a_threshold_of_nothing_is_refused() -> None:
    trades = columns([(1, 1, 1)])
    with pytest.raises(ValueError, match="more than nothing"):
        closing_trades(trades.size, trades.sign, 0, "sum")
    with pytest.raises(ValueError, match="more than nothing"):
        split_bars(trades, 0)
