"""Threshold bars of a day's trades, from decimals to decimals."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.bar_tables import (
    BAR_TYPES,
    SCHEMA,
    Day,
    read_day,
    threshold_bars,
)
from ticklake.microstructure.exact import STORED

DAY = date(2025, 8, 1)
MIDNIGHT = datetime(2025, 8, 1, tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")
prices = st.decimals("0.0001", 10**5, places=4)
sizes = st.decimals("0.001", 10**3, places=3)
trade_lists = st.lists(
    st.tuples(prices, sizes, st.sampled_from(["buy", "sell", None])), min_size=1, max_size=30
)


def table(trades: list[tuple[Any, Any, str | None]], lag: int = 7) -> pa.Table:
    moments = [MIDNIGHT + timedelta(seconds=number) for number in range(len(trades))]
    return pa.table(
        {
            "trade_seq": pa.array(range(1, len(trades) + 1), pa.int64()),
            "ts_event": pa.array(moments, TIME),
            "ts_capture": pa.array([at + timedelta(seconds=lag) for at in moments], TIME),
            "price": pa.array([Decimal(price) for price, _, _ in trades], STORED),
            "size": pa.array([Decimal(size) for _, size, _ in trades], STORED),
            "side": pa.array([side for *_, side in trades], pa.string()),
        }
    )


def day_of(trades: list[tuple[Any, Any, str | None]], batch_rows: int = 100) -> Day:
    return read_day("binance", "A", DAY, table(trades).to_batches(batch_rows))


def bars_of(trades: list[tuple[Any, Any, str | None]], name: str, threshold: str) -> list[Any]:
    return threshold_bars(day_of(trades), name, Decimal(threshold)).to_pylist()


@given(prices, st.lists(sizes, min_size=1, max_size=9))
def test_the_vwap_of_a_bar_of_one_price_is_that_price(price: Decimal, of: list[Decimal]) -> None:
    (bar,) = threshold_bars(day_of([(price, size, "buy") for size in of]), "tick", Decimal(10))[
        "vwap"
    ].to_pylist()
    assert bar == float(price)


@given(trade_lists, st.sampled_from(sorted(BAR_TYPES)), sizes)
def test_every_type_adds_up_to_the_trades_of_the_day(
    trades: list[tuple[Decimal, Decimal, str | None]], name: str, threshold: Decimal
) -> None:
    bars = threshold_bars(day_of(trades), name, threshold)
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


@given(trade_lists, st.integers(1, 7))
def test_batches_make_no_difference(
    trades: list[tuple[Decimal, Decimal, str | None]], batch_rows: int
) -> None:
    whole, parts = day_of(trades), day_of(trades, batch_rows)
    for name in ("ts_event", "ts_known", "sign"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    for name in ("price", "size"):
        assert getattr(whole, name).decimals == getattr(parts, name).decimals
        assert np.array_equal(getattr(whole, name).values, getattr(parts, name).values)


def test_a_trade_is_never_known_before_an_earlier_one() -> None:
    rows = table([("1", "1", None)] * 3)
    late = [MIDNIGHT + timedelta(seconds=second) for second in (9, 8, 20)]
    rows = rows.set_column(2, "ts_capture", pa.array(late, TIME))
    day = read_day("binance", "A", DAY, rows.to_batches(1))
    assert np.diff(day.ts_known).tolist() == [0, 11_000_000]


def test_rows_out_of_order_are_refused() -> None:
    rows = table([("1", "1", None)] * 4)
    with pytest.raises(ValueError, match="order of trade_seq"):
        read_day("binance", "A", DAY, reversed(rows.to_batches(2)))


def test_a_day_without_trades_has_no_bar() -> None:
    day = read_day("binance", "A", DAY, [])
    assert all(threshold_bars(day, name, Decimal(1)).num_rows == 0 for name in BAR_TYPES)


def test_a_threshold_that_would_make_millions_of_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.001 cuts the volume of A on 2025-08-01"):
        bars_of([("1", "1000000", "buy")], "volume_split", "0.001")


@pytest.mark.parametrize("count", [1, 3, 7])
def test_tick_bars_are_the_groups_that_polars_makes(count: int) -> None:
    rng = np.random.default_rng(count)
    trades = [
        (Decimal(int(price)) / 100, Decimal(int(size)) / 1000, ("buy", "sell", None)[side])
        for price, size, side in rng.integers([100, 1, 0], [10_000, 5_000, 3], (50, 3))
    ]
    grouped = (
        pl.DataFrame(table(trades))
        .group_by((pl.col("trade_seq") - 1) // count, maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("size").sum(),
            buy_volume=pl.col("size").filter(pl.col("side") == "buy").sum(),
            sell_volume=pl.col("size").filter(pl.col("side") == "sell").sum(),
            trade_count=pl.len().cast(pl.Int64),
        )
        .drop("trade_seq")
        .rows()
    )
    names = ("open", "high", "low", "close", "volume", "buy_volume", "sell_volume", "trade_count")
    bars = bars_of(trades, "tick", str(count))
    assert [tuple(bar[name] for name in names) for bar in bars] == grouped


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(KeyError):
        bars_of([("1", "1", None)], "renko", "1")
