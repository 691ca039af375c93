"""Names from outside: whatever a file or a symbol is called, its rows are found or set aside."""

import os
from pathlib import Path

import pytest

from tests.conftest import Lake
from tests.integration.landed import land, rejects, rows
from tests.integration.test_land_hyperliquid import MIDNIGHT_MS, OBJECT, Mirror, block, fill
from ticklake.lake.paths import unusable
from ticklake.lake.raw import safe_name, unreadable_entries
from ticklake.lake.tables import RawTable

LINES = "time,id,price,size,side\n2025-01-01T00:00:00,1,1,1,buy\n"
TRADES = ("--channel", "trades", "--exchange", "x")

LOCAL = pytest.mark.parametrize("lake", ["local"], indirect=True)


@LOCAL
@pytest.mark.parametrize(
    "name",
    [
        b"_x.csv",
        b".hidden.csv",
        b"n" * 244 + b".csv",
        b"not-utf8-\xff.csv",
        b"new\nline\x07.csv",
        b"trailing. .csv",
        "币安 ünï.csv".encode(),
    ],
    ids=["underscore", "dot", "long", "bytes", "control", "trailing", "unicode"],
)
def test_a_file_of_any_name_is_read_by_builds(lake: Lake, tmp_path: Path, name: bytes) -> None:
    file = os.fsencode(tmp_path) + b"/" + name
    with open(file, "wb") as stream:
        stream.write(LINES.encode())
    result = land("csv", os.fsdecode(file), *TRADES, "--symbol", "S")
    assert result.exit_code == 0, result.output
    table = RawTable(lake.storage, "raw/trades", ("exchange", "symbol", "date"))
    (part,) = table.partitions().values()
    assert len(part.paths) == 1
    assert "1 skipped" in land("csv", os.fsdecode(file), *TRADES, "--symbol", "S").output


@LOCAL
def test_a_broken_file_of_a_name_that_cannot_be_used_is_set_aside(
    lake: Lake, tmp_path: Path
) -> None:
    file = os.fsencode(tmp_path) + b"/_\xff.csv.gz"
    with open(file, "wb") as stream:
        stream.write(b"\x1f\x8bnothing")
    result = land("csv", os.fsdecode(file), *TRADES, "--symbol", "S")
    assert result.exit_code == 1
    assert "1 quarantined" in result.output


def test_names_that_do_stay_and_others_differ() -> None:
    assert safe_name("BTCUSDT-trades-2025-01-01") == "BTCUSDT-trades-2025-01-01"
    names = ["_x", ".x", "x.", "x ", "a/x", "x\x00", "n" * 300, "n" * 301, "", "\udcff"]
    safe = [safe_name(name) for name in names]
    assert len({*safe}) == len(names)
    for name in safe:
        assert name == safe_name(name)
        assert len(name.encode()) <= 200


@pytest.mark.parametrize("value", ["", "a\x00b", "a\nb", "龙" * 80, "n" * 231, "\udcff"])
def test_values_that_cannot_be_folders(value: str) -> None:
    assert unusable(value)


@pytest.mark.parametrize("value", ["BTC", "PURR/USDC", "@107", "..", "龙", "n" * 230])
def test_values_that_can_be_folders(value: str) -> None:
    assert unusable(value) is None


@LOCAL
def test_a_symbol_that_cannot_be_a_folder_is_set_aside_and_the_others_land(
    lake: Lake, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    symbols = ["GOOD", "龙" * 80, "bell\x07", "GOOD"]
    lines = [f"2025-01-01T00:00:0{at},{at},1,1,{name}\n" for at, name in enumerate(symbols)]
    file.write_text("time,id,price,size,symbol\n" + "".join(lines))
    result = land("csv", file, *TRADES)
    assert result.exit_code == 1
    assert "BAD_NAME 2" in result.output
    assert rows(lake, "trades", "trade_id, symbol") == [("0", "GOOD"), ("3", "GOOD")]
    assert [entry["content"]["trade_id"] for entry in rejects(lake)] == ["1", "2"]


@LOCAL
def test_a_coin_that_cannot_be_a_folder_is_set_aside_and_the_other_fills_land(
    lake: Lake, tmp_path: Path
) -> None:
    mirror = Mirror(tmp_path / "source")
    coins = ["BTC", "n" * 300, "a\x00b"]
    fills = [fill(MIDNIGHT_MS, tid=tid, coin=coin) for tid, coin in enumerate(coins, 1)]
    mirror.put(f"{OBJECT}/0.lz4", block(1, *fills))
    result = land(
        *("hyperliquid", "--source", mirror.root, "--start", "20250801", "--end", "20250801")
    )
    assert result.exit_code == 1
    assert "BAD_NAME 2" in result.output
    assert rows(lake, "fills", "coin") == [("BTC",)]


@LOCAL
def test_a_ledger_entry_that_was_cut_is_named_and_landing_mends_it(
    lake: Lake, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(LINES)
    land("csv", file, *TRADES, "--symbol", "S")
    (entry,) = lake.storage.entries("raw/_ledger")
    lake.storage.write(entry.path, lake.storage.read(entry.path)[:20])
    assert unreadable_entries(lake.storage) == [entry.path]
    assert "1 landed" in land("csv", file, *TRADES, "--symbol", "S").output
    assert unreadable_entries(lake.storage) == []
    assert len(rows(lake, "trades")) == 1
