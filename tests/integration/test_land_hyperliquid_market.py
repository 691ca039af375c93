"""`ticklake land hyperliquid-market`: order books, mark prices and funding of the archive."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from click.testing import CliRunner, Result

from loaders import worker
from ticklake.cli import main

Lake = Any  # the fixture of tests/conftest.py
DAY = "20250801"
MS = 1_754_006_401_435
HEADER = (
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,"
    "impact_bid_px,impact_ask_px\n"
)
LINE = (
    "2025-08-01T00:01:00Z,BTC,0.0000125,30103.1,115636.4,2502811.5,0.0002,115949.1,115971.4,"
    "115971.9,115970.4,115973.4\n"
)


def book(**data: Any) -> dict[str, Any]:
    content = {
        "coin": "BTC",
        "time": MS,
        "levels": [
            [{"px": "115637.0", "sz": "7.89718", "n": 7}, {"px": "115636.0", "sz": "1.5", "n": 2}],
            [{"px": "115638.0", "sz": "0.2", "n": 1}],
        ],
    }
    return {
        "time": "2025-08-01T00:00:02.064957108",
        "raw": {"channel": "l2Book", "data": content | data},
    }


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(lz4.frame.compress(text.encode()))


def lines(*items: Any) -> str:
    return "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in items)


Land = Callable[..., Result]


@pytest.fixture
def land(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Land]:
    for name, value in {"LAKE_ROOT": lake.root, **lake.env}.items():
        monkeypatch.setenv(name, value)

    def run(channel: str, *arguments: str) -> Result:
        command = ["land", "hyperliquid-market", "--channel", channel, "--workers", "1"]
        command += ["--source", str(tmp_path / "source"), "--start", DAY, "--end", DAY]
        return CliRunner().invoke(main, [*command, *arguments])

    worker._storage.cache_clear()
    yield run
    worker._storage.cache_clear()


def rows(lake: Lake, channel: str, columns: str, order: str = "ts_event") -> list[Any]:
    entries = lake.storage.entries(f"raw/{channel}")
    urls = sorted(lake.storage.url(entry.path) for entry in entries)
    query = f"select {columns} from read_parquet(?, hive_partitioning = true) order by {order}"
    connection = lake.connect()
    connection.execute("set timezone = 'UTC'")
    found: list[Any] = connection.execute(query, [urls]).fetchall()
    return found


def test_the_orders_of_each_level_are_kept(lake: Lake, land: Land, tmp_path: Path) -> None:
    bids = [{"px": "3", "sz": "1", "n": 4}, {"px": "2", "sz": "1"}, {"px": "1", "sz": "1", "n": 1}]
    odd = [[{"px": "3", "sz": "1", "who": "x"}], []]
    text = lines(book(levels=[bids, [{"px": "4", "sz": "1"}]]), book(time=MS + 1, levels=odd))
    put(tmp_path / "source", f"market_data/{DAY}/0/l2Book/BTC.lz4", text)
    result = land("order_book")
    assert result.exit_code == 0, result.output
    assert rows(lake, "order_book", "bid_order_counts, ask_order_counts, extra->>'levels'") == [
        ([4, None, 1], None, None),
        (None, None, '[[{"px":"3","sz":"1","who":"x"}],[]]'),
    ]


def test_books_land_with_both_clocks_and_all_levels(lake: Lake, land: Land, tmp_path: Path) -> None:
    path = f"market_data/{DAY}/0/l2Book"
    put(tmp_path / "source", f"{path}/BTC.lz4", lines(book(), book(time=MS + 5000)))
    put(tmp_path / "source", f"{path}/ETH.lz4", lines(book(coin="ETH")))
    result = land("order_book")
    assert result.exit_code == 0, result.output
    assert "Landed: 3 rows" in result.output
    found = rows(
        lake,
        "order_book",
        "symbol, epoch_us(ts_event), epoch_us(ts_capture) % 60000000, seq, is_reset, "
        "list_transform(bids, x -> [x.price, x.size]), "
        "list_transform(asks, x -> [x.price, x.size])",
        "symbol, ts_event",
    )
    levels = ([[115637.0, 7.89718], [115636.0, 1.5]], [[115638.0, 0.2]])
    assert found == [
        ("BTC", MS * 1000, 2_064_957, None, False, *levels),
        ("BTC", (MS + 5000) * 1000, 2_064_957, None, False, *levels),
        ("ETH", MS * 1000, 2_064_957, None, False, *levels),
    ]
    assert "0 landed, 2 skipped" in land("order_book").output


def test_pairs_with_one_quote_do_not_replace_each_other(
    lake: Lake, land: Land, tmp_path: Path
) -> None:
    coins = ["HFUN/USDC", "PURR/USDC"]
    for coin in coins:
        put(tmp_path / "source", f"market_data/{DAY}/0/l2Book/{coin}.lz4", lines(book(coin=coin)))
    assert land("order_book").exit_code == 0
    assert [symbol for (symbol,) in rows(lake, "order_book", "symbol", "symbol")] == coins
    assert "2 skipped" in land("order_book").output


def test_coins_are_looked_for_by_name_and_missing_ones_listed(land: Land, tmp_path: Path) -> None:
    put(tmp_path / "source", f"market_data/{DAY}/3/l2Book/BTC.lz4", lines(book()))
    result = land("order_book", "--coins", "BTC,DOGE")
    assert result.exit_code == 0, result.output
    assert "1 landed" in result.output
    assert "47 missing" in result.output


@pytest.mark.parametrize(
    ("line", "error_type"),
    [
        ("{oops", "BAD_JSON"),
        ({"time": "2025-08-01T00:00:02", "raw": {}}, "MISSING_FIELD"),
        (book(time="soon"), "BAD_TIME"),
        (book(time=MS // 1000), "BAD_TIME"),
        (book() | {"time": "yesterday"}, "BAD_TIME"),
        (book(levels=[[{"px": "1"}], []]), "BAD_LEVEL"),
        (book(levels=[[{"px": "inf", "sz": "1"}], []]), "BAD_LEVEL"),
        (book(levels=[[{"px": 10**400, "sz": 1}], []]), "BAD_LEVEL"),
        (book(levels=[[]]), "MISSING_FIELD"),
        (book(coin=""), "BAD_VALUE"),
    ],
)
def test_a_bad_line_is_set_aside_and_the_others_land(
    lake: Lake, land: Land, tmp_path: Path, line: Any, error_type: str
) -> None:
    put(tmp_path / "source", f"market_data/{DAY}/0/l2Book/BTC.lz4", lines(book(), line, book()))
    result = land("order_book")
    assert result.exit_code == 1
    assert f"{error_type} 1" in result.output
    assert len(rows(lake, "order_book", "seq")) == 2
    folder = f"quarantine/hyperliquid-market/l2Book-{DAY}-00-BTC"
    (reject,) = map(json.loads, lake.storage.read(f"{folder}/rejected.jsonl").splitlines())
    assert (reject["line"], reject["error_type"]) == (2, error_type)


def test_contexts_become_mark_prices_and_hourly_funding(
    lake: Lake, land: Land, tmp_path: Path
) -> None:
    put(tmp_path / "source", f"asset_ctxs/{DAY}.csv.lz4", HEADER + LINE)
    result = land("asset_ctxs")
    assert result.exit_code == 0, result.output
    ((symbol, minute, mark, index, extra),) = rows(
        lake,
        "mark_prices",
        "symbol, epoch(ts_event)::bigint % 3600, mark_price, index_price, extra",
    )
    assert (symbol, minute, mark, index) == ("BTC", 60, 115971.4, 115949.1)
    assert json.loads(extra)["open_interest"] == "30103.1"
    funding = rows(lake, "funding_rates", "symbol, funding_rate, interval_hours, next_funding_ts")
    assert funding == [("BTC", 0.0000125, 1.0, None)]


@pytest.mark.parametrize(
    ("old", "new", "error_type", "landed"),
    [
        ("2025-08-01T00:01:00Z", "soon", "BAD_TIME", (0, 0)),
        ("BTC", "", "MISSING_FIELD", (0, 0)),
        ("115971.4", "dear", "BAD_NUMBER", (0, 1)),
        ("0.0000125", "high", "BAD_NUMBER", (1, 0)),
    ],
)
def test_a_bad_context_is_set_aside_once(
    lake: Lake,
    land: Land,
    tmp_path: Path,
    old: str,
    new: str,
    error_type: str,
    landed: tuple[int, int],
) -> None:
    assert old in LINE
    put(tmp_path / "source", f"asset_ctxs/{DAY}.csv.lz4", HEADER + LINE.replace(old, new))
    assert land("asset_ctxs").exit_code == 1
    path = f"quarantine/hyperliquid-market/asset_ctxs-{DAY}/rejected.jsonl"
    (reject,) = map(json.loads, lake.storage.read(path).splitlines())
    assert (reject["line"], reject["error_type"]) == (2, error_type)
    segments = [lake.storage.entries(f"raw/{name}") for name in ("mark_prices", "funding_rates")]
    assert tuple(len(list(found)) for found in segments) == landed


def test_contexts_without_a_column_are_set_aside_whole(land: Land, tmp_path: Path) -> None:
    put(tmp_path / "source", f"asset_ctxs/{DAY}.csv.lz4", "time,coin\n2025-08-01T00:01:00Z,BTC\n")
    result = land("asset_ctxs")
    assert result.exit_code == 1
    assert "MISSING_COLUMN" in result.output
