"""What a raw row must satisfy: each rule is broken by one row and kept by all others."""

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from loaders.worker import Sink
from ticklake.lake.row_checks import check_rows
from ticklake.lake.row_rules import NOTIONAL_LIMIT, columns_of, find_faults, has_rules
from ticklake.lake.specs import InputSpec
from ticklake.lake.storage import LocalStorage

NOON = datetime.datetime(2025, 8, 1, 12, tzinfo=datetime.UTC)
INF = float("inf")
GOOD: dict[str, dict[str, Any]] = {
    "fills": {
        "ts_event": NOON, "user": "0x1", "coin": "BTC", "px": Decimal("1.5"), "sz": Decimal(2),
        "side": "A", "startPosition": Decimal(-1), "closedPnl": Decimal(0), "fee": Decimal("-0.1"),
        "crossed": True, "tid": 1, "oid": 2,
    },
    "trades": {"ts_event": NOON, "price": Decimal("1.5"), "size": Decimal(2), "side": "buy"},
    "order_book": {
        "ts_event": NOON,
        "bids": [{"price": 1.0, "size": 2.0}], "asks": [{"price": 2.0, "size": 2.0}],
    },
    "tickers": {"ts_event": NOON, "bid_price": 1.0, "bid_size": 2.0, "ask_price": 1.5},
    "mark_prices": {"symbol": "BTC", "ts_event": NOON, "mark_price": 1.0},
    "funding_rates": {"symbol": "BTC", "ts_event": NOON, "funding_rate": 0.1},
    "klines": {
        "open_time": NOON, "open": Decimal(1), "high": Decimal(2), "low": Decimal(1),
        "close": Decimal(2), "volume": Decimal(5),
    },
}  # fmt: skip


def table(channel: str, *changes: dict[str, Any]) -> pa.Table:
    """Return a good row for each of some changes to it."""
    rows = [GOOD[channel] | change for change in changes]
    return pa.Table.from_pylist(rows, CHANNELS[channel].schema)


def with_text(channel: str, *changes: dict[str, Any]) -> pa.Table:
    """Return the same with text in place of decimals."""
    schema = CHANNELS[channel].schema
    for place, column in enumerate(schema):
        if pa.types.is_decimal(column.type):
            schema = schema.set(place, column.with_type(pa.string()))
    rows = [
        {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in (GOOD[channel] | change).items()
        }
        for change in changes
    ]
    return pa.Table.from_pylist(rows, schema)


def test_every_channel_has_rules_on_columns_that_it_has() -> None:
    for name, channel in CHANNELS.items():
        assert has_rules(name)
        assert set(columns_of(name)) <= set(channel.schema.names)
    assert not has_rules("steps")
    assert find_faults("steps", pa.table({"value": [1]})) == []


ODD: list[tuple[str, dict[str, Any]]] = [
    ("trades", {"trade_id": "0", "price": Decimal(0), "size": Decimal(0), "side": None}),
    ("trades", {"first_id": 0, "last_id": 0}),
    ("trades", {"first_id": -1, "last_id": -1}),
    ("trades", {"price": Decimal("1e25"), "size": Decimal("1e-12")}),
    ("order_book", {"bids": None, "asks": []}),
    ("order_book", {"bids": [None, {"price": INF, "size": -1.0}, {"price": None, "size": 0.0}]}),
    ("tickers", {"bid_price": -12.5, "ask_price": -12.0, "bid_size": 0.0}),
    ("tickers", {"bid_price": None, "bid_size": None, "ask_price": None}),
    ("mark_prices", {"mark_price": 0.0, "index_price": -1.0}),
    ("funding_rates", {"funding_rate": -3.0, "interval_hours": 0.0}),
    (
        "klines",
        {"high": Decimal(0), "low": Decimal(3), "count": -1, "taker_buy_volume": Decimal(9)},
    ),
    ("fills", {"tid": 0, "px": Decimal(0), "fee": None, "side": "B"}),
]


@pytest.mark.parametrize(("channel", "odd"), ODD)
def test_a_row_that_is_only_odd_keeps_the_rules(channel: str, odd: dict[str, Any]) -> None:
    assert find_faults(channel, table(channel, {}, odd), {}) == []


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("trades", {"ts_event": None}, "MISSING_FIELD", "ts_event is missing (ts_event = null)"),
    ("trades", {"price": None}, "MISSING_FIELD", "price is missing"),
    ("trades", {"size": Decimal("-0.5")}, "BAD_DECIMAL", "size is negative (size = -0.5"),
    ("trades", {"side": "BUY"}, "BAD_SIDE", "neither buy nor sell (side = BUY)"),
    ("trades", {"first_id": 5, "last_id": 4}, "BAD_INTEGER", "(first_id = 5, last_id = 4)"),
    ("trades", {"first_id": 5}, "BAD_INTEGER", "(first_id = 5, last_id = null)"),
    ("trades", {"first_id": 0, "last_id": (1 << 63) - 1}, "BAD_INTEGER", "not a range of ids"),
    ("trades", {"first_id": -(1 << 63), "last_id": 4}, "BAD_INTEGER", "not a range of ids"),
    ("trades", {"first_id": 1, "last_id": 1 << 40}, "BAD_INTEGER", "not a range of ids"),
    ("trades", {"price": Decimal(NOTIONAL_LIMIT), "size": 1}, "BAD_NOTIONAL", "price times size"),
    ("order_book", {"asks": [{"price": 1.0, "size": 1e26}]}, "BAD_LEVEL", "a level of asks"),
    ("tickers", {"ask_size": -1.0}, "BAD_NUMBER", "ask_size is negative"),
    ("tickers", {"bid_price": INF}, "BAD_NUMBER", "bid_price is not finite"),
    ("mark_prices", {"mark_price": -INF}, "BAD_NUMBER", "mark_price is not finite"),
    ("mark_prices", {"symbol": None}, "MISSING_FIELD", "symbol is missing"),
    ("funding_rates", {"symbol": ""}, "MISSING_FIELD", "symbol is missing (symbol = )"),
    ("funding_rates", {"ts_event": None}, "MISSING_FIELD", "ts_event is missing"),
    ("klines", {"volume": None}, "MISSING_FIELD", "volume is missing"),
    ("klines", {"low": Decimal(-1)}, "BAD_DECIMAL", "low is negative"),
    ("klines", {"close_time": NOON}, "BAD_TIME", "close_time is not after open_time"),
    ("fills", {"sz": Decimal(-2)}, "BAD_DECIMAL", "sz is negative"),
    ("fills", {"side": "buy"}, "BAD_VALUE", "side is neither A nor B"),
    ("fills", {"coin": ""}, "BAD_VALUE", "coin is empty"),
    ("fills", {"crossed": None}, "MISSING_FIELD", "crossed is missing"),
    ("fills", {"px": Decimal(10) ** 14}, "BAD_NOTIONAL", "px times sz"),
]


@pytest.mark.parametrize(("channel", "change", "error_type", "message"), BAD)
def test_a_row_that_cannot_be_used_is_named_with_its_values(
    channel: str, change: dict[str, Any], error_type: str, message: str
) -> None:
    (fault,) = find_faults(channel, table(channel, {}, change, {}))
    assert (fault.row, fault.error_type) == (1, error_type)
    assert message in fault.message


def test_text_in_place_of_numbers_keeps_the_same_rules() -> None:
    for channel in ("fills", "trades", "klines"):
        assert find_faults(channel, with_text(channel, {}, {}), {}) == []
    odd = {"px": "-0.0", "fee": "0.1000000000000000", "closedPnl": None}
    assert find_faults("fills", with_text("fills", odd)) == []
    for channel, change, message in (
        ("fills", {"px": "1e5"}, "px is not a plain decimal"),
        ("fills", {"fee": "0.1000000000001"}, "fee is not a plain decimal"),
        ("fills", {"sz": "-2"}, "sz is negative"),
        ("fills", {"px": "100000000000000"}, "px times sz"),
        ("trades", {"size": "-0.5"}, "size is negative"),
        ("trades", {"price": ""}, "price is not a plain decimal"),
        ("klines", {"taker_buy_volume": "."}, "taker_buy_volume is not a plain decimal"),
        ("klines", {"volume": None}, "volume is missing"),
    ):
        (fault,) = find_faults(channel, with_text(channel, {}, change, {}))
        assert fault.row == 1
        assert message in fault.message


def test_a_row_lies_in_the_day_or_month_of_its_partition() -> None:
    midnight = NOON.replace(day=2, hour=0)
    trades = table("trades", {}, {"ts_event": midnight})
    (fault,) = find_faults("trades", trades, {"date": "2025-08-01"})
    assert (fault.row, fault.error_type) == (1, "WRONG_PARTITION")
    assert "not in the date of the partition, 2025-08-01" in fault.message
    klines = table("klines", {}, {"open_time": NOON.replace(month=9)})
    assert [fault.row for fault in find_faults("klines", klines, {"month": "2025-08"})] == [1]


def test_rows_that_break_a_rule_are_set_aside_and_the_others_land(tmp_path: Path) -> None:
    sink = Sink(tmp_path, None)
    rows = table("trades", {}, {"price": Decimal(-1)}, {"ts_event": None}, {"side": "sell"})
    sink.rows("trades", rows, exchange="x", symbol="S")
    (segment,) = sink.finish()
    assert pq.read_table(segment.file)["side"].to_pylist() == ["buy", "sell"]
    assert dict(sink.rejected) == {"BAD_DECIMAL": 1, "MISSING_FIELD": 1}
    told = [json.loads(line) for line in sink.rejects_file.read_text().splitlines()]
    assert [entry["content"]["price"] for entry in told] == ["-1.000000000000", "1.500000000000"]
    assert (told[0]["exchange"], told[0]["symbol"]) == ("x", "S")


@pytest.mark.parametrize("make", [table, with_text])
def test_the_first_bad_row_of_a_segment_and_the_number_of_them_are_told(
    tmp_path: Path, make: Callable[..., pa.Table]
) -> None:
    storage = LocalStorage(str(tmp_path))
    columns = {"exchange": "varchar", "symbol": "varchar", "date": "date"}
    given = {"ts_event": "timestamptz", "price": "decimal(38, 12)", "size": "decimal(38, 12)"}
    item = InputSpec("raw_trades", "raw/trades", tuple(columns), columns | given, is_raw=True)
    path = "raw/trades/exchange=x/symbol=A%2FB/date=2025-08-01/a.parquet"
    changes = {}, {"price": Decimal(-2)}, {"ts_event": NOON.replace(day=2)}
    rows = make("trades", *changes)
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    storage.write(path, sink.getvalue().to_pybytes())
    problem = check_rows(storage, path, item, "trades")
    assert problem is not None
    assert (problem.error_type, problem.row) == ("BAD_DECIMAL", 1)
    assert problem.message.startswith("2 of 3 rows cannot be used. The first is row 1 (from 0): ")
    assert "price is negative (price = -2" in problem.message
