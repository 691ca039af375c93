"""Sample files of market data look like the real ones, agree with each other, and have faults."""

import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import lz4.frame
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ticklake.cli import main
from ticklake.sample.sources import write_market

DAYS = ("2025-08-01", "2025-08-02")
DAY_MS = 86_400_000
MINUTE_MS = 60_000
CAPTURES = ("btcusdt", "ethusdt")
HOURS = ("2025080100", "2025080123", "2025080200")
Side = dict[Decimal, Decimal]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("market")
    list(write_market(path, start=date(2025, 8, 1), days=2, seed=1))
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def published(folder: Path, place: str) -> list[list[str]]:
    """Return the rows of both days of a public file, without the header."""
    rows: list[list[str]] = []
    for day in DAYS:
        path = folder / f"binance/data/{place}-{day}.zip"
        with zipfile.ZipFile(path) as archive:
            text = archive.read(f"{path.stem}.csv").decode()
        rows += [row for row in csv.reader(io.StringIO(text)) if row[0].isdigit()]
    return rows


def captured(folder: Path, symbol: str, hour: str) -> list[tuple[int, dict[str, Any]]]:
    path = folder / f"capture/binance-futures/{symbol}_{hour}.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [(int(at), json.loads(text)) for at, _, text in (line.partition(" ") for line in lines)]


def events(folder: Path, symbol: str, hour: str, kind: str) -> list[dict[str, Any]]:
    data = [line.get("data", {}) for _, line in captured(folder, symbol, hour)]
    return [event for event in data if event.get("e") == kind]


# ------------------------------------------------------------------------------ bytes and names


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    runner = CliRunner()
    for name, seed in (("one", "1"), ("same", "1"), ("other", "2")):
        command = ["sample", "--days", "1", "--scale", "0.1", "--fills-per-hour", "20"]
        result = runner.invoke(main, [*command, "--seed", seed, str(tmp_path / name)])
        assert result.exit_code == 0, result.output
    one, same, other = (content(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one.keys() == other.keys()
    assert not [name for name in one if one[name] == other[name]]


def test_the_scale_changes_how_much_happens(folder: Path, tmp_path: Path) -> None:
    files = write_market(
        tmp_path, start=date(2025, 8, 1), days=2, seed=1, scale=2.0, sources=["binance-spot"]
    )
    larger = {file.path.name: file.rows for file in files}
    plain = (folder / "capture/binance/btcusdt_2025080100.jsonl").read_text().splitlines()
    assert 1.5 * len(plain) < larger["btcusdt_2025080100.jsonl"] < 2.5 * len(plain)


def test_only_the_sources_asked_for_are_written(tmp_path: Path) -> None:
    command = ["sample", "--only", "csv,hyperliquid", "--days", "1", "--fills-per-hour", "2"]
    assert CliRunner().invoke(main, [*command, str(tmp_path)]).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"csv", "node_fills_by_block"}


def test_a_source_that_is_unknown_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["sample", "--only", "csv,nasdaq", str(tmp_path)])
    assert result.exit_code == 2
    assert "nasdaq: there are hyperliquid, binance-futures," in " ".join(result.output.split())


def test_every_source_has_its_files_where_the_real_one_has_them(folder: Path) -> None:
    for path in (
        "capture/binance-futures/btcusdt_2025080123.jsonl.gz",
        "capture/binance/btcusdt_2025080100.jsonl",
        "binance/data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-08-01.zip",
        "binance/data/futures/um/daily/trades/ETHUSDT/ETHUSDT-trades-2025-08-02.zip",
        "binance/data/futures/um/daily/aggTrades/SOLUSDT/SOLUSDT-aggTrades-2025-08-01.zip",
        "binance/data/futures/um/daily/bookTicker/SOLUSDT/SOLUSDT-bookTicker-2025-08-01.zip",
        "binance/data/futures/um/daily/markPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2025-08-01.zip",
        "binance/data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-08.zip",
        "binance/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-08-01.zip",
        "tardis/deribit_book_snapshot_25_2025-08-01_BTC-PERPETUAL.csv.gz",
        "market_data/20250801/0/l2Book/BTC.lz4",
        "asset_ctxs/20250802.csv.lz4",
        "spool/ccxt/orderbook/segment_20250801T000000_20250801T010000.parquet",
        "csv/coinbase_BTC-USD.csv",
    ):
        assert (folder / path).stat().st_size > 100


def test_the_checksum_of_every_zip_is_beside_it(folder: Path) -> None:
    archives = sorted((folder / "binance").rglob("*.zip"))
    assert len(archives) > 20
    for path in archives:
        digest, name = path.with_name(f"{path.name}.CHECKSUM").read_text().split("  ")
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
        assert name == f"{path.name}\n"


# --------------------------------------------------------------------------- klines and trades


@dataclass
class Kline:
    """One minute, summed up print by print."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    sums: list[Decimal] = field(default_factory=lambda: [Decimal()] * 5)

    def add(self, price: Decimal, size: Decimal, count: int, is_buy: bool) -> None:
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        taken = size if is_buy else Decimal()
        more = (size, size * price, Decimal(count), taken, taken * price)
        self.sums = [before + new for before, new in zip(self.sums, more, strict=True)]


Print = tuple[int, Decimal, Decimal, int, bool]


def prints(rows: list[list[str]], *, are_aggregated: bool, per_ms: int = 1) -> Iterator[Print]:
    for row in rows:
        price, size = Decimal(row[1]), Decimal(row[2])
        count = int(row[4]) - int(row[3]) + 1 if are_aggregated else 1
        at, is_maker = row[5:7] if are_aggregated else row[4:6]
        yield int(at) // per_ms, price, size, count, is_maker.lower() == "false"


@pytest.mark.parametrize(
    ("market", "symbol", "kind", "per_ms"),
    [
        ("futures/um", "BTCUSDT", "trades", 1),
        ("futures/um", "ETHUSDT", "trades", 1),
        ("futures/um", "SOLUSDT", "aggTrades", 1),
        ("spot", "BTCUSDT", "aggTrades", 1000),
    ],
)
def test_klines_are_the_sums_of_the_trades_in_all_nine_fields(
    folder: Path, market: str, symbol: str, kind: str, per_ms: int
) -> None:
    daily = f"{market}/daily"
    rows = published(folder, f"{daily}/{kind}/{symbol}/{symbol}-{kind}")
    made: dict[int, Kline] = {}
    for at, price, size, count, is_buy in prints(
        rows, are_aggregated=kind == "aggTrades", per_ms=per_ms
    ):
        minute = at // MINUTE_MS
        kline = made.setdefault(minute, Kline(price, price, price, price))
        kline.add(price, size, count, is_buy)
    klines = published(folder, f"{daily}/klines/{symbol}/1m/{symbol}-1m")
    assert len(klines) == 2 * 1440
    close = None
    empty = 0
    for row in klines:
        opens, closes = int(row[0]), int(row[6])
        assert closes == opens + MINUTE_MS * per_ms - 1
        prices = [Decimal(text) for text in row[1:5]]
        sums = [Decimal(row[column]) for column in (5, 7, 8, 9, 10)]
        if kline := made.pop(opens // per_ms // MINUTE_MS, None):
            assert prices == [kline.open, kline.high, kline.low, kline.close]
            assert sums == kline.sums
        else:
            empty += 1
            assert sums == [0] * 5
            assert close is None or prices == [close] * 4
        close = prices[3]
    assert not made
    assert empty > 10


def test_spot_files_have_no_header_and_microseconds_futures_files_the_other_way(
    folder: Path,
) -> None:
    def first(place: str) -> list[str]:
        path = folder / f"binance/data/{place}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-08-01.zip"
        with zipfile.ZipFile(path) as archive:
            return archive.read("BTCUSDT-1m-2025-08-01.csv").decode().splitlines()[:2]

    header, row = first("futures/um")
    assert header.startswith("open_time,open,high,low,close,volume,close_time,quote_volume,count,")
    assert row.startswith("1754006400000,")
    row, _ = first("spot")
    assert row.startswith("1754006400000000,")
    assert row.split(",")[6] == "1754006459999999"


@pytest.mark.parametrize("symbol", CAPTURES)
def test_captured_trades_are_the_published_ones_but_for_the_empty_prints(
    folder: Path, symbol: str
) -> None:
    upper = symbol.upper()
    place = f"futures/um/daily/trades/{upper}/{upper}-trades"
    known = {int(row[0]): row for row in published(folder, place)}
    ids = sorted(known)
    empty = 0
    seen = set()
    for hour in HOURS:
        for event in events(folder, symbol, hour, "trade"):
            if event["X"] == "NA":
                assert (event["p"], event["q"]) == ("0", "0")
                assert event["t"] not in known
                empty += 1
                continue
            _, price, size, _, at, is_maker = known[event["t"]]
            assert (event["p"], event["q"], event["T"]) == (price, size, int(at))
            assert event["m"] == (is_maker == "true")
            seen.add(event["t"])
    assert empty >= 3
    assert len(seen) > 2_000
    missed = [
        number
        for number in ids
        if number not in seen and int(known[number][4]) // 3_600_000 == 1_754_006_400 // 3600
    ]
    assert missed, "a lost connection takes trades with it"


def test_captured_spot_trades_are_the_published_aggregates(folder: Path) -> None:
    rows = published(folder, "spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades")
    known = {int(row[0]): row for row in rows}
    text = (folder / "capture/binance/btcusdt_2025080100.jsonl").read_text()
    trades = [event for event in map(json.loads, text.splitlines()) if event.get("e") == "aggTrade"]
    assert len(trades) > 500
    for event in trades:
        _, price, size, first, last, at, is_maker, _ = known[event["a"]]
        assert (event["p"], event["q"]) == (price, size)
        assert (event["f"], event["l"], event["T"]) == (int(first), int(last), int(at) // 1000)
        assert str(event["m"]) == is_maker
    unique = sorted({(event["f"], event["l"]) for event in trades})
    assert any(after[0] != before[1] + 1 for before, after in pairwise(unique))


# --------------------------------------------------------------------------------- captured book


@dataclass
class Rebuilt:
    """What following the venue's rules, one event at a time, gives."""

    tops: dict[int, tuple[Decimal, Decimal, Decimal, Decimal]] = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    gaps: int = 0
    again: int = 0
    snapshots: int = 0
    rows: int = 0


def apply(side: Side, changes: list[list[str]]) -> None:
    for price_text, size_text in changes:
        price, size = Decimal(price_text), Decimal(size_text)
        if size:
            side[price] = size
        else:
            side.pop(price, None)


def rebuild(lines: list[dict[str, Any]], *, is_spot: bool) -> Rebuilt:
    """Follow FORMATS: wait for a snapshot, then each event must continue the one before."""
    result = Rebuilt()
    bids: Side = {}
    asks: Side = {}
    waiting: list[dict[str, Any]] = []
    last: int | None = None
    for line in lines:
        event = line.get("data", line)
        if "lastUpdateId" in line:
            if last is not None:
                continue
            bids, asks = (
                {Decimal(price): Decimal(size) for price, size in line[name]}
                for name in ("bids", "asks")
            )
            snapshot = line["lastUpdateId"]
            result.snapshots += 1
            todo = [event for event in waiting if event["u"] > snapshot - (not is_spot)]
            assert todo, "no event continues the snapshot"
            first = todo[0]
            assert first["U"] <= snapshot + is_spot <= first["u"]
            last = first["u"] if is_spot else first["pu"]
            last = snapshot if is_spot else last
            waiting = []
        elif event.get("e") == "depthUpdate":
            todo = [event]
        else:
            continue
        for update in todo:
            if last is None:
                waiting.append(update)
                continue
            if update["u"] <= last:
                result.again += 1
                continue
            if (update["U"] != last + 1) if is_spot else (update["pu"] != last):
                result.gaps += 1
                last, waiting = None, [update]
                continue
            apply(bids, update["b"])
            apply(asks, update["a"])
            last = update["u"]
            result.rows += 1
            result.states[state_of(bids, asks)] += 1
            if bids and asks:
                bid, ask = max(bids), min(asks)
                result.tops[last] = (bid, bids[bid], ask, asks[ask])
    return result


def state_of(bids: Side, asks: Side) -> str:
    if not bids or not asks:
        return "one-sided" if bids or asks else "empty"
    bid, ask = max(bids), min(asks)
    return "crossed" if bid > ask else "locked" if bid == ask else "sound"


@pytest.mark.parametrize("symbol", CAPTURES)
@pytest.mark.parametrize("hour", HOURS)
def test_the_rebuilt_top_of_book_is_the_book_ticker_of_the_same_update(
    folder: Path, symbol: str, hour: str
) -> None:
    lines = [line for _, line in captured(folder, symbol, hour)]
    rebuilt = rebuild(lines, is_spot=False)
    compared = 0
    for event in events(folder, symbol, hour, "bookTicker"):
        top = tuple(Decimal(event[name]) for name in "bBaA")
        assert top[0] < top[2]
        if event["u"] in rebuilt.tops:
            assert rebuilt.tops[event["u"]] == top
            compared += 1
    assert compared > 500
    assert rebuilt.gaps == 1
    assert rebuilt.snapshots == 2
    assert rebuilt.again >= 1
    assert rebuilt.states.keys() == {"sound", "crossed", "locked", "one-sided", "empty"}
    assert rebuilt.rows > 0.9 * len(events(folder, symbol, hour, "depthUpdate"))


def test_the_spot_book_is_rebuilt_by_the_rules_of_spot(folder: Path) -> None:
    text = (folder / "capture/binance/btcusdt_2025080100.jsonl").read_text()
    rebuilt = rebuild([json.loads(line) for line in text.splitlines()], is_spot=True)
    assert (rebuilt.gaps, rebuilt.snapshots) == (1, 2)
    assert rebuilt.states["sound"] > 1_000
    assert rebuilt.states["crossed"]


@pytest.mark.parametrize("symbol", CAPTURES)
@pytest.mark.parametrize("hour", HOURS)
def test_a_capture_has_what_makes_captures_hard(folder: Path, symbol: str, hour: str) -> None:
    lines = captured(folder, symbol, hour)
    received = [at for at, _ in lines]
    assert received == sorted(received)
    kinds = Counter(line.get("data", {}).get("e", ",".join(line)) for _, line in lines)
    assert kinds["result,id"] == 1
    assert kinds["lastUpdateId,E,T,bids,asks"] == 2
    assert kinds["markPriceUpdate"] > 1_000
    behind = [
        line["data"]["E"] - at / 1e6 for at, line in lines if "data" in line and "E" in line["data"]
    ]
    late = [delay for delay in behind if delay < 0]
    assert 0 < len(late) < len(behind) / 100
    assert sorted(behind)[len(behind) // 2] == pytest.approx(1_195, abs=10)
    texts = Counter(json.dumps(line) for _, line in lines)
    twice = {json.loads(text)["data"]["e"] for text, count in texts.items() if count > 1}
    assert {"depthUpdate", "bookTicker"} <= twice
    assert all(int(hour[-2:]) == at // 10**9 // 3600 % 24 for at in received[:-1])


def test_a_file_that_is_cut_by_the_receive_clock_holds_events_of_the_next_day(
    folder: Path,
) -> None:
    midnight = 1_754_006_400_000 + DAY_MS
    after = [
        event["T"]
        for event in events(folder, "btcusdt", "2025080123", "depthUpdate")
        if event["T"] >= midnight
    ]
    first = events(folder, "btcusdt", "2025080200", "depthUpdate")[0]
    assert first["T"] >= midnight + 1_200
    assert all(at < midnight + 1_200 for at in after)
    marks = events(folder, "btcusdt", "2025080123", "markPriceUpdate")
    assert marks[-1]["E"] == midnight


def test_the_mark_price_and_funding_of_captures_and_public_files_agree(folder: Path) -> None:
    rows = published(folder, "futures/um/daily/markPriceKlines/BTCUSDT/1m/BTCUSDT-1m")
    minutes = {int(row[0]): (Decimal(row[3]), Decimal(row[2])) for row in rows}
    path = folder / (
        "binance/data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-08.zip"
    )
    with zipfile.ZipFile(path) as archive:
        text = archive.read(f"{path.stem}.csv").decode()
    rates = {int(row["calc_time"]): row for row in csv.DictReader(io.StringIO(text))}
    assert sorted(rates) == [1_754_006_400_000 + number * DAY_MS // 3 for number in range(6)]
    compared = 0
    for event in events(folder, "btcusdt", "2025080100", "markPriceUpdate"):
        low, high = minutes[event["E"] // MINUTE_MS * MINUTE_MS]
        assert low <= Decimal(event["p"]) <= high
        assert event["E"] < event["T"] <= event["E"] + DAY_MS // 3
        assert rates[event["T"]]["last_funding_rate"] == event["r"]
        compared += 1
    assert compared > 1_000


# ----------------------------------------------------------------------------------------- Tardis


def tardis(folder: Path, kind: str, symbol: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for day in DAYS:
        packed = (folder / f"tardis/deribit_{kind}_{day}_{symbol}.csv.gz").read_bytes()
        rows += csv.DictReader(io.StringIO(gzip.decompress(packed).decode()))
    return rows


@pytest.mark.parametrize(
    ("kind", "symbol", "real"),
    [
        ("trades", "BTC-PERPETUAL", "bitmex_trades_XBTUSD"),
        ("quotes", "BTC-PERPETUAL", "huobi-dm-swap_quotes_BTC-USD"),
        ("book_snapshot_25", "BTC-PERPETUAL", "binance-futures_book_snapshot_25_BTCUSDT"),
        ("book_snapshot_5", "SOL_USDC-PERPETUAL", "binance-futures_book_snapshot_5_BTCUSDT"),
        ("incremental_book_L2", "ETH-PERPETUAL", "deribit_incremental_book_L2_BTC-PERPETUAL"),
    ],
)
def test_tardis_files_have_the_columns_of_the_real_ones(
    folder: Path, shared_data: Path, kind: str, symbol: str, real: str
) -> None:
    header = (shared_data / f"tardis_csv/{real}.csv").read_text().splitlines()[0]
    assert list(tardis(folder, kind, symbol)[0]) == header.split(",")


@pytest.mark.parametrize(
    ("kind", "symbol"),
    [
        *(("trades", f"{name}-PERPETUAL") for name in ("BTC", "ETH", "SOL_USDC")),
        ("book_snapshot_25", "BTC-PERPETUAL"),
        ("book_snapshot_5", "SOL_USDC-PERPETUAL"),
        ("quotes", "SOL_USDC-PERPETUAL"),
        ("derivative_ticker", "BTC-PERPETUAL"),
    ],
)
def test_tardis_rows_arrive_in_order_some_late_and_some_twice(
    folder: Path, kind: str, symbol: str
) -> None:
    rows = tardis(folder, kind, symbol)
    local = [int(row["local_timestamp"]) for row in rows]
    sent = [int(row["timestamp"]) for row in rows]
    assert local == sorted(local)
    assert all(after > before for before, after in zip(sent, local, strict=True))
    assert kind == "derivative_ticker" or any(after < before for before, after in pairwise(sent))
    assert max(Counter(tuple(row.values()) for row in rows).values()) == 2


@pytest.mark.parametrize(("levels", "symbol"), [(25, "BTC-PERPETUAL"), (5, "SOL_USDC-PERPETUAL")])
def test_tardis_snapshots_are_ordered_and_have_every_fault(
    folder: Path, levels: int, symbol: str
) -> None:
    states: Counter[str] = Counter()
    for row in tardis(folder, f"book_snapshot_{levels}", symbol):
        sides: list[Side] = []
        for name in ("bids", "asks"):
            prices = [row[f"{name}[{level}].price"] for level in range(levels)]
            amounts = [row[f"{name}[{level}].amount"] for level in range(levels)]
            there = [Decimal(price) for price in prices if price]
            assert there == sorted(there, reverse=name == "bids")
            assert prices[: len(there)] == list(filter(None, prices))
            assert [bool(price) for price in prices] == [bool(amount) for amount in amounts]
            sides.append({price: Decimal(1) for price in there})
        states[state_of(*sides)] += 1
    assert states.keys() == {"sound", "crossed", "locked", "one-sided", "empty"}
    assert states["sound"] > 0.95 * states.total()


def test_the_incremental_book_starts_anew_and_its_changes_fit(folder: Path) -> None:
    books: dict[str, Side] = {"bid": {}, "ask": {}}
    was_snapshot = False
    anew = gone = 0
    states: Counter[str] = Counter()
    message = ""
    for row in tardis(folder, "incremental_book_L2", "ETH-PERPETUAL"):
        if row["local_timestamp"] != message:
            states[state_of(books["bid"], books["ask"])] += 1
            message = row["local_timestamp"]
        is_snapshot = row["is_snapshot"] == "true"
        if is_snapshot and not was_snapshot:
            books = {"bid": {}, "ask": {}}
            anew += 1
        was_snapshot = is_snapshot
        side, price, size = books[row["side"]], Decimal(row["price"]), Decimal(row["amount"])
        if size:
            side[price] = size
        else:
            del side[price]
            gone += 1
    assert anew == 6
    assert gone > 1_000
    assert states["sound"] > 0.95 * states.total()
    assert states.keys() == {"sound", "crossed", "locked", "one-sided", "empty"}


# -------------------------------------------------------------- Hyperliquid, and other collectors


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_hyperliquid_books_have_twenty_levels_faults_holes_and_repeats(
    folder: Path, coin: str
) -> None:
    states: Counter[str] = Counter()
    for day, hour in (("20250801", 0), ("20250801", 12), ("20250802", 0), ("20250802", 12)):
        packed = (folder / f"market_data/{day}/{hour}/l2Book/{coin}.lz4").read_bytes()
        lines = [json.loads(line) for line in lz4.frame.decompress(packed).splitlines()]
        times = []
        for line in lines:
            assert line.keys() == {"time", "raw"}
            data = line["raw"]["data"]
            assert data["coin"] == coin
            times.append(data["time"])
            sides = [
                {Decimal(level["px"]): Decimal(1) for level in side} for side in data["levels"]
            ]
            assert [len(side) for side in sides if side] == [20] * sum(map(bool, sides))
            states[state_of(*sides)] += 1
        gaps = [after - before for before, after in pairwise(times)]
        assert gaps.count(0) == 3
        assert sorted(gaps)[len(gaps) // 2] == pytest.approx(5_000, abs=200)
        assert max(gaps) > 300_000
    assert states.keys() == {"sound", "crossed", "locked", "one-sided", "empty"}


def test_fills_and_books_of_hyperliquid_follow_one_price(folder: Path, tmp_path: Path) -> None:
    command = ["sample", "--only", "hyperliquid", "--days", "2", str(tmp_path)]
    assert CliRunner().invoke(main, command).exit_code == 0
    fills = lz4.frame.decompress(
        (tmp_path / "node_fills_by_block/hourly/20250801/12.lz4").read_bytes()
    )
    packed = (folder / "market_data/20250801/12/l2Book/BTC.lz4").read_bytes()
    books = [json.loads(line)["raw"]["data"] for line in lz4.frame.decompress(packed).splitlines()]
    compared = 0
    for line in fills.splitlines():
        for _, fill in json.loads(line)["events"]:
            if fill["coin"] != "BTC":
                continue
            book = min(books, key=lambda book: abs(book["time"] - fill["time"]))
            if abs(book["time"] - fill["time"]) < 5_000 and all(book["levels"]):
                price = float(book["levels"][0][0]["px"])
                assert float(fill["px"]) == pytest.approx(price, rel=1e-3)
                compared += 1
    assert compared > 20


def test_asset_contexts_have_a_row_a_coin_and_minute(folder: Path) -> None:
    packed = (folder / "asset_ctxs/20250801.csv.lz4").read_bytes()
    rows = list(csv.DictReader(io.StringIO(lz4.frame.decompress(packed).decode())))
    assert Counter(row["coin"] for row in rows) == {"BTC": 1440, "ETH": 1440, "SOL": 1440}
    assert rows[0]["time"] == "2025-08-01T00:00:00Z"
    for row in rows:
        assert float(row["mark_px"]) == pytest.approx(float(row["oracle_px"]), rel=5e-3)
        assert float(row["impact_bid_px"]) < float(row["mid_px"]) < float(row["impact_ask_px"])


def test_segments_of_other_collectors_have_nested_and_flat_levels(folder: Path) -> None:
    name = "segment_20250801T000000_20250801T010000.parquet"
    nested = pq.read_table(folder / f"spool/ccxt/orderbook/{name}").to_pylist()
    assert {row["symbol"] for row in nested} == {"BTC/USDT"}
    assert max(len(row["bids"]) for row in nested) == 10
    assert not all(row["asks"] for row in nested)
    stream = folder / "spool/exchange=binance/stream=depth5/symbol=ethusdt"
    flat = pq.read_table(stream / "2025-08-01_00-00-00.parquet", partitioning=None)
    assert flat["bid_px_1"].null_count
    assert flat["ask_qty_5"].null_count < flat.num_rows
    trades = pq.read_table(folder / f"spool/ccxt/trades/{name}")
    assert set(trades["side"].to_pylist()) == {"buy", "sell"}


def test_the_generic_csv_has_times_without_a_zone(folder: Path) -> None:
    with (folder / "csv/coinbase_BTC-USD.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["time", "price", "size", "side", "trade_id"]
    assert rows[0]["time"].startswith("2025-08-01T00:")
    assert len({row["trade_id"] for row in rows}) == len(rows) > 500
