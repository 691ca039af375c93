"""Threshold bars of a day's trades, from decimals to decimals."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.bar_tables import BAR_TYPES, SCHEMA, read_days, threshold_bars
from ticklake.microstructure.exact import STORED

DAY = date(2025, 8, 1)
MIDNIGHT = datetime(2025, 8, 1, tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")
prices = st.decimals("0.0001", 10**5, places=4)
sizes = st.decimals("0.001", 10**3, places=3)
trade_lists = st.lists(
    st.tuples(prices, sizes, st.sampled_from(["buy", "sell", None])), min_size=1, max_size=30
)


def table(trades: list[tuple[Any, Any, str | None]], symbol: str = "A", lag: int = 7) -> pa.Table:
    moments = [MIDNIGHT + timedelta(seconds=number) for number in range(len(trades))]
    return pa.table(
        {
            "exchange": ["binance"] * len(trades),
            "symbol": [symbol] * len(trades),
            "date": pa.array([DAY] * len(trades), pa.date32()),
            "ts_event": pa.array(moments, TIME),
            "ts_capture": pa.array([at + timedelta(seconds=lag) for at in moments], TIME),
            "price": pa.array([Decimal(price) for price, _, _ in trades], STORED),
            "size": pa.array([Decimal(size) for _, size, _ in trades], STORED),
            "side": pa.array([side for *_, side in trades], pa.string()),
        }
    )


def bars_of(trades: list[tuple[Any, Any, str | None]], name: str, threshold: str) -> list[Any]:
    (day,) = read_days(table(trades))
    return threshold_bars(day, name, Decimal(threshold)).to_pylist()


@given(trade_lists, st.sampled_from(sorted(BAR_TYPES)), sizes)
def test_every_type_adds_up_to_the_trades_of_the_day(
    trades: list[tuple[Decimal, Decimal, str | None]], name: str, threshold: Decimal
) -> None:
    (day,) = read_days(table(trades))
    bars = threshold_bars(day, name, threshold)
    assert bars.schema == SCHEMA
    rows = bars.to_pylist()
    assert sum(row["volume"] for row in rows) == sum(size for _, size, _ in trades)
    assert sum(row["notional"] for row in rows) == sum(price * size for price, size, _ in trades)
    for side in ("buy", "sell"):
        traded = sum(size for _, size, each in trades if each == side)
        assert sum(row[f"{side}_volume"] for row in rows) == traded
    assert [row["bar_seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(row["is_complete"] for row in rows[:-1])


def test_ten_trades_of_a_tenth_are_one_complete_bar() -> None:
    (bar,) = bars_of([("100", "0.1", "buy")] * 10, "volume", "1")
    assert (bar["volume"], bar["is_complete"], bar["trade_count"]) == (Decimal(1), True, 10)


def test_an_open_bar_is_known_when_the_day_is_over_and_a_complete_one_on_receipt() -> None:
    complete, still_open = bars_of([("5", "2", "buy"), ("5", "1", "sell")], "volume", "2")
    assert complete["ts_available"] == MIDNIGHT + timedelta(seconds=7)
    assert complete["ts_close"] == MIDNIGHT
    assert still_open["ts_available"] == MIDNIGHT + timedelta(days=1)
    assert not still_open["is_complete"]


def test_a_threshold_between_two_units_is_reached_by_the_next_one() -> None:
    rows = bars_of([("1.5", "1", "buy")] * 4, "dollar", "2.9999")
    assert [row["notional"] for row in rows] == [Decimal(3), Decimal(3)]


def test_prints_without_price_or_size_are_in_no_bar() -> None:
    (bar,) = bars_of([("0", "1", "buy"), ("7", "0", "buy"), ("7", "1", "buy")], "tick", "1")
    assert (bar["low"], bar["trade_count"]) == (Decimal(7), 1)


def test_symbols_are_days_of_their_own() -> None:
    both = pa.concat_tables(
        [table([("1", "1", None)], "A"), table([("2", "1", None), ("3", "1", None)], "B")]
    )
    assert [(day.symbol, len(day.ts_event)) for day in read_days(both)] == [("A", 1), ("B", 2)]


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(KeyError):
        bars_of([("1", "1", None)], "renko", "1")
