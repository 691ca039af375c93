"""Few files: data of all symbols of a venue is in one partition per day, raw and built.

Segments that lie by symbol are read beside such ones, and a lake that an earlier version built by
symbol is migrated by the next build. `trades` is a view on two tables.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import ticklake
from loaders.channels import CHANNELS
from tests.integration.landed import land
from tests.integration.test_end_to_end import Operator
from ticklake.cli import main
from ticklake.lake.paths import BY_DAY, MOVED
from ticklake.lake.raw import LedgerEntry, Segment, read_ledger, write_ledger
from ticklake.lake.tables import sha256_of

START = int(datetime(2025, 8, 1, tzinfo=UTC).timestamp() * 1_000_000)
DAY = 86_400_000_000
DAYS = {0: "2025-08-01", 1: "2025-08-02"}
MARKS = ("mark_prices", "funding_rates")
COLUMNS = "exchange, symbol, date, row_seq, epoch_us(ts_event), mark_price, index_price"
Row = dict[str, Any]


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "lake"))
    return Operator(str(tmp_path / "lake"), {}, tmp_path)


def write(operator: Operator, channel: str, folder: str, name: str, rows: Iterable[Row]) -> str:
    """Write a segment as a collector of somebody else may; return its path."""
    rows = list(rows)
    schema = CHANNELS[channel].schema
    table = pa.Table.from_pylist(
        rows, pa.schema([field for field in schema if field.name in rows[0]])
    )
    path = f"raw/{channel}/{folder}/{name}.parquet"
    with operator.storage.staging() as staging:
        pq.write_table(table, staging / "segment")
        operator.storage.publish(staging / "segment", path)
    return path


def mark(symbol: str, second: int, price: float, day: int = 0) -> Row:
    return {
        "symbol": symbol,
        "ts_event": START + day * DAY + second * 1_000_000,
        "mark_price": price,
    }


def by_symbol(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return rows without their symbol, by symbol, as they lay before."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["symbol"], []).append(
            {name: value for name, value in row.items() if name != "symbol"}
        )
    return found


def files(operator: Operator, below: str) -> list[str]:
    return sorted(entry.path.removeprefix(f"{below}/") for entry in operator.storage.entries(below))


def run(*command: str, expect: int = 0) -> str:
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == expect, result.output
    return result.output


def test_segments_by_symbol_and_with_all_symbols_are_read_alike(operator: Operator) -> None:
    rows = [mark(symbol, second, second + 1) for second in range(3) for symbol in ("B/C", "A", "D")]
    late = [mark(symbol, second, -second) for second in (0, 2, 5) for symbol in ("A", "E")]
    write(operator, "mark_prices", "exchange=x/date=2025-08-01", "a", rows)
    write(operator, "mark_prices", "exchange=x/date=2025-08-01", "b", late)
    operator.build_tables("--select", "mark_prices")
    expected = operator.query(f"select {COLUMNS} from compacted.mark_prices order by all")
    whole = operator.hashes()
    assert len(expected) == len(rows) + len(late)
    assert {(row[1], row[3]) for row in expected} == {
        (symbol, number + 1)
        for symbol, count in Counter(row["symbol"] for row in [*rows, *late]).items()
        for number in range(count)
    }

    # The first of the two by symbol, one of them in the way folders were spelled once.
    operator.storage.delete("raw/mark_prices/exchange=x/date=2025-08-01/a.parquet")
    for symbol, own in by_symbol(rows).items():
        folder = f"exchange=x/symbol={symbol.replace('/', '%2F')}/date=2025-08-01"
        write(operator, "mark_prices", folder, "a", own)
    operator.build("--select", "source:raw.mark_prices", "mark_prices", "assert_mark_prices*")
    assert operator.query(f"select {COLUMNS} from compacted.mark_prices order by all") == expected
    assert operator.hashes() == whole  # the day is a function of what was said
    raw = operator.query("select symbol, count(*) from raw.mark_prices group by all order by all")
    assert raw == [("A", 6), ("B/C", 3), ("D", 3), ("E", 3)]
    told = ["symbol", "mark_price"]
    everything = ticklake.read("raw.mark_prices", columns=told).fetchall()
    some = ticklake.read("raw.mark_prices", symbol=["A", "B/C"], columns=told).fetchall()
    assert sorted(some) == sorted(row for row in everything if row[0] in ("A", "B/C"))
    assert len(some) == 9
    assert len(ticklake.read("mark_prices", symbol="E").fetchall()) == 3

    assert "no problem" in run("verify").splitlines()[-1]
    status = run("status", "--json", "--table", "raw.mark_prices")
    assert [json.loads(line)["partitions"] for line in status.splitlines()] == [1]


def test_what_lies_by_symbol_is_another_segment_of_each_symbol(operator: Operator) -> None:
    """The same bytes in the folder of another symbol are another price of another symbol."""
    one = write(
        operator, "mark_prices", "exchange=x/symbol=A/date=2025-08-01", "a",
        [{"ts_event": START, "mark_price": 1.0}],
    )  # fmt: skip
    operator.build_tables("--select", "mark_prices")
    assert operator.query("select symbol from compacted.mark_prices") == [("A",)]
    content = operator.storage.read(one)
    operator.storage.delete(one)
    operator.storage.write("raw/mark_prices/exchange=x/symbol=B/date=2025-08-01/a.parquet", content)
    operator.build_tables("--select", "mark_prices")
    assert operator.query("select symbol from compacted.mark_prices") == [("B",)]


def test_a_row_without_a_symbol_is_set_aside_and_comes_back_mended(operator: Operator) -> None:
    folder = "exchange=x/date=2025-08-01"
    write(operator, "mark_prices", folder, "good", [mark("A", 1, 1.0)])
    bad = [{"ts_event": START, "mark_price": 1.0}]
    path = write(operator, "mark_prices", folder, "bad", bad)
    symbol = write(operator, "mark_prices", "exchange=x/symbol=B/date=2025-08-01", "a", bad)
    operator.build_tables("--select", "mark_prices")
    assert operator.query("select symbol from compacted.mark_prices") == [("A",), ("B",)]
    assert "symbol is missing" in run("quarantine", "show", path)
    operator.storage.delete(symbol)
    write(operator, "mark_prices", folder, "bad", [mark("C", 2, 1.0)])
    operator.build_tables("--select", "mark_prices")
    assert operator.query("select symbol from compacted.mark_prices") == [("A",), ("C",)]


def test_a_symbol_is_erased_from_both_layouts_and_days_are_deleted(operator: Operator) -> None:
    for day, date in DAYS.items():
        rows = [mark(symbol, 1, 1.0, day) for symbol in ("A", "B")]
        write(operator, "mark_prices", f"exchange=x/date={date}", "a", rows)
        for symbol, own in by_symbol(rows).items():
            write(operator, "mark_prices", f"exchange=x/symbol={symbol}/date={date}", "b", own)
    operator.build_tables("--select", "mark_prices")
    run("delete", "--symbol", "A", "--yes")
    assert not any("symbol=A" in path for path in files(operator, "raw/mark_prices"))
    operator.build_tables("--select", "mark_prices")
    rows_left = "select symbol, date::varchar from compacted.mark_prices order by all"
    assert operator.query(rows_left) == [("B", "2025-08-01"), ("B", "2025-08-02")]
    narrow = ("delete", "--table", "raw.mark_prices", "--symbol", "B")
    days = ("--from", "2025-08-01", "--to", "2025-08-01", "--yes")
    result = CliRunner().invoke(main, [*narrow, *days])
    assert "has no partition by symbol" in result.output
    run("delete", "--table", "raw.mark_prices", *days)
    assert files(operator, "raw/mark_prices") == [
        "exchange=x/date=2025-08-02/a.parquet",
        "exchange=x/symbol=B/date=2025-08-02/b.parquet",
    ]
    operator.build_tables("--select", "mark_prices")
    assert operator.query(rows_left) == [("B", "2025-08-02")]


def asset_contexts(folder: Path, coins: int, minutes: int) -> Path:
    """Write two days of the archive's marks of many coins, minute by minute."""
    import lz4.frame

    target = folder / "source" / "asset_ctxs"
    target.mkdir(parents=True)
    head = (
        "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,"
        "impact_bid_px,impact_ask_px"
    )
    for date in DAYS.values():
        lines = [
            f"{date}T{minute // 60:02}:{minute % 60:02}:00Z,COIN{coin:03},0.0000125,1,1,1,0,"
            f"{coin + 1},{coin + 1 + minute / 100:.2f},1,1,1"
            for minute in range(minutes)
            for coin in range(coins)
        ]
        text = "\n".join([head, *lines, ""]).encode()
        (target / f"{date.replace('-', '')}.csv.lz4").write_bytes(lz4.frame.compress(text))
    return folder / "source"


def test_a_venue_with_400_symbols_has_two_files_a_table_and_day(operator: Operator) -> None:
    source = asset_contexts(operator.folder, coins=400, minutes=3)
    days = ("--start", "20250801", "--end", "20250802")
    land("hyperliquid-market", "--channel", "asset_ctxs", "--source", source, *days)
    operator.build_tables("--select", *MARKS)
    for channel in MARKS:
        raw = files(operator, f"raw/{channel}")
        assert len(raw) == len(DAYS)
        for path in raw:
            table = pq.read_table(operator.storage.url(f"raw/{channel}/{path}"), partitioning=None)
            symbols = table["symbol"].to_pylist()
            assert symbols == sorted(symbols)
            assert len(symbols) == 3 * 400
        assert len(files(operator, f"compacted/{channel}")) == 2 * len(DAYS)
    assert operator.query(
        "select count(*), count(distinct symbol), max(row_seq) from compacted.mark_prices"
    ) == [(2 * 3 * 400, 400, 3)]


def test_rows_of_a_symbol_stay_in_order_of_arrival_where_symbols_are_sorted(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where not all of them fit into memory: then each part is sorted by itself."""
    file = tmp_path / "marks.csv"
    lines = [f"17540064{n % 100:02},{'BAC'[n % 3]},{n}" for n in range(3_000)]
    file.write_text("\n".join(["time,symbol,mark_price", *lines, ""]))
    found = []
    for waiting in (64 << 20, 4_000):
        monkeypatch.setattr("ticklake.lake.segments.WAITING_BYTES", waiting)
        options = ("--channel", "mark_prices", "--exchange", "x", "--force")
        assert land("csv", file, *options).exit_code == 0
        (path,) = files(operator, "raw/mark_prices")
        table = pq.read_table(operator.storage.url(f"raw/mark_prices/{path}"), partitioning=None)
        rows = list(zip(table["symbol"].to_pylist(), table["mark_price"].to_pylist(), strict=True))
        found.append(rows)
    for rows in found:
        for symbol in "ABC":
            prices = [price for name, price in rows if name == symbol]
            assert prices == [n for n in range(3_000) if "BAC"[n % 3] == symbol]
    whole, parts = found
    assert whole == sorted(whole)
    assert parts != whole


def split_by_symbol(operator: Operator, location: str, *, is_raw: bool) -> None:
    """Put the partitions of a table where an earlier version had them: by symbol."""
    storage = operator.storage
    for path in files(operator, location):
        folder, _, name = path.rpartition("/")
        if not name.endswith(".parquet"):
            continue
        exchange, date = folder.split("/")
        table = pq.read_table(storage.url(f"{location}/{path}"), partitioning=None)
        for symbol in sorted(set(table["symbol"].to_pylist())):
            own = table.filter(pa.compute.equal(table["symbol"], symbol)).drop_columns("symbol")
            target = f"{location}/{exchange}/symbol={symbol}/{date}"
            with storage.staging() as staging:
                pq.write_table(own, staging / "file")
                storage.publish(staging / "file", f"{target}/{name}")
            if not is_raw:
                storage.write(f"{target}/meta.json", storage.read(f"{location}/{folder}/meta.json"))
        storage.delete(f"{location}/{path}")
        if not is_raw:
            storage.delete(f"{location}/{folder}/meta.json")


def tell_the_ledger(operator: Operator, source: str, name: str) -> None:
    """Write the ledger entry of an object: it has landed the segments in `raw/` with its name."""
    entry = read_ledger(operator.storage, source, name)
    assert isinstance(entry, LedgerEntry)
    segments = [
        Segment(found.path, 1, found.size, sha256_of(operator.storage, found.path))
        for found in operator.storage.entries("raw")
        if found.path.endswith(f"/{name}.parquet")
    ]
    fields = {field: getattr(entry, field) for field in LedgerEntry.__slots__}
    write_ledger(operator.storage, source, name, LedgerEntry(**{**fields, "segments": segments}))


def test_a_lake_that_was_built_by_symbol_is_migrated_by_the_next_build(operator: Operator) -> None:
    source = asset_contexts(operator.folder, coins=3, minutes=3)
    days = ("--start", "20250801", "--end", "20250802")
    arguments = ("hyperliquid-market", "--channel", "asset_ctxs", "--source", source, *days)
    assert land(*arguments).exit_code == 0
    write_mixed(operator, random.Random(3), symbols=3)
    models = (*MARKS, "+trades", "day_spans", "tickers", "order_book")
    operator.build_tables("--select", *models)
    queries = [
        *(f"select * from compacted.{name} order by all" for name in (*MARKS, "fill_trades")),
        "select * from compacted.trades order by all",
        "select * from marts.day_spans order by all",
    ]
    before = [operator.query(query) for query in queries]
    assert all(before)
    new = operator.hashes()

    for channel in MARKS:
        split_by_symbol(operator, f"raw/{channel}", is_raw=True)
        split_by_symbol(operator, f"compacted/{channel}", is_raw=False)
    for date in DAYS.values():
        tell_the_ledger(operator, "hyperliquid-market", f"asset_ctxs-{date.replace('-', '')}")
    for path in files(operator, "compacted/prints"):  # a table with this name was stored
        content = operator.storage.read(f"compacted/prints/{path}")
        operator.storage.write(f"compacted/trades/{path}", content)
        operator.storage.delete(f"compacted/prints/{path}")
    split_by_symbol(operator, "compacted/fill_trades", is_raw=False)
    old = operator.hashes().keys() - new.keys()
    tables = {"/".join(path.split("/")[:2]) for path in old}
    assert tables == {f"compacted/{name}" for name in (*MARKS, "trades", "fill_trades")}

    assert "2 skipped" in land(*arguments).output
    operator.build_tables("--select", *models)
    assert operator.hashes() == new
    assert [operator.query(query) for query in queries] == before
    assert not files(operator, "compacted/trades")
    assert "no problem" in run("verify").splitlines()[-1]
    assert "2 skipped" in land(*arguments).output
    again = operator.build_tables("--select", *models)
    assert again.count("0 built, 0 dropped") == again.count(" OK created sql lake model ") > 0


def test_verify_says_that_a_build_drops_what_lies_by_other_columns(operator: Operator) -> None:
    write(operator, "mark_prices", "exchange=x/date=2025-08-01", "a", [mark("A", 1, 1.0)])
    operator.build_tables("--select", "mark_prices")
    folder = "compacted/mark_prices/exchange=x"
    for name in ("data.parquet", "meta.json"):
        content = operator.storage.read(f"{folder}/date=2025-08-01/{name}")
        operator.storage.write(f"{folder}/symbol=A/date=2025-08-01/{name}", content)
    found = run("verify", expect=1)
    assert found.count("the next `dbt build` drops it") == 2
    operator.build_tables("--select", "mark_prices")
    assert len(files(operator, "compacted/mark_prices")) == 2
    assert "no problem" in run("verify").splitlines()[-1]


def fill(symbol: str, ts: int, tid: int, price: int, taker: bool, block: int | None) -> Row:
    return {
        "ts_event": ts, "block_number": block, "event_index": int(taker), "coin": symbol,
        "user": "0xa" if taker else "0xb", "px": Decimal(price), "sz": Decimal(1), "tid": tid,
        "oid": tid, "side": "A" if taker else "B", "crossed": taker, "dir": "Buy", "hash": "0x0",
        "startPosition": Decimal(0), "closedPnl": Decimal(0), "fee": Decimal(0), "feeToken": "USDC",
    }  # fmt: skip


def write_mixed(
    operator: Operator, rng: random.Random, symbols: int, name: str = "a"
) -> tuple[list[Row], list[Row]]:
    """Write fills and prints that clash in every way; return both."""
    fills: list[Row] = []
    prints: list[Row] = []
    for day, date in DAYS.items():
        of_day: list[Row] = []
        for number in range(symbols):
            symbol = f"S{number}"
            for tid in range(rng.randrange(30)):
                ts = START + day * DAY + rng.randrange(8) * 1_000_000
                block = (None, 1, 2)[tid % 20 % 3]
                legs = [
                    fill(symbol, ts, tid % 20, 1 + tid % 3, taker, block) for taker in (False, True)
                ]
                of_day += legs if rng.random() < 0.9 else legs[:1]
            own = [
                {
                    "ts_event": START + day * DAY + rng.randrange(8) * 1_000_000,
                    "trade_id": rng.choice([None, "x", *map(str, range(25))]),
                    "price": Decimal(rng.randrange(1, 4)),
                    "size": Decimal(1),
                    "side": "buy",
                }
                for _ in range(rng.randrange(25) if number % 3 else 0)
            ]
            if own:
                folder = f"exchange=hyperliquid/symbol={symbol}/date={date}"
                write(operator, "trades", folder, name, own)
                prints += [{**row, "symbol": symbol, "date": date} for row in own]
        if of_day:
            rng.shuffle(of_day)
            write(operator, "fills", f"exchange=hyperliquid/date={date}", name, of_day)
            fills += of_day
    return fills, prints


def merged(fills: Sequence[Row], prints: Sequence[Row]) -> dict[tuple[str, str], list[Any]]:
    """Return what `trades` should have for each symbol and day, in order, computed slowly."""
    known = {
        (
            row["coin"], DAYS[(row["ts_event"] - START) // DAY], row["ts_event"],
            row["block_number"], row["tid"], int(row["px"]),
        )
        for row in fills
    }  # fmt: skip
    trades: dict[tuple[str, str], list[Any]] = {}
    for symbol, date, ts, block, tid, price in known:
        if tid:
            of_fills = (ts, 1, block is not None, block or 0)
            trades.setdefault((symbol, date), []).append((of_fills, str(tid), price))
    told = {(place[0], place[2], str(place[4]), place[5]) for place in known if place[4]}
    seen = set()
    for row in prints:
        key = (row["symbol"], row["ts_event"], row["trade_id"], int(row["price"]))
        if key in told or (row["trade_id"] is not None and key in seen):
            continue
        seen.add(key)
        of_print = (row["ts_event"], 0, False, 0)
        trades.setdefault((row["symbol"], row["date"]), []).append(
            (of_print, row["trade_id"], int(row["price"]))
        )
    return {key: sorted(rows, key=lambda row: row[0]) for key, rows in trades.items()}


def test_prints_and_fills_of_one_symbol_are_merged_in_order_however_they_come(
    operator: Operator,
) -> None:
    rng = random.Random(1)
    models = ("+trades", "tick_bars", "vpin_buckets", "time_bars", "quality")
    fills, prints = write_mixed(operator, rng, symbols=8)
    operator.build("--select", "+trades", "assert_trades*", "assert_no_trade_is_counted_twice")
    more = write_mixed(operator, rng, symbols=8, name="late")
    operator.build_tables("--select", *models)
    expected = merged([*fills, *more[0]], [*prints, *more[1]])
    found: dict[tuple[str, str], list[Any]] = {}
    query = """
        select symbol, date::varchar, trade_seq, epoch_us(ts_event), leg_count is not null,
            block_number is not null, coalesce(block_number, 0), trade_id, price
        from compacted.trades order by symbol, date, trade_seq"""
    for symbol, date, seq, *rest in operator.query(query):
        of_symbol = found.setdefault((symbol, date), [])
        assert seq == len(of_symbol) + 1
        *place, trade_id, price = rest
        of_symbol.append((tuple(place), trade_id, int(price)))
    assert {key: [row[0] for row in rows] for key, rows in found.items()} == {
        key: [row[0] for row in rows] for key, rows in expected.items()
    }
    for key, rows in found.items():
        assert Counter(rows) == Counter(expected[key])
    kinds = {(bool(row[0][1])) for rows in found.values() for row in rows}
    assert kinds == {True, False}
    in_order = ticklake.read("trades").select("exchange, symbol, date, trade_seq").fetchall()
    assert in_order == sorted(in_order)
    assert len(in_order) == sum(map(len, expected.values()))

    incremental = operator.hashes()
    operator.build_tables("--full-refresh", "--select", *models)
    assert operator.hashes() == incremental
    assert len([path for path in incremental if "/fill_trades/" in path]) == len(DAYS)


def test_a_query_of_one_coin_and_day_opens_no_other_file(operator: Operator) -> None:
    write_mixed(operator, random.Random(2), symbols=6)
    operator.build_tables("--select", "+trades")
    wanted = "exchange = 'hyperliquid' and symbol = 'S1' and date = '2025-08-02'"
    query = f"explain select sum(price) from compacted.trades where {wanted}"
    ((_, plan),) = operator.query(query)
    scanned = re.findall(r"Scanning Files: (\d+)/(\d+)", plan)
    assert sorted(scanned) == [("1", "2"), ("1", "8")]  # a day of fill_trades, one of prints
    assert "symbol='S1'" in plan.replace(" ", "")  # by which row groups are left out
    assert "JOIN" not in plan


def test_models_by_symbol_read_their_symbols_alone(operator: Operator) -> None:
    """Books of two symbols, marks of many: a book is priced by its own symbol's."""
    level = [{"price": 1.0, "size": 1.0}]
    for symbol in ("A", "B"):
        book = [
            {"ts_event": START + second * 1_000_000, "bids": level, "asks": level}
            for second in range(3)
        ]
        write(operator, "order_book", f"exchange=x/symbol={symbol}/date=2025-08-01", "a", book)
    marks = [mark(symbol, 1, ord(symbol)) for symbol in "DCBAE"]
    write(operator, "mark_prices", "exchange=x/date=2025-08-01", "a", marks)
    write(operator, "mark_prices", "exchange=y/date=2025-08-01", "a", [mark("A", 0, 5.0)])
    operator.build_tables("--select", "+basis")
    assert operator.query(
        "select symbol, row_seq, mark_price from featured.basis order by all"
    ) == [
        ("A", 1, None), ("A", 2, 65.0), ("A", 3, 65.0),
        ("B", 1, None), ("B", 2, 66.0), ("B", 3, 66.0),
    ]  # fmt: skip


def test_channels_that_moved_are_those_with_symbols_inside() -> None:
    inside = {name for name, channel in CHANNELS.items() if channel.has_symbols}
    assert {f"raw/{name}" for name in inside} == {path for path in MOVED if path.startswith("raw/")}
    assert {CHANNELS[name].partition_by for name in inside} == {BY_DAY}
    assert inside == set(MARKS)
