"""`ticklake land csv`, from the command line to what lies in the lake."""

import gzip
import io
import json
import time
import zipfile
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


def land_text(
    tmp_path: Path, text: str | bytes, *options: str, name: str = "a.csv", **mapping: Any
) -> Any:
    """Land a file with a mapping."""
    file, config = tmp_path / name, tmp_path / "mapping.json"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    config.write_text(json.dumps(mapping))
    return land("csv", file, *options, "--config", config)


TRADE = "ts_event, price, size, side"
MORNING = datetime(2024, 3, 1, 8, tzinfo=UTC)


@ON_DISK
@pytest.mark.parametrize(
    ("text", "mapping", "row"),
    [
        pytest.param(
            "1709280000.0,1,2000.5,-5\n",
            {
                "header": ["timestamp", "id", "price", "size"],
                "sign": {"positive": "buy", "negative": "sell"},
                "scale": {"size": "0.0001"},
            },
            (MORNING, Decimal("2000.5"), Decimal("0.0005"), "sell"),
            id="Gate futures",
        ),
        pytest.param(
            "ID,MTS,AMOUNT,PRICE\n1,1709280000000,0.24,3613.6\n",
            {"sign": {"positive": "buy", "negative": "sell"}, "columns": {"ts_event": "MTS"}},
            (MORNING, Decimal("3613.6"), Decimal("0.24"), "buy"),
            id="Bitfinex",
        ),
        pytest.param(
            "ts_event,rtype,publisher_id,action,side,price,size\n"
            "1709280000000000000,0,1,T,A,3720250000000,1\n"
            "1709280000000000001,0,1,C,B,3720250000000,1\n",
            {"scale": {"price": 1e-9}, "where": {"action": "T"}},
            (MORNING, Decimal("3720.25"), Decimal(1), "sell"),
            id="Databento",
        ),
        pytest.param(
            "timestamp,price,amount\n1709280000,2000.5,5e20\n",
            {"scale": {"size": "1e-18"}},
            (MORNING, Decimal("2000.5"), Decimal(500), None),
            id="sizes in wei",
        ),
        pytest.param(
            "date,price,size\n2024-03-01 08:00:00,0.0005315000000000001,6694386.4105087975\n",
            {"round": {"price": 10, "size": {"digits": 9}}},
            (MORNING, Decimal("0.0005315"), Decimal("6694386.41"), None),
            id="float noise",
        ),
        pytest.param(
            "K\u00e4ufe;;\nDatum;Kurs;Menge\n01.03.2024 09:00:00;1.234,5;0,5\n".encode("latin-1"),
            {
                "encoding": "latin-1",
                "skip_lines": 1,
                "decimal": ",",
                "thousands": ".",
                "columns": {"ts_event": "Datum", "price": "Kurs", "size": "Menge"},
                "timestamp_format": "%d.%m.%Y %H:%M:%S",
                "timezone": "Europe/Berlin",
            },
            (MORNING, Decimal("1234.5"), Decimal("0.5"), None),
            id="a German broker",
        ),
        pytest.param(
            "Date|Time|Last|Vol\n2024.03.01|03:00:00|1.5|2\n",
            {
                "columns": {"ts_event": ["Date", "Time"], "size": "Vol"},
                "timestamp_format": "%Y.%m.%d %H:%M:%S",
                "timezone": "-05:00",
            },
            (MORNING, Decimal("1.5"), Decimal(2), None),
            id="date and time apart",
        ),
        pytest.param(
            "\ufefftime,price,size\n1709280000,1,1\n".encode("utf-16"),
            {},
            (MORNING, Decimal(1), Decimal(1), None),
            id="UTF-16",
        ),
        pytest.param(
            "timestamp,trade_id,price,amount,taker_side_sell\n1709280000000,1,3700.1,0.1,true\n",
            {},
            (MORNING, Decimal("3700.1"), Decimal("0.1"), "sell"),
            id="Kaiko",
        ),
        pytest.param(
            "time_exchange;time_coinapi;guid;price;base_amount;taker_side\n"
            "2024-03-01T08:00:00.0000000Z;2024-03-01T08:00:00.1Z;a;1;2;BUY\n",
            {},
            (MORNING, Decimal(1), Decimal(2), "buy"),
            id="CoinAPI",
        ),
        pytest.param(
            "trade_id,timestamp,price,side,volume(quote),size(base)\n1,1709280000,5,buy,10,2\n",
            {},
            (MORNING, Decimal(5), Decimal(2), "buy"),
            id="Bitget",
        ),
        pytest.param(
            "instrument_name,trade_id,side,price,size,created_time\n"
            "BTC-USDT,1,sell,5,2,1709280000000\n",
            {},
            (MORNING, Decimal(5), Decimal(2), "sell"),
            id="OKX",
        ),
    ],
)
def test_files_of_vendors_land(
    lake: Lake, tmp_path: Path, text: str | bytes, mapping: dict[str, Any], row: tuple[Any, ...]
) -> None:
    result = land_text(tmp_path, text, *WHO[:4], "--symbol", "BTCUSDT", **mapping)
    assert result.exit_code == 0, result.output
    assert rows(lake, "trades", TRADE) == [row]


@ON_DISK
@pytest.mark.parametrize("mapped", [True, False])
def test_a_file_without_a_header_keeps_its_first_row(
    lake: Lake, tmp_path: Path, mapped: bool
) -> None:
    text = "1381095240,122.0,122.0,122.0,122.0,0.1,1\n1381179000,123,123,123,123,0.1,1\n"
    options = ("--channel", "klines", *WHO[2:], "--interval", "1m")
    if not mapped:
        assert "the first line has values" in land_text(tmp_path, text, *options).output
        (error,) = errors(lake)
        assert error["error_type"] == "NO_HEADER"
        assert "1381095240,122.0" in error["message"]
        assert "7 columns in their order" in error["message"]
        assert '{"header": ["open_time", "open", "high", "low", "close"' in error["message"]
        return
    header = ["open_time", "open", "high", "low", "close", "volume", "trades"]
    assert land_text(tmp_path, text, *options, header=header).exit_code == 0
    assert rows(lake, "klines", "open, count") == [(Decimal(122), 1), (Decimal(123), 1)]


@ON_DISK
def test_local_times_that_daylight_saving_makes_unclear_are_rejected(
    lake: Lake, tmp_path: Path
) -> None:
    text = (
        "time,price,size\n2021-11-07 00:30:00,1,1\n2021-11-07 01:30:00,2,1\n"
        "2021-03-14 02:30:00,3,1\n2021-11-07T01:30:00-05:00,4,1\n"
    )
    for form in ({}, {"timestamp_format": "%Y-%m-%d %H:%M:%S"}):
        lines = text if not form else text[: text.index("2021-11-07T")]
        result = land_text(tmp_path, lines, *WHO, timezone="America/New_York", **form)
        assert result.exit_code == 1
        assert [entry["error_type"] for entry in rejects(lake)] == [
            "AMBIGUOUS_TIME",
            "NONEXISTENT_TIME",
        ]
        first = rows(lake, "trades", "ts_event, price", "price")[0]
        assert first == (datetime(2021, 11, 7, 4, 30, tzinfo=UTC), Decimal(1))


@ON_DISK
def test_lines_that_are_not_rows_are_counted_and_are_no_failure(lake: Lake, tmp_path: Path) -> None:
    text = (
        "https://www.CryptoDataDownload.com\n"
        "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
        "1609459140000,2020-12-31 23:59:00,BTC/USDT,1,1,1,1,5,6,7\n"
        "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
        "1609459080,2020-12-31 23:58:00,BTC/USDT,1,1,1,1,5,6,7\n"
        "1609459020,2020-12-31 23:57:00,BTC/USDT,,,,,0,0,0\n"
    )
    options = ("--channel", "klines", "--exchange", "binance", "--interval", "1m")
    hint = land_text(tmp_path, text, *options)
    assert '{"columns": {"volume": "Volume BTC"}}' in hint.output
    columns = {"volume": "Volume BTC", "quote_volume": "Volume USDT"}
    result = land_text(tmp_path, text, *options, columns=columns, where={"open": {"not": None}})
    assert result.exit_code == 0, result.output
    assert "lines before the header 1, repeated headers 1, where 1" in result.output
    found = rows(lake, "klines", "symbol, open_time, volume, quote_volume, count", "open_time")
    assert found == [
        ("BTC/USDT", datetime(2020, 12, 31, 23, minute, tzinfo=UTC), Decimal(5), Decimal(6), 7)
        for minute in (58, 59)
    ]


def zipped(**files: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return file.getvalue()


@ON_DISK
def test_a_zip_is_read_and_one_of_several_files_is_named(lake: Lake, tmp_path: Path) -> None:
    text = "time,price,size\n1709251200,1,1\n"
    assert land_text(tmp_path, zipped(a=text), *WHO, name="a.zip").exit_code == 0
    assert len(rows(lake, "trades")) == 1
    several = zipped(a=text, b=text.replace(",1,1", ",2,1"))
    assert "ZIP_MEMBERS" in land_text(tmp_path, several, *WHO, name="a.zip").output
    (error,) = errors(lake)
    assert '"member"' in error["message"]
    assert land_text(tmp_path, several, *WHO, name="a.zip", member="b*").exit_code == 0
    assert rows(lake, "trades", "price") == [(Decimal(2),)]


@ON_DISK
@pytest.mark.parametrize("name", ["Symbol", "SYMBOL", "pair", "instrument_name", "s", "productId"])
def test_a_column_of_symbols_by_any_name_agrees_with_the_option(
    lake: Lake, tmp_path: Path, name: str
) -> None:
    text = f"{name},time,price,size\nBTC-USDT,1709251200,1,1\n"
    assert land_text(tmp_path, text, *WHO).exit_code == 0
    assert rows(lake, "trades", "symbol, extra") == [("BTCUSDT", None)]
    # Chunks of an object are judged together, and nothing of it lands.
    later = text + "BTC-USDT,1709251200,1,1\n" * 300_000 + "ETH-USDT,1709251200,1,1\n"
    assert land_text(tmp_path, later, *WHO, name="b.csv").exit_code == 1
    assert errors(lake)[0]["error_type"] == "SEVERAL_SYMBOLS"
    assert len(rows(lake, "trades")) == 1


@ON_DISK
@pytest.mark.parametrize(
    ("text", "options", "mapping", "error_type"),
    [
        ("exchange,time,price,size\nbybit,1709251200,1,1\n", WHO, {}, "OTHER_EXCHANGE"),
        (
            "x,time,price,size\nETH,1709251200,1,1\n",
            WHO,
            {"columns": {"symbol": "x"}},
            "OTHER_SYMBOL",
        ),
        ("time,ask,bid,ask_size\n1709251200,2,1,1\n", WHO, {}, "OTHER_KIND"),
        ('{"T": 1, "p": "1"}\n{"T": 2, "p": "1"}\n', WHO, {}, "NOT_CSV"),
        (b"PAR1" + b"\0" * 100, WHO, {}, "NOT_CSV"),
        ("<!DOCTYPE html><html></html>\n", WHO, {}, "NOT_CSV"),
        ("time,action,price,size\n1709251200,A,1,1\n", WHO, {}, "NOT_ALL_TRADES"),
        (
            "timestamp,rtype,publisher_id,price,size\n1709251200,0,1,3720250000000,1\n",
            WHO,
            {},
            "NO_SCALE",
        ),
        (
            "timestamp\tsnapshot\tasks\tbids\n1625097600016\tfalse\t[[2,1]]\t[[1,1]]\n",
            ("--channel", "order_book", *WHO[2:]),
            {},
            "CHANGES_OF_A_BOOK",
        ),
        (
            "time,open,high,low,close,volume\n1709251200,1,1,1,1,1\n1709254800,1,1,1,1,1\n",
            ("--channel", "klines", *WHO[2:], "--interval", "1m"),
            {},
            "OTHER_INTERVAL",
        ),
    ],
)
def test_a_file_that_contradicts_what_it_is_landed_as_is_refused_whole(
    lake: Lake,
    tmp_path: Path,
    text: str | bytes,
    options: tuple[str, ...],
    mapping: dict[str, Any],
    error_type: str,
) -> None:
    result = land_text(tmp_path, text, *options, **mapping)
    assert result.exit_code == 1
    assert [error["error_type"] for error in errors(lake)] == [error_type]
    assert list(lake.storage.entries(f"raw/{options[1]}")) == []


@ON_DISK
def test_constants_and_new_names_stand_for_options(lake: Lake, tmp_path: Path) -> None:
    text = "time,price,size,pair\n1709251200,1,1,XBT/USD\n"
    said = {"constants": {"exchange": "kraken"}, "rename": {"symbol": {"XBT/USD": "BTCUSD"}}}
    assert land_text(tmp_path, text, "--channel", "trades", **said).exit_code == 0
    assert rows(lake, "trades", "exchange, symbol") == [("kraken", "BTCUSD")]
    result = land_text(tmp_path, text, *WHO, **said)
    assert "--exchange is binance, and 'constants' of the mapping says kraken" in result.output


@ON_DISK
def test_two_columns_that_can_be_the_size_are_refused_by_name(lake: Lake, tmp_path: Path) -> None:
    text = "time,price,amount,volume\n1709251200,10,1,10\n"
    result = land_text(tmp_path, text, *WHO)
    assert "'volume' and 'amount' can each be the size" in result.output
    assert land_text(tmp_path, text, *WHO, columns={"size": "amount"}).exit_code == 0


@ON_DISK
def test_reasons_name_the_value_and_the_word_that_helps(lake: Lake, tmp_path: Path) -> None:
    bad = {
        "01.03.2024 08:00:00,1,1": '"timestamp_format": "%d.%m.%Y %H:%M:%S"',
        "09:30:00,1,1": '{"columns": {"ts_event": ["date", "time"]}}',
        '1709251200,"1,5",1': '"decimal": ","',
        "1709251200,0.0005315000000000001,1": 'has 19 decimals, and 12 are kept. Give "round"',
        "1709251200,1,-1": '"sign"',
        "1709251200,1,500000000000000000000": '"scale"',
    }
    land_text(tmp_path, "time,price,size\n" + "\n".join(bad) + "\n", *WHO)
    found = rejects(lake)
    assert [entry["text"] for entry in found] == [*bad]
    for entry, hint in zip(found, bad.values(), strict=True):
        assert hint in entry["message"]


@ON_DISK
def test_many_columns_take_no_longer_than_their_size(lake: Lake, tmp_path: Path) -> None:
    names = [f"c{place}" for place in range(5_000)]
    line = ",".join(["1709251200", "1", "1", *map(str, range(5_000))]) + "\n"
    began = time.process_time()
    text = ",".join(["time", "price", "size", *names]) + "\n" + line * 50
    assert land_text(tmp_path, text, *WHO).exit_code == 0
    assert time.process_time() - began < 10  # 20 s when it grew with the square of the columns
    assert len(rows(lake, "trades", "extra")[0][0]) > 50_000
