"""What trades paid against a search for the last valid book before each."""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.microstructure.test_order_flow import Row, S, in_order, table
from tests.unit.microstructure.test_trade_features import (
    Trade,
    markets,
    split,
    trade_table,
)
from ticklake.microstructure.book import columns_of
from ticklake.microstructure.trade_costs import READ, SCHEMA, trade_costs

MAX_GAP_S = 300


def rows_of(trades: Sequence[Trade]) -> pa.Table:
    """The trades as a partition of `trades`; every third is aggregated."""
    count = len(trades)
    ids = [number if number % 3 == 0 else None for number in range(count)]
    keys = {
        "exchange": pa.array(["binance"] * count, pa.string()),
        "symbol": pa.array(["BTCUSDT"] * count, pa.string()),
        "date": pa.array([one.ts_event // (86_400 * S) for one in trades], pa.int32()).cast(
            "date32"
        ),
        "first_id": pa.array(ids, pa.int64()),
        "last_id": pa.array([None if one is None else one + 2 for one in ids], pa.int64()),
    }
    columns = trade_table(trades)
    for name, values in keys.items():
        columns = columns.append_column(name, values)
    return columns.select(READ)


@settings(deadline=None, max_examples=100)
@given(markets(), st.booleans())
def test_a_trade_is_compared_with_the_last_valid_book_before_it(
    market: tuple[list[Row], list[Trade]], is_free: bool
) -> None:
    rows, trades = market
    if is_free and trades:
        trades[0] = replace(trades[0], price=Decimal(0))
    (head, day), (_, today) = split(rows), split(trades)
    before = table(head).select(columns_of(1)) if head else None
    found = trade_costs(rows_of(today), table(day).select(columns_of(1)), before, MAX_GAP_S)
    assert found.schema == SCHEMA
    valid = [rows[at] for at in in_order(rows) if rows[at].is_valid]
    for number, (trade, row) in enumerate(zip(today, found.to_pylist(), strict=True)):
        earlier = [one for one in valid if one.ts < trade.ts][-1:]
        assert row["trade_seq"] == number + 1
        assert row["price"] == float(trade.price)
        assert row["size"] == float(trade.size)
        assert row["aggtrade_fills"] == (3 if number % 3 == 0 else None)
        if not earlier or trade.ts - earlier[0].ts > MAX_GAP_S * S:
            assert row["mid_before"] is row["quote_age_us"] is row["effective_spread"] is None
            continue
        (book,) = earlier
        assert row["mid_before"] == book.mid
        assert row["quote_age_us"] == trade.ts - book.ts
        if not trade.sign or not trade.price:
            assert row["effective_spread"] is row["effective_spread_bps"] is None
            continue
        paid = 2 * trade.sign * (float(trade.price) - book.mid)
        assert math.isclose(row["effective_spread"], paid, rel_tol=1e-12, abs_tol=1e-12)
        assert math.isclose(
            row["effective_spread_bps"], 1e4 * paid / book.mid, rel_tol=1e-12, abs_tol=1e-12
        )


def test_a_day_without_trades_has_every_column() -> None:
    found = trade_costs(rows_of([]), table([]), None, MAX_GAP_S)
    assert found.schema == SCHEMA
    assert found.num_rows == 0
