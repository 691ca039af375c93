"""`ticklake land csv`, from the command line to what lies in the lake."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loaders.csv_files import CsvParser
from loaders.source import Source, SourceObject
from tests.integration.landed import content, errors, land, rejects, rows

Lake = Any  # the fixture of tests/conftest.py

HEAD = "Time,Price,Volume,Taker Side,ID,flags\n"
TRADES = (
    "2024-03-01T00:00:00.123Z,61000.5,0.01,BUY,7,x\n"
    "1709251201,61000.6,0.02,sell,8,\n"
    "1709164800000,61000.7,0.03,,9,\n"
)
WHO = ("--channel", "trades", "--exchange", "binance", "--symbol", "BTCUSDT")

ON_DISK = pytest.mark.parametrize("lake", ["local"], indirect=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trades.csv"


def test_trades_land_by_the_names_of_their_columns(lake: Lake, file: Path) -> None:
    file.write_text(HEAD + TRADES)
    result = land("csv", file, *WHO)
    assert result.exit_code == 0, result.output
    assert "kept in `extra`: flags 1" in result.output
    columns = "ts_event, trade_id, price, size, side, extra, exchange, symbol, date::varchar"
    march = datetime(2024, 3, 1, tzinfo=UTC)
    assert rows(lake, "trades", columns, "trade_id") == [
        (
            *(march.replace(microsecond=123_000), "7", Decimal("61000.5"), Decimal("0.01"), "buy"),
            *('{"flags":"x"}', "binance", "BTCUSDT", "2024-03-01"),
        ),
        (
            *(march.replace(second=1), "8", Decimal("61000.6"), Decimal("0.02"), "sell"),
            *(None, "binance", "BTCUSDT", "2024-03-01"),
        ),
        (
            *(datetime(2024, 2, 29, tzinfo=UTC), "9", Decimal("61000.7"), Decimal("0.03"), None),
            *(None, "binance", "BTCUSDT", "2024-02-29"),
        ),
    ]


def test_landing_again_skips_and_other_folders_do_not_replace(lake: Lake, tmp_path: Path) -> None:
    files = [tmp_path / folder / "trades.csv" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(HEAD + TRADES)
    assert "2 landed" in land("csv", *files, *WHO).output
    assert len(rows(lake, "trades")) == 6
    before = content(lake)
    assert "2 skipped" in land("csv", *files, *WHO).output
    assert "2 landed" in land("csv", "--force", *files, *WHO, workers=2).output
    assert content(lake) == before
    twice = land("csv", files[0], files[0], *WHO)
    assert twice.exit_code == 1
    assert "was given twice" in twice.output


@ON_DISK
@pytest.mark.parametrize("end", [".gz", ".zst"])
def test_compressed_files_land_the_same_bytes(lake: Lake, tmp_path: Path, end: str) -> None:
    data = (HEAD + TRADES * 2000).encode()
    file = tmp_path / f"trades.csv{end}"
    if end == ".gz":
        file.write_bytes(gzip.compress(data))
    else:
        with pa.CompressedOutputStream(str(file), "zstd") as stream:
            stream.write(data)
    assert land("csv", file, *WHO).exit_code == 0
    assert rows(lake, "trades", "count(*), sum(size)") == [(6000, Decimal("120.00"))]


def test_bad_rows_are_set_aside_with_line_type_and_content(lake: Lake, file: Path) -> None:
    bad = {
        "yesterday,1,1,buy,1,": "BAD_TIME",
        "1709251200,1e40,1,buy,1,": "BAD_DECIMAL",
        "1709251200,0.0000000000001,1,buy,1,": "BAD_DECIMAL",
        "1709251200,-1,1,buy,1,": "BAD_DECIMAL",
        "1709251200,1,-1,buy,1,": "BAD_DECIMAL",
        "1709251200,1,1,north,1,": "BAD_SIDE",
        "1709251200,,1,buy,1,": "MISSING_FIELD",
        "1709251200,1,1": "BAD_LINE",
    }
    file.write_text(HEAD + "\n".join(bad) + "\n" + TRADES)
    result = land("csv", file, *WHO)
    assert result.exit_code == 1
    assert "BAD_DECIMAL 4" in result.output
    assert len(rows(lake, "trades")) == 3
    assert errors(lake)[0]["again"] == f"ticklake land csv {' '.join(WHO)} FILE"
    found = sorted(rejects(lake), key=lambda entry: entry["line"])
    assert [(entry["line"], entry["text"], entry["error_type"]) for entry in found] == [
        (line, text, error_type) for line, (text, error_type) in enumerate(bad.items(), 2)
    ]
    file.write_text(HEAD + TRADES)
    assert land("csv", file, *WHO).exit_code == 0
    assert rejects(lake) == []


def test_a_missing_column_is_one_error_before_anything_lands(lake: Lake, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(HEAD + TRADES)
    bad.write_text("when,cost,qty\n1709251200,1,1\n")
    result = land("csv", good, bad, *WHO)
    assert result.exit_code == 1
    assert "bad.csv: No column for ts_event, price" in result.output
    assert "when, cost, qty" in result.output
    assert '{"columns": {"ts_event": "when"}}' in result.output
    assert "Traceback" not in result.output
    assert list(lake.storage.entries("")) == []
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"columns": {"ts_event": "when", "price": "cost"}}')
    assert land("csv", bad, *WHO, "--config", mapping).exit_code == 0
    assert rows(lake, "trades", "price") == [(Decimal(1),)]


@ON_DISK
def test_a_mapping_says_formats_sides_and_a_header(lake: Lake, file: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    content = {
        "columns": {"ts_event": "when", "price": "px"},
        "timestamp_format": "%d/%m/%Y %H:%M:%S",
        "side": {"1": "buy", "2": "sell", "0": None},
        "header": ["when", "px", "qty", "side"],
    }
    mapping.write_text(json.dumps(content))
    file.write_text(
        "01/03/2024 12:00:00|1.5|2|1\n01/03/2024 12:00:01|1.5|2|2\n01/03/2024 12:00:02|1|1|0\n"
    )
    assert land("csv", file, *WHO, "--config", mapping).exit_code == 0
    noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert rows(lake, "trades", "ts_event, side") == [
        (noon, "buy"),
        (noon.replace(second=1), "sell"),
        (noon.replace(second=2), None),
    ]
    mapping.write_text(json.dumps(content | {"side": {"1": "sell", "2": "buy", "0": None}}))
    assert "1 landed" in land("csv", file, *WHO, "--config", mapping).output
    assert rows(lake, "trades", "side", "ts_event") == [("sell",), ("buy",), (None,)]


@ON_DISK
@pytest.mark.parametrize(
    ("channel", "text", "columns", "row"),
    [
        (
            "klines",
            "open_time,open,high,low,close,volume,interval\n1709251200,1,3,0.5,2,10.000000000001,1m\n",
            "open, high, low, close, volume, close_time, interval, month",
            (
                *(Decimal(1), Decimal(3), Decimal("0.5"), Decimal(2), Decimal("10.000000000001")),
                *(None, "1m", "2024-03"),
            ),
        ),
        (
            "tickers",
            "time,seq,best_bid,best_bid_qty,best_ask,best_ask_qty,last\n1709251200,5,1,2,3,4,2.5\n",
            "seq, bid_price, bid_size, ask_price, ask_size, last_price",
            (5, 1.0, 2.0, 3.0, 4.0, 2.5),
        ),
        (
            "mark_prices",
            "time,mark_price,index_price\n1709251200,1.5,1.25\n",
            "mark_price, index_price",
            (1.5, 1.25),
        ),
        (
            "funding_rates",
            "time,funding_rate,interval_hours,next_funding_time\n1709251200,0.0001,8,1709280000\n",
            "funding_rate, interval_hours, next_funding_ts",
            (0.0001, 8.0, datetime(2024, 3, 1, 8, tzinfo=UTC)),
        ),
        (
            "order_book",
            "time,seq,is_reset,bid_price_1,bid_size_1,ask_price_1,ask_size_1,ask_price_2,ask_size_2\n"
            "1709251200,5,true,1,2,3,4,,\n",
            "seq, is_reset, bids, asks",
            (5, True, [{"price": 1.0, "size": 2.0}], [{"price": 3.0, "size": 4.0}]),
        ),
    ],
)
def test_every_channel_lands(
    lake: Lake,
    tmp_path: Path,
    channel: str,
    text: str,
    columns: str,
    row: tuple[Any, ...],
) -> None:
    file = tmp_path / "file.csv"
    file.write_text(text)
    result = land("csv", file, "--channel", channel, "--exchange", "okex", "--symbol", "BTC-USDT")
    assert result.exit_code == 0, result.output
    assert rows(lake, channel, columns) == [row]


@ON_DISK
def test_a_maker_flag_gives_the_aggressor(lake: Lake, file: Path) -> None:
    file.write_text("time,price,qty,isBuyerMaker\n1709251200,1,1,True\n1709251201,1,1,false\n")
    assert land("csv", file, *WHO).exit_code == 0
    assert rows(lake, "trades", "side", "ts_event") == [("sell",), ("buy",)]


@ON_DISK
def test_symbols_may_be_in_a_column_but_not_several_under_one_name(lake: Lake, file: Path) -> None:
    file.write_text("time,price,qty,symbol\n1709251200,1,1,ETH/USDT\n1709251201,2,1,BTC/USDT\n")
    mixed = land("csv", file, *WHO)
    assert mixed.exit_code == 1
    assert errors(lake)[0]["error_type"] == "SEVERAL_SYMBOLS"
    assert rows(lake, "trades") == []
    assert land("csv", file, *WHO[:4]).exit_code == 0
    assert rows(lake, "trades", "symbol, price") == [
        ("BTC/USDT", Decimal(2)),
        ("ETH/USDT", Decimal(1)),
    ]


@ON_DISK
def test_a_file_of_another_symbol_than_the_one_given_is_set_aside(lake: Lake, file: Path) -> None:
    file.write_text("time,price,qty,symbol\n1709251200,1,1,ETHUSDT\n")
    result = land("csv", file, *WHO)
    assert result.exit_code == 1
    (error,) = errors(lake)
    assert error["error_type"] == "OTHER_SYMBOL"
    assert "says ETHUSDT, and --symbol BTCUSDT" in error["message"]
    assert rows(lake, "trades") == []
    # The same symbol spelled otherwise is the same, and lands as the caller spells it.
    file.write_text("time,price,qty,symbol,exchange\n1709251200,1,1,btc/usdt,Binance Spot\n")
    assert land("csv", file, *WHO).exit_code == 0
    assert rows(lake, "trades", "exchange, symbol") == [("binance", "BTCUSDT")]


@ON_DISK
def test_a_broken_file_is_set_aside_and_the_others_land(lake: Lake, tmp_path: Path) -> None:
    good, bad, empty = (tmp_path / name for name in ("good.csv", "bad.csv.gz", "empty.csv"))
    good.write_text(HEAD + TRADES)
    bad.write_bytes(b"\x1f\x8b not a gzip")
    empty.write_text("")
    result = land("csv", good, bad, empty, *WHO)
    assert result.exit_code == 1
    assert "1 landed, 0 skipped, 2 quarantined" in result.output
    assert {error["error_type"] for error in errors(lake)} == {"GZIP_CORRUPT", "NO_HEADER"}
    assert len(rows(lake, "trades")) == 3


@ON_DISK
def test_of_a_cut_file_all_whole_lines_land(lake: Lake, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEAD + TRADES).encode())[:-10])
    result = land("csv", cut, *WHO)
    assert result.exit_code == 1
    assert "GZIP_TRUNCATED 1" in result.output
    assert len(rows(lake, "trades")) == 2


@ON_DISK
def test_a_file_of_bad_rows_only_is_set_aside_row_by_row(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("time,symbol,price,size\nsoon,BTCUSDT,1,1\n")
    result = land("csv", file, "--channel", "trades", "--exchange", "okx")
    assert result.exit_code == 1
    assert "BAD_TIME 1" in result.output


@ON_DISK
def test_a_fault_of_the_loader_does_not_stop_the_other_files(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    for file in (first, second):
        file.write_text(HEAD + TRADES)

    def parse(self: CsvParser, source: Source, found: SourceObject, sink: Any) -> None:
        if found.path == "first.csv":
            raise KeyError("exchange")
        whole(self, source, found, sink)

    whole = CsvParser.parse
    monkeypatch.setattr(CsvParser, "parse", parse)
    result = land("csv", first, second, *WHO)
    assert result.exit_code == 1
    assert "KeyError: 'exchange' (test_land_csv.py:" in result.output
    assert "1 landed" in result.output
    assert len(rows(lake, "trades")) == 3
