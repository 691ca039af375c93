"""`ticklake land spool`: Parquet segments of other collectors."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from loaders import worker
from tests.integration.landed import errors
from ticklake.cli import main

Lake = Any  # the fixture of tests/conftest.py
MOMENT = datetime(2026, 2, 3, 14, 30, tzinfo=UTC)
MS = int(MOMENT.timestamp() * 1000)
BBO = "exchange=binance/stream=bbo/symbol=btcusdt/2026-02-03_14-30-00.parquet"
TRADES = "ccxt/trades/segment_20260203T140000_20260203T150000.parquet"
BOOKS = "ccxt/orderbook/segment_20260203T140000_20260203T150000.parquet"
ON_DISK = pytest.mark.parametrize("lake", ["local"], indirect=True)

Land = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def land(lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Land]:
    for name, value in {"LAKE_ROOT": lake.root, **lake.env}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Result:
        command = ["land", "spool", str(root), "--workers", "1", *arguments]
        return CliRunner().invoke(main, command)

    worker._storage.cache_clear()
    yield run
    worker._storage.cache_clear()


def put(root: Path, path: str, **columns: Any) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file, row_group_size=2)
    return file


def put_trades(root: Path, **changes: Any) -> Path:
    columns: dict[str, Any] = {
        "exchange": ["okx", "okx", "kraken"],
        "symbol": ["BTC/USDT", "ETH/USDT", "BTC/USDT"],
        "id": ["1", "2", "3"],
        "timestamp": [MS, MS + 1, MS + 2],
        "price": [115_655.8, 3_697.1, 115_656.0],
        "amount": [1.5, 0.1, 2.0],
        "side": ["buy", "sell", None],
        "info": ["x", None, None],
    }
    return put(root, TRADES, **(columns | changes))


def put_quotes(root: Path, path: str = BBO) -> Path:
    return put(
        root,
        path,
        capture_ts=pa.array([MOMENT], pa.timestamp("us", "UTC")),
        ts_event=pa.array([MOMENT], pa.timestamp("us", "UTC")),
        seq=[7],
        bid_px=[10.0],
        bid_qty=[1.0],
        ask_px=[11.0],
        ask_qty=[2.0],
    )


def rows(lake: Lake, channel: str, columns: str) -> list[Any]:
    entries = lake.storage.entries(f"raw/{channel}")
    urls = sorted(lake.storage.url(entry.path) for entry in entries)
    query = f"select {columns} from read_parquet(?, hive_partitioning = true) order by all"
    found: list[Any] = lake.connect().execute(query, [urls]).fetchall()
    return found


def test_both_layouts_land_and_land_once(lake: Lake, land: Land, root: Path) -> None:
    put_trades(root)
    put_quotes(root)
    put(
        root,
        BOOKS,
        exchange=["okx"],
        symbol=["BTC/USDT"],
        timestamp=[MS],
        nonce=[5],
        bids=[[[10.0, 1.0], [9.0, 2.0]]],
        asks=[[[11.0, 3.0]]],
    )
    result = land()
    assert result.exit_code == 0, result.output
    assert "3 landed" in result.output
    about = "exchange, symbol, epoch_ms(ts_event)"
    assert rows(lake, "trades", f"{about}, trade_id, price, size, side, extra") == [
        ("kraken", "BTC/USDT", MS + 2, "3", Decimal("115656"), Decimal(2), None, None),
        ("okx", "BTC/USDT", MS, "1", Decimal("115655.8"), Decimal("1.5"), "buy", '{"info":"x"}'),
        ("okx", "ETH/USDT", MS + 1, "2", Decimal("3697.1"), Decimal("0.1"), "sell", None),
    ]
    prices = "bid_price, bid_size, ask_price, ask_size"
    assert rows(lake, "tickers", f"{about}, seq, {prices}") == [
        ("binance", "btcusdt", MS, 7, 10.0, 1.0, 11.0, 2.0)
    ]
    assert rows(lake, "order_book", f"{about}, seq, bids[2].price, asks[1].size") == [
        ("okx", "BTC/USDT", MS, 5, 9.0, 3.0)
    ]
    assert "0 landed, 3 skipped" in land().output


@ON_DISK
def test_a_mapping_names_streams_columns_and_the_case_of_symbols(
    lake: Lake, land: Land, root: Path, tmp_path: Path
) -> None:
    put_quotes(root, BBO.replace("bbo", "top of book"))
    unknown = land()
    assert unknown.exit_code == 1
    assert "'top of book'" in unknown.output
    config = tmp_path / "mapping.json"
    mapping = {
        "streams": {"top of book": "tickers"},
        "columns": {"bid_price": "ask_px", "ask_price": "bid_px"},
        "symbol_case": "upper",
    }
    config.write_text(json.dumps(mapping))
    assert land("--config", str(config)).exit_code == 0
    assert rows(lake, "tickers", "symbol, bid_price, ask_price") == [("BTCUSDT", 11.0, 10.0)]


@ON_DISK
def test_rows_and_files_that_cannot_be_used_are_set_aside(
    lake: Lake, land: Land, root: Path
) -> None:
    put_trades(root, price=[115_655.8, float("inf"), 1.0])
    put_quotes(root).write_bytes(b"this is no Parquet")
    put(root, "ccxt/ticker/segment.parquet", exchange=["okx"], symbol=["A"], timestamp=[MS])
    result = land()
    assert result.exit_code == 1
    assert "1 landed, 0 skipped, 2 quarantined" in result.output
    assert "NOT_PARQUET" in result.output
    assert "MISSING_COLUMN" in result.output
    assert rows(lake, "trades", "trade_id") == [("1",), ("3",)]
    (path,) = [
        entry.path
        for entry in lake.storage.entries("quarantine")
        if entry.path.endswith("rejected.jsonl")
    ]
    (reject,) = map(json.loads, lake.storage.read(path).splitlines())
    assert (reject["row"], reject["content"]["id"]) == (1, "2")


@ON_DISK
def test_quarantine_says_the_command_that_lands_it_again(
    lake: Lake, land: Land, root: Path, tmp_path: Path
) -> None:
    put_trades(root, price=[115_655.8, float("inf"), 1.0])
    (tmp_path / "mapping.json").write_text('{"symbol_case": "upper"}')
    land("--config", str(tmp_path / "mapping.json"), "--symbols", "BTC/USDT")
    (error,) = errors(lake)
    assert error["again"] == f"ticklake land spool {root} --config MAPPING --symbols BTC/USDT"


@ON_DISK
def test_values_of_folders_are_decoded_and_levels_may_be_flat(
    lake: Lake, land: Land, root: Path
) -> None:
    put(
        root,
        "exchange=okx/stream=l2/symbol=BTC%2FUSDT/a.parquet",
        capture_ts=[MS + 5],
        ts_event=[MS],
        bid_0_price=[10.0],
        bid_0_size=[1.0],
        bid_1_price=pa.array([None], pa.float64()),
        bid_1_size=pa.array([None], pa.float64()),
        ask_0_price=[11.0],
        ask_0_size=[2.0],
    )
    result = land()
    assert result.exit_code == 0, result.output
    assert rows(lake, "order_book", "symbol, epoch_ms(ts_capture), bids, asks") == [
        ("BTC/USDT", MS + 5, [{"price": 10.0, "size": 1.0}], [{"price": 11.0, "size": 2.0}])
    ]


@ON_DISK
def test_a_file_with_damaged_pages_lands_nothing(lake: Lake, land: Land, root: Path) -> None:
    file = put_trades(root)
    data = file.read_bytes()
    file.write_bytes(data[:4] + b"\xff" * 300 + data[304:])
    result = land()
    assert result.exit_code == 1
    assert "PARQUET_CORRUPT" in result.output
    assert list(lake.storage.entries("raw")) == []


@ON_DISK
def test_text_that_is_no_utf8_is_damage(lake: Lake, land: Land, root: Path) -> None:
    symbol = pa.array([b"BTC", b"\xff\xfe", b"ETH"], pa.binary()).view(pa.string())
    put_trades(root, symbol=symbol)
    result = land()
    assert "PARQUET_CORRUPT" in result.output
    assert not list(lake.storage.entries("raw/trades"))


@ON_DISK
def test_files_that_are_still_written_are_left_alone(land: Land, root: Path) -> None:
    put_quotes(root, BBO.replace("2026-", ".2026-"))
    result = land()
    assert result.exit_code == 1
    assert "There is no .parquet file" in result.output


@ON_DISK
def test_symbols_can_be_chosen(lake: Lake, land: Land, root: Path) -> None:
    put_trades(root)
    assert land("--symbols", "ETH/USDT").exit_code == 0
    assert rows(lake, "trades", "symbol") == [("ETH/USDT",)]


@ON_DISK
def test_a_bad_row_of_any_type_is_set_aside_and_the_others_land(
    lake: Lake, land: Land, root: Path
) -> None:
    put_trades(
        root,
        timestamp=pa.array([MS * 10**6 + 123, None, MS * 10**6 + 7], pa.timestamp("ns")),
        info=pa.array([[{"x": b"\xff", "t": MS}]] * 3),
    )
    result = land()
    assert "MISSING_FIELD 1" in result.output
    assert rows(lake, "trades", "trade_id") == [("1",), ("3",)]
    (path,) = [
        entry.path
        for entry in lake.storage.entries("quarantine")
        if entry.path.endswith("rejected.jsonl")
    ]
    (reject,) = map(json.loads, lake.storage.read(path).splitlines())
    assert reject["content"]["timestamp"] is None
    assert reject["content"]["info"] == [{"x": "/w==", "t": str(MS)}]


@ON_DISK
def test_columns_agree_with_the_path(lake: Lake, land: Land, root: Path, tmp_path: Path) -> None:
    path = "exchange=binance/stream=trades/symbol=btcusdt/a.parquet"
    rest: dict[str, Any] = {"timestamp": [MS, MS], "price": [1.0, 2.0], "amount": [1.0, 1.0]}
    put(root, path, Pair=["BTC-USDT", "BTC-USDT"], **rest)
    assert land().exit_code == 0
    assert rows(lake, "trades", "symbol, extra") == [("btcusdt", None)] * 2
    put(root, path, Pair=["BTC-USDT", "ETH-USDT"], **rest)
    assert "SEVERAL_SYMBOLS" in land().output
    put(root, path, Pair=["ETH-USDT", "ETH-USDT"], **rest)
    assert "OTHER_SYMBOL" in land().output
    config = tmp_path / "mapping.json"
    config.write_text('{"rename": {"exchange": {"binance": "binance-us"}}, "where": {"price": 2}}')
    put(root, path, venue=["binance", "binance"], **(rest | {"price": [1, 2]}))
    result = land("--config", str(config))
    assert result.exit_code == 0, result.output
    assert "where 1" in result.output
    assert rows(lake, "trades", "exchange, price") == [("binance-us", Decimal(2))]
