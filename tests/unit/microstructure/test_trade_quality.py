"""Spreads and impact of trades, against a search row by row."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.trade_quality import (
    effective_spread,
    mid_after,
    price_impact,
    quote_before,
    realized_spread,
)

GAP = 10
books = st.lists(
    st.tuples(st.integers(0, 60), st.one_of(st.none(), st.integers(1, 9).map(float))), max_size=12
).map(lambda rows: sorted(rows, key=lambda row: row[0]))
instants = st.lists(st.integers(0, 80), max_size=12).map(sorted)


def before(rows: list[tuple[int, float | None]], moment: int) -> tuple[int, float] | None:
    valid = [(ts, mid) for ts, mid in rows if mid is not None and ts < moment]
    if not valid or moment - valid[-1][0] > GAP:
        return None
    return valid[-1]


def after(rows: list[tuple[int, float | None]], moment: int) -> float | None:
    valid = [(ts, mid) for ts, mid in rows if mid is not None and ts <= moment]
    if not any(ts >= moment for ts, _ in rows) or not valid or moment - valid[-1][0] > GAP:
        return None
    return valid[-1][1]


def columns(rows: list[tuple[int, float | None]]) -> tuple[np.ndarray, np.ndarray]:
    mids = [math.nan if mid is None else mid for _, mid in rows]
    return np.array([ts for ts, _ in rows], np.int64), np.array(mids, np.float64)


def plain(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]


@given(books, instants)
def test_the_mid_before_is_strictly_before_and_not_too_old(
    rows: list[tuple[int, float | None]], trades: list[int]
) -> None:
    found, age = quote_before(np.array(trades, np.int64), *columns(rows), max_gap_us=GAP)
    quotes = [before(rows, trade) for trade in trades]
    assert plain(found) == [None if quote is None else quote[1] for quote in quotes]
    wanted = [
        -1 if quote is None else trade - quote[0]
        for trade, quote in zip(trades, quotes, strict=True)
    ]
    assert age.tolist() == wanted


@given(books, instants, st.integers(0, 20))
def test_the_mid_after_is_known_only_once_a_row_is_that_late(
    rows: list[tuple[int, float | None]], trades: list[int], delay: int
) -> None:
    found = mid_after(np.array(trades, np.int64), *columns(rows), delay, max_gap_us=GAP)
    assert plain(found) == [after(rows, trade + delay) for trade in trades]


def test_effective_is_realized_and_impact_together() -> None:
    price, sign = np.array([101.0, 99.0, 100.0]), np.array([1, -1, 0], np.int8)
    m_before, m_after = np.array([100.0, 100.0, 100.0]), np.array([102.0, 100.5, 100.0])
    effective = effective_spread(price, sign, m_before)
    assert list(effective[:2]) == [2.0, 2.0]
    assert math.isnan(effective[2])
    both = realized_spread(price, sign, m_after) + price_impact(sign, m_before, m_after)
    assert both[:2] == pytest.approx(effective[:2], rel=1e-12)
