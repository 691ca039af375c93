"""`ticklake land tardis`, from the command line to what lies in the lake."""

import csv
import gzip
import json
import sys
import types
import urllib.error
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.integration.landed import errors, land, rejects, rows

Lake = Any  # the fixture of tests/conftest.py

ON_DISK = pytest.mark.parametrize("lake", ["local"], indirect=True)
START = 1_598_918_400_000_000  # 2020-09-01, in microseconds
HEAD = "exchange,symbol,timestamp,local_timestamp,"
CHANGES = HEAD + "is_snapshot,side,price,amount\n"
TICKER = (
    HEAD + "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,"
    "index_price,mark_price\n"
)


def moment(micros: str | int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))


def line(*fields: object, symbol: str = "BTCUSDT", after: int = 0) -> str:
    clocks = (START + after, START + after + 7)
    return ",".join(map(str, ("binance", symbol, *clocks, *fields))) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def head(shared_data: Path, name: str) -> list[dict[str, str]]:
    """Read a real head in the plain way."""
    with (shared_data / "tardis_csv" / name).open() as file:
        return list(csv.DictReader(file))


def levels(row: dict[str, str], side: str) -> list[dict[str, float]]:
    numbers = range(sum(name.startswith(side) for name in row) // 2)
    return [
        {"price": float(row[f"{side}[{n}].price"]), "size": float(row[f"{side}[{n}].amount"])}
        for n in numbers
        if row[f"{side}[{n}].price"]
    ]


def test_the_real_heads_land_value_by_value(lake: Lake, shared_data: Path) -> None:
    result = land("tardis", shared_data / "tardis_csv")
    assert result.exit_code == 0, result.output
    assert "5 landed" in result.output
    assert "Landed: 41 rows" in result.output
    about = "exchange, symbol, ts_event, ts_capture"

    def common(row: dict[str, str]) -> tuple[Any, ...]:
        clocks = (moment(row["timestamp"]), moment(row["local_timestamp"]))
        return (row["exchange"], row["symbol"], *clocks)

    assert rows(lake, "trades", f"{about}, trade_id, side, price, size, extra") == sorted(
        (
            *(*common(row), row["id"], row["side"]),
            *(Decimal(row["price"]), Decimal(row["amount"]), None),
        )
        for row in head(shared_data, "bitmex_trades_XBTUSD.csv")
    )
    prices = "bid_price, bid_size, ask_price, ask_size"
    assert rows(lake, "tickers", f"{about}, {prices}, last_price, extra") == sorted(
        (
            *common(row),
            *(float(row[name]) for name in ("bid_price", "bid_amount", "ask_price", "ask_amount")),
            *(None, None),
        )
        for row in head(shared_data, "huobi-dm-swap_quotes_BTC-USD.csv")
    )
    snapshots = [
        row
        for count in (5, 25)
        for row in head(shared_data, f"binance-futures_book_snapshot_{count}_BTCUSDT.csv")
    ]
    expected = [
        (*common(row), None, False, levels(row, "bids"), levels(row, "asks"), None)
        for row in snapshots
    ]
    changes = head(shared_data, "deribit_incremental_book_L2_BTC-PERPETUAL.csv")
    asks = [{"price": float(row["price"]), "size": float(row["amount"])} for row in changes]
    expected.append((*common(changes[0]), None, True, [], asks, None))
    found = rows(lake, "order_book", f"{about}, seq, is_reset, bids, asks, extra")

    def place(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*row[:4], len(row[6]))  # the same instants are there with 5 and with 25 levels

    assert sorted(found, key=place) == sorted(expected, key=place)


@ON_DISK
def test_the_book_is_rebuilt_from_its_changes(lake: Lake, file: Path) -> None:
    file.write_text(
        CHANGES
        + line("false", "bid", 1, 9)  # before there is a snapshot
        + line("true", "bid", 10, 1, after=1)
        + line("true", "bid", 9, 2, after=1)
        + line("true", "ask", 11, 3, after=1)
        + line("false", "bid", 10, 0, after=2)
        + line("false", "ask", "11.5", 4, after=2)
        + line("true", "ask", 20, 1, symbol="ETHUSDT", after=2)
        + line("false", "ask", 11, 5, after=3)
        + line("true", "bid", 8, 1, after=4)
    )
    assert land("tardis", file, "--levels", 2).exit_code == 0
    found = rows(lake, "order_book", "symbol, ts_event, is_reset, bids, asks", "symbol, ts_event")

    def book(after: int, is_reset: bool, bids: Any, asks: Any, symbol: str = "BTCUSDT") -> Any:
        sides = [[{"price": p, "size": s} for p, s in side] for side in (bids, asks)]
        return (symbol, moment(START + after), is_reset, *sides)

    assert found == [
        book(1, True, [(10, 1), (9, 2)], [(11, 3)]),
        book(2, False, [(9, 2)], [(11, 3), (11.5, 4)]),
        book(3, False, [(9, 2)], [(11, 5), (11.5, 4)]),
        book(4, True, [(8, 1)], []),
        book(2, True, [], [(20, 1)], "ETHUSDT"),
    ]


@ON_DISK
def test_a_book_that_missed_a_line_waits_for_the_next_snapshot(lake: Lake, file: Path) -> None:
    bad = line("false", "bid", "ten", 1, after=3)
    text = CHANGES + line("true", "bid", 10, 1) + line("true", "bid", 7, 1, symbol="ETHUSDT")
    text += line("false", "bid", 9, 1, after=2) + bad + line("false", "bid", 8, 1, after=4)
    text += line("false", "bid", 6, 1, symbol="ETHUSDT", after=4)
    text += line("true", "bid", 5, 1, after=5)
    file.write_text(text)
    assert land("tardis", file).exit_code == 1
    (reject,) = rejects(lake)
    assert (reject["line"], reject["error_type"]) == (5, "BAD_NUMBER")
    assert reject["text"] == bad.rstrip()
    # The message before the bad line may have gone on in it.
    found = rows(lake, "order_book", "symbol, ts_event, is_reset", "symbol, ts_event")
    assert found == [
        ("BTCUSDT", moment(START), True),
        ("BTCUSDT", moment(START + 5), True),
        ("ETHUSDT", moment(START), True),
        ("ETHUSDT", moment(START + 4), False),
    ]
    file.write_text(text.replace(bad, "binance,BTCUSDT\n"))
    assert land("tardis", file).exit_code == 1
    assert rejects(lake)[0]["error_type"] == "BAD_LINE"
    # Whose line it was is not known, so it may have been of either's latest message.
    found = rows(lake, "order_book", "symbol, ts_event, is_reset", "symbol, ts_event")
    assert found == [("BTCUSDT", moment(START), True), ("BTCUSDT", moment(START + 5), True)]


@ON_DISK
def test_a_derivative_ticker_gives_marks_and_funding_where_there_are_any(
    lake: Lake, file: Path
) -> None:
    due = START + 3600 * 10**6
    file.write_text(
        TICKER
        + line(due, "0.0001", "0.0002", 500, 100, "100.5", "100.25")
        + line("", "", "", "", 101, "", "100.75", after=1)
        + line("", "", "", "", "", "100.5", "", after=2)
        + line(due, "-0.0001", "", "", "", "", "", after=3)
        + line("", "", "", 501, 102, "", "", after=4)
    )
    result = land("tardis", file)
    assert result.exit_code == 0, result.output
    (path,) = (entry.path for entry in lake.storage.entries("raw/_ledger/tardis"))
    unwanted = json.loads(lake.storage.read(path))["unwanted"]
    assert unwanted == {"rows without a value that has a channel": 1}
    assert rows(lake, "mark_prices", "ts_event, mark_price, index_price, extra") == [
        (
            *(moment(START), 100.25, 100.5),
            '{"predicted_funding_rate":"0.0002","open_interest":"500","last_price":"100"}',
        ),
        (moment(START + 1), 100.75, None, '{"last_price":"101"}'),
        (moment(START + 2), None, 100.5, None),
    ]
    columns = "ts_event, funding_rate, interval_hours, next_funding_ts"
    assert rows(lake, "funding_rates", columns) == [
        (moment(START), 0.0001, None, moment(due)),
        (moment(START + 3), -0.0001, None, moment(due)),
    ]


@ON_DISK
def test_unknown_sides_are_null_one_sided_quotes_stay_and_symbols_can_be_chosen(
    lake: Lake, tmp_path: Path
) -> None:
    trades, quotes = tmp_path / "trades.csv.gz", tmp_path / "quotes.csv"
    text = HEAD + "id,side,price,amount\n" + line("", "unknown", "0.1", "1e-7")
    text += line("5", "sell", "0.2", "1", symbol="ETHUSDT")
    trades.write_bytes(gzip.compress(text.encode()))
    quotes.write_text(HEAD + "ask_amount,ask_price,bid_price,bid_amount\n" + line("", "", 9, 1))
    result = land("tardis", tmp_path, "--symbols", "BTCUSDT")
    assert result.exit_code == 0, result.output
    assert rows(lake, "trades", "trade_id, side, price, size") == [
        (None, None, Decimal("0.1"), Decimal("0.0000001"))
    ]
    assert rows(lake, "tickers", "bid_price, ask_price") == [(9.0, None)]
    assert "2 skipped" in land("tardis", tmp_path, "--symbols", "BTCUSDT").output
    assert "2 landed" in land("tardis", tmp_path).output
    assert rows(lake, "trades", "symbol") == [("BTCUSDT",), ("ETHUSDT",)]


@ON_DISK
def test_what_is_no_data_set_is_set_aside_and_stops_nobody(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "options.csv").write_text(HEAD + "strike\n" + line(1))
    (tmp_path / "trades.csv").write_text(
        HEAD + "id,side,price,amount\n" + line("1", "buy", "1", "1")
    )
    result = land("tardis", tmp_path)
    assert result.exit_code == 1
    assert "1 landed, 0 skipped, 1 quarantined" in result.output
    assert errors(lake)[0]["error_type"] == "UNKNOWN_DATA_TYPE"
    assert "strike" in errors(lake)[0]["message"]
    assert errors(lake)[0]["again"] == "ticklake land tardis --levels 25 FILE"
    (tmp_path / "empty").mkdir()
    nothing = land("tardis", tmp_path / "empty")
    assert nothing.exit_code == 1
    assert "There is no .csv" in nothing.output


TRADES = HEAD + "id,side,price,amount\n"
QUOTES = HEAD + "ask_amount,ask_price,bid_price,bid_amount\n"


@ON_DISK
def test_liquidations_are_no_trades(lake: Lake, tmp_path: Path) -> None:
    trade = line("1", "buy", "1", "3")
    (tmp_path / "binance_trades_2020-09-01_BTCUSDT.csv").write_text(TRADES + trade)
    (tmp_path / "binance_liquidations_2020-09-01_BTCUSDT.csv").write_text(TRADES + 2 * trade)
    result = land("tardis", tmp_path)
    assert result.exit_code == 0, result.output
    assert "2 rows of liquidations are not landed" in result.output
    assert rows(lake, "trades", "size") == [(Decimal(3),)]


@ON_DISK
def test_a_file_that_fits_two_data_types_is_refused_until_one_is_named(
    lake: Lake, file: Path
) -> None:
    file.write_text(TRADES + line("1", "buy", "1", "3"))
    assert land("tardis", file).exit_code == 1
    (error,) = errors(lake)
    assert error["error_type"] == "AMBIGUOUS_DATA_TYPE"
    assert "trades or liquidations" in error["message"]
    assert "--data-type" in error["message"]
    refused = land("tardis", file, "--data-type", "liquidations")
    assert refused.exit_code == 1
    assert "Tardis's liquidations cannot be landed" in refused.output
    assert land("tardis", file, "--data-type", "trades").exit_code == 0
    assert len(rows(lake, "trades")) == 1
    assert errors(lake) == []


@ON_DISK
@pytest.mark.parametrize(
    ("name", "text", "arguments", "told"),
    [
        ("x_quotes_1.csv", TRADES, (), "name says quotes, but its columns"),
        ("x_trades_1.csv", CHANGES, (), "are those of incremental_book_L2"),
        ("file.csv", TRADES, ("--data-type", "quotes"), "--data-type says quotes, but its columns"),
        ("x_trades_1.csv", HEAD + "strike\n", (), "are of no data type of Tardis"),
        (
            *("x_liquidations_1.csv", TRADES, ("--data-type", "trades")),
            "its name says liquidations, and --data-type says trades",
        ),
    ],
)
def test_name_columns_and_option_have_to_agree(
    lake: Lake, tmp_path: Path, name: str, text: str, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / name).write_text(text)
    assert land("tardis", tmp_path / name, *arguments).exit_code == 1
    (error,) = errors(lake)
    assert error["error_type"] == "OTHER_DATA_TYPE"
    assert told in error["message"]


@ON_DISK
def test_a_folder_of_one_data_type_says_what_its_files_are(lake: Lake, tmp_path: Path) -> None:
    for kind in ("trades", "liquidations"):
        (tmp_path / kind / "2020").mkdir(parents=True)
        (tmp_path / kind / "2020" / "BTC.csv").write_text(TRADES + line("1", "buy", "1", "3"))
    assert land("tardis", tmp_path).exit_code == 0
    assert len(rows(lake, "trades")) == 1


@ON_DISK
def test_a_book_ticker_lands_and_an_options_chain_does_not(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "binance_book_ticker_2020-09-01_X.csv").write_text(QUOTES + line(1, 12, 9, 1))
    (tmp_path / "renamed.csv").write_text(QUOTES + line(1, 13, 9, 1))
    options = QUOTES.replace(HEAD, HEAD + "type,strike_price,expiration,")
    (tmp_path / "other.csv").write_text(options + line("call", 1, START, 1, 14, 9, 1))
    result = land("tardis", tmp_path)
    assert result.exit_code == 0, result.output
    assert "1 rows of options_chain are not landed" in result.output
    assert rows(lake, "tickers", "ask_price") == [(12.0,), (13.0,)]


@ON_DISK
def test_an_empty_file_of_a_day_without_data_is_fine(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "binance_trades_2020-09-01_BTCUSDT.csv.gz"
    file.write_bytes(gzip.compress(b""))
    result = land("tardis", file)
    assert result.exit_code == 0, result.output
    assert "no data for this day" in result.output
    file.write_bytes(b"")  # no gzip file at all
    assert land("tardis", file).exit_code == 1


@ON_DISK
def test_of_a_cut_file_no_half_message_lands(lake: Lake, tmp_path: Path) -> None:
    text = CHANGES + line("true", "bid", 10, 1) + line("true", "ask", 11, 1)
    text += "".join(line("false", "bid", 9, 1 + n, after=n) for n in (1, 2, 3, 3, 3))
    file = tmp_path / "binance_incremental_book_L2_2020-09-01_X.csv.gz"
    file.write_bytes(gzip.compress(text.encode())[:-9])
    assert land("tardis", file).exit_code == 1
    assert [reject["error_type"] for reject in rejects(lake)] == ["GZIP_TRUNCATED"]
    found = rows(lake, "order_book", "epoch_us(ts_event)")
    assert found == [(START,), (START + 1,), (START + 2,)]


@ON_DISK
def test_a_snapshot_replaces_the_book_of_a_venue_that_sends_nothing_else(
    lake: Lake, file: Path
) -> None:
    file.write_text(
        CHANGES
        + "".join(
            line("true", side, price + after, 1, after=after * 100)
            for after in range(3)
            for side, price in (("bid", 100), ("bid", 99), ("ask", 101), ("ask", 102))
        )
    )
    assert land("tardis", file).exit_code == 0
    columns = "bids[1].price, asks[1].price, len(bids), len(asks), is_reset"
    assert rows(lake, "order_book", columns, "ts_event") == [
        (100, 101, 2, 2, True),
        (101, 102, 2, 2, False),
        (102, 103, 2, 2, False),
    ]


KEY = "a-key-that-nobody-may-see"
DOWNLOAD = ("--exchange", "binance", "--data-types", "trades", "--symbols", "BTCUSDT")
DAYS = ("--from", "20200901", "--to", "20200902")


class Client:
    """Stands in for the package `tardis_dev`."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def download_datasets(self, **call: Any) -> None:
        self.calls.append(call)
        if self.error:
            raise self.error
        if call["from_date"] == "2020-09-02":
            raise urllib.error.HTTPError("url", 404, "no such data set", None, None)  # type: ignore[arg-type]
        file = Path(call["download_dir"]) / call["get_filename"](
            "binance", "trades", None, "X", "csv"
        )
        file.parent.mkdir(exist_ok=True)
        text = HEAD + "id,side,price,amount\n" + line("1", "buy", "1", "1")
        file.write_bytes(gzip.compress(text.encode()))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    module = types.ModuleType("tardis_dev")
    module.download_datasets = client.download_datasets  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tardis_dev", module)
    return client


def seen(lake: Lake, result: Result) -> str:
    """Return all that a landing has shown and written."""
    stored = (lake.storage.read(entry.path) for entry in lake.storage.entries(""))
    return result.output + repr(result.exception) + "".join(map(repr, stored))


@ON_DISK
def test_a_download_lands_and_a_day_that_is_not_there_is_listed(
    lake: Lake, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    where = ("--download-dir", tmp_path / "datasets", "--api-key-env", "SOME_KEY")
    result = land("tardis", *DOWNLOAD, *DAYS, *where)
    assert result.exit_code == 0, result.output
    assert "1 landed, 0 skipped, 0 quarantined, 1 missing" in result.output
    assert "binance_trades_2020-09-02_BTCUSDT.csv.gz" in result.output
    assert rows(lake, "trades", "exchange, symbol, price") == [("binance", "BTCUSDT", Decimal(1))]
    calls = sorted(client.calls, key=lambda call: str(call["from_date"]))
    assert [(call["from_date"], call["to_date"], call["api_key"]) for call in calls] == [
        ("2020-09-01", "2020-09-02", KEY),
        ("2020-09-02", "2020-09-03", KEY),
    ]
    assert KEY not in seen(lake, result)


@ON_DISK
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (urllib.error.HTTPError("u", 401, f"bad key {KEY}", None, None), "refuses the API key"),  # type: ignore[arg-type]
        (urllib.error.HTTPError("u", 500, f"key {KEY}", None, None), "HTTP 500 key ***"),  # type: ignore[arg-type]
        (OSError(f"no route with {KEY}"), "OSError: no route with ***"),
    ],
)
def test_a_failed_download_is_one_clear_error_without_the_key(
    lake: Lake,
    tmp_path: Path,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
) -> None:
    monkeypatch.setenv("TARDIS_API_KEY", KEY)
    client.error = error
    result = land("tardis", *DOWNLOAD, *DAYS, "--download-dir", tmp_path / "datasets")
    assert result.exit_code == 1
    assert told in result.output
    assert KEY not in seen(lake, result)


@ON_DISK
def test_a_download_without_a_key_or_a_client_says_what_is_needed(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tardis_dev", None)
    keyless = land("tardis", *DOWNLOAD, *DAYS)
    assert keyless.exit_code == 1
    assert "TARDIS_API_KEY is not set" in keyless.output
    monkeypatch.setenv("TARDIS_API_KEY", KEY)
    bare = land("tardis", *DOWNLOAD, *DAYS, "--download-dir", tmp_path / "datasets")
    assert bare.exit_code == 1
    assert "install ticklake[tardis]" in bare.output
    assert KEY not in seen(lake, bare)
    assert list(lake.storage.entries("")) == []


@ON_DISK
def test_wrong_usage_is_told_apart(lake: Lake, tmp_path: Path) -> None:
    assert land("tardis").exit_code == 2
    assert land("tardis", tmp_path, *DAYS).exit_code == 2
    assert land("tardis", *DOWNLOAD).exit_code == 2
    assert land("tardis", *DOWNLOAD, "--from", "20200902", "--to", "20200901").exit_code == 2
