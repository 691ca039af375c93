"""`ticklake land hyperliquid`, from the command line to what lies in the lake."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from click.testing import CliRunner, Result

from loaders import decode, worker
from ticklake.cli import main
from ticklake.lake import raw
from ticklake.lake.storage import Storage

Lake = Any  # the fixture of tests/conftest.py

DAY = "20250801"
MIDNIGHT_MS = 1_754_006_400_000
HOUR_MS = 3_600_000
TABLE = "raw/fills/exchange=hyperliquid"
NAME = f"node_fills_by_block-{DAY}"
OBJECT = f"node_fills_by_block/hourly/{DAY}"
ON_S3 = pytest.mark.parametrize("lake", [pytest.param("s3", marks=pytest.mark.s3)], indirect=True)


def fill(time_ms: int, **changes: Any) -> list[Any]:
    item = {
        "coin": "BTC",
        "px": "115637.0",
        "sz": "0.00176",
        "side": "B",
        "time": time_ms,
        "startPosition": "0.0",
        "dir": "Open Long",
        "closedPnl": "0.0",
        "hash": "0x" + "5" * 64,
        "oid": 124534107521,
        "crossed": True,
        "fee": "0.1",
        "tid": 549599333627879,
        "feeToken": "USDC",
        "twapId": None,
    }
    item |= changes
    return ["0x" + "a" * 40, {name: value for name, value in item.items() if value != "absent"}]


def block(number: int, *events: Any) -> str:
    content = {
        "local_time": "2025-08-01T00:00:00.103023018",
        "block_time": "2025-07-31T23:59:59.998117072",
        "block_number": number,
        "events": list(events),
    }
    return json.dumps(content, separators=(",", ":")) + "\n"


class Mirror:
    """A directory laid out as the archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def put(self, path: str, text: str | bytes) -> Path:
        data = text if isinstance(text, bytes) else lz4.frame.compress(text.encode())
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def put_hours(self, count: int, **changes: Any) -> None:
        for hour in range(count):
            moment = MIDNIGHT_MS + hour * HOUR_MS
            events = [fill(moment + tid, tid=tid, **changes) for tid in range(1, 4)]
            self.put(f"{OBJECT}/{hour}.lz4", block(hour, *events))


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "source")


Land = Callable[..., Result]


@pytest.fixture
def land(lake: Lake, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Iterator[Land]:
    """Run the command in this process on one worker, unless told otherwise."""
    for name, value in {"LAKE_ROOT": lake.root, **lake.env}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, source: str | None = None, workers: int = 1) -> Result:
        command = ["land", "hyperliquid", "--source", source or str(mirror.root)]
        if "--start" not in arguments:
            command += ["--start", DAY, "--end", DAY]
        return CliRunner().invoke(main, [*command, "--workers", str(workers), *arguments])

    worker._storage.cache_clear()
    yield run
    worker._storage.cache_clear()


def content(storage: Storage, prefix: str = "") -> dict[str, str]:
    """Return the hash of every object."""
    return {
        entry.path: hashlib.sha256(storage.read(entry.path)).hexdigest()
        for entry in storage.entries(prefix)
    }


def tags(storage: Storage) -> dict[str, str]:
    return {entry.path: entry.tag for entry in storage.entries(TABLE)}


def rows(lake: Lake, columns: str = "*") -> list[Any]:
    urls = sorted(lake.storage.url(entry.path) for entry in lake.storage.entries(TABLE))
    query = f"select {columns} from read_parquet(?, hive_partitioning = true)"
    return lake.connect().execute(query, [urls]).fetchall()


def error_of(storage: Storage, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(storage.read(f"quarantine/hyperliquid/{name}/error.json"))
    return loaded


def ledger_of(storage: Storage, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(storage.read(f"raw/_ledger/hyperliquid/{name}.json"))
    return loaded


def test_the_real_hour_lands_whole(lake: Lake, land: Land, shared_data: Path) -> None:
    result = land(source=str(shared_data / "hl-mainnet-node-data"))
    assert result.exit_code == 0, result.output
    assert "1,014 rows" in result.output
    assert "23 missing" in result.output
    counts = rows(
        lake, "count(*), count(*) filter (date = '2025-07-31'), count(*) filter (tid = 0)"
    )
    assert counts == [(1014, 12, 712)]
    assert {entry.path for entry in lake.storage.entries(TABLE)} == {
        f"{TABLE}/date=2025-07-31/{NAME}-00.parquet",
        f"{TABLE}/date=2025-08-01/{NAME}-00.parquet",
    }


def test_fills_stay_in_order_of_arrival(
    lake: Lake, land: Land, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over chunks that are parsed side by side."""
    monkeypatch.setattr(decode, "chunks", partial(decode.chunks, size=4096))
    events = [fill(MIDNIGHT_MS + at, tid=at % 50, coin=("ETH", "BTC")[at % 2]) for at in range(100)]
    lines = [block(7, *events[at : at + 4]) for at in range(0, 100, 4)]
    mirror.put(f"{OBJECT}/0.lz4", "".join(lines))
    assert land().exit_code == 0
    found = lake.connect().execute(
        "select event_index from read_parquet(?, file_row_number = true) order by file_row_number",
        [[lake.storage.url(entry.path) for entry in lake.storage.entries(TABLE)]],
    )
    assert [index for (index,) in found.fetchall()] == [*range(100)]


def test_columns_have_the_types_of_the_contract(lake: Lake, land: Land, mirror: Mirror) -> None:
    mirror.put_hours(1)
    assert land().exit_code == 0
    (url,) = [lake.storage.url(entry.path) for entry in lake.storage.entries(TABLE)]
    described = lake.connect().execute(
        "describe from read_parquet(?, hive_partitioning = false)", [url]
    )
    number = "DECIMAL(38,12)"
    assert [(name, kind) for name, kind, *_ in described.fetchall()] == [
        ("ts_event", "TIMESTAMP WITH TIME ZONE"),
        ("block_time", "TIMESTAMP_NS"),
        ("block_number", "BIGINT"),
        ("event_index", "INTEGER"),
        *(("user", "VARCHAR"), ("coin", "VARCHAR"), ("px", number), ("sz", number)),
        *(("side", "VARCHAR"), ("startPosition", number), ("dir", "VARCHAR")),
        *(("closedPnl", number), ("hash", "VARCHAR"), ("oid", "BIGINT")),
        *(("crossed", "BOOLEAN"), ("fee", number), ("tid", "BIGINT"), ("feeToken", "VARCHAR")),
        *(("cloid", "VARCHAR"), ("builder", "VARCHAR"), ("builderFee", number)),
        *(("twapId", "BIGINT"), ("deployerFee", number), ("priorityGas", number)),
        ("liquidation", 'STRUCT(liquidatedUser VARCHAR, markPx VARCHAR, "method" VARCHAR)'),
        ("local_time", "TIMESTAMP_NS"),
        ("extra", "VARCHAR"),
    ]


def test_landing_again_skips_and_touching_lands_again_without_a_change(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put_hours(3)
    assert "3 landed, 0 skipped" in land().output
    before = tags(lake.storage)
    assert "0 landed, 3 skipped" in land().output
    os.utime(mirror.root / f"{OBJECT}/1.lz4", (1, 1))
    again = land()
    assert "1 landed, 2 skipped" in again.output
    assert again.exit_code == 0
    assert "3 landed, 0 skipped" in land("--force").output
    assert tags(lake.storage) == before


def test_a_segment_that_is_gone_is_landed_again(lake: Lake, land: Land, mirror: Mirror) -> None:
    mirror.put_hours(2)
    land()
    before = content(lake.storage)
    lake.storage.delete(f"{TABLE}/date=2025-08-01/{NAME}-01.parquet")
    assert "1 landed, 1 skipped" in land().output
    assert content(lake.storage) == before


def test_bytes_do_not_depend_on_the_number_of_workers(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put_hours(4)
    land(workers=1)
    before = content(lake.storage)
    assert "4 landed" in land("--force", workers=3).output
    assert content(lake.storage) == before


def test_changed_source_replaces_its_segments_and_removes_stale_ones(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    old = fill(MIDNIGHT_MS - 2)
    new = fill(MIDNIGHT_MS + 5)
    mirror.put(f"{OBJECT}/0.lz4", block(1, old, new))
    land()
    assert len(tags(lake.storage)) == 2
    mirror.put(f"{OBJECT}/0.lz4", block(1, new, new, new))
    assert land().exit_code == 0
    assert list(tags(lake.storage)) == [f"{TABLE}/date=2025-08-01/{NAME}-00.parquet"]
    assert len(rows(lake)) == 3


def test_a_kill_before_the_ledger_is_mended_by_the_next_run(
    lake: Lake, land: Land, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.put(f"{OBJECT}/0.lz4", block(1, fill(MIDNIGHT_MS - 2), fill(MIDNIGHT_MS + 5)))
    land()
    expected = content(lake.storage)
    for path in expected:
        lake.storage.delete(path)

    class KilledError(BaseException):
        pass

    def killed(storage: Storage, source: str, name: str, entry: raw.LedgerEntry) -> None:
        raise KilledError  # the segments are there

    with monkeypatch.context() as patch:
        patch.setattr(raw, "write_ledger", killed)
        with pytest.raises(KilledError):
            land()
    assert content(lake.storage, TABLE).keys() == expected.keys() & content(lake.storage).keys()
    # The source changes meanwhile and the day before is gone: nothing of it may stay.
    mirror.put(f"{OBJECT}/0.lz4", block(1, fill(MIDNIGHT_MS + 5)))
    assert land().exit_code == 0
    assert len(tags(lake.storage)) == 1
    mirror.put(f"{OBJECT}/0.lz4", block(1, fill(MIDNIGHT_MS - 2), fill(MIDNIGHT_MS + 5)))
    land()
    segments = {path: each for path, each in expected.items() if path.startswith(TABLE)}
    assert content(lake.storage, TABLE) == segments


def test_other_coins_are_added_and_nothing_landed_is_lost(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    coins = ("BTC", "ETH", "PURR/USDC")
    mirror.put(f"{OBJECT}/0.lz4", block(1, *(fill(MIDNIGHT_MS, coin=coin) for coin in coins)))
    land("--coins", "ETH")
    assert rows(lake, "coin, event_index") == [("ETH", 1)]
    assert "0 landed, 1 skipped" in land("--coins", "ETH").output
    land("--coins", "PURR/USDC, ETH")
    assert rows(lake, "coin") == [("ETH",), ("PURR/USDC",)]
    land("--coins", "BTC")
    assert ledger_of(lake.storage, f"{NAME}-00")["symbols"] == sorted(coins)
    assert len(rows(lake)) == 3


def test_an_object_landed_whole_stays_whole(lake: Lake, land: Land, mirror: Mirror) -> None:
    coins = ("BTC", "ETH")
    mirror.put(f"{OBJECT}/0.lz4", block(1, *(fill(MIDNIGHT_MS, coin=coin) for coin in coins)))
    land("--coins", "BTC")
    assert "1 landed" in land().output
    assert "0 landed, 1 skipped" in land("--coins", "BTC").output
    assert "1 landed" in land("--coins", "BTC", "--force").output
    assert rows(lake, "coin") == [("BTC",), ("ETH",)]
    assert ledger_of(lake.storage, f"{NAME}-00")["symbols"] is None


def test_coins_survive_a_segment_that_is_gone(lake: Lake, land: Land, mirror: Mirror) -> None:
    coins = ("BTC", "ETH")
    mirror.put(f"{OBJECT}/0.lz4", block(1, *(fill(MIDNIGHT_MS, coin=coin) for coin in coins)))
    land("--coins", "BTC")
    lake.storage.delete(f"{TABLE}/date=2025-08-01/{NAME}-00.parquet")
    land("--coins", "ETH")
    assert rows(lake, "coin") == [("BTC",), ("ETH",)]


def test_the_change_over_hour_reads_both_prefixes(lake: Lake, land: Land, mirror: Mirror) -> None:
    moment = 1_753_603_200_000  # 2025-07-27 08:00
    legacy = "".join(
        json.dumps(fill(moment + tid, tid=tid), separators=(",", ":")) + "\n" for tid in (1, 2)
    )
    mirror.put("node_fills/hourly/20250727/8.lz4", legacy)
    mirror.put("node_fills_by_block/hourly/20250727/8.lz4", block(9, fill(moment + 3, tid=3)))
    result = land("--start", "20250727", "--end", "20250727")
    assert result.exit_code == 0, result.output
    assert "2 landed" in result.output
    assert "23 missing" in result.output
    assert rows(lake, "tid, block_number, event_index") == [(1, None, 0), (2, None, 1), (3, 9, 0)]


def test_a_cut_object_is_set_aside_whole_and_what_had_landed_stays(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put_hours(2)
    land()
    before = content(lake.storage)
    packed = lz4.frame.compress(b"".join(block(n, fill(MIDNIGHT_MS)).encode() for n in range(99)))
    mirror.put(f"{OBJECT}/1.lz4", packed[:-20])
    result = land()
    assert result.exit_code == 1
    assert "1 skipped, 1 quarantined" in result.output
    assert "LZ4_TRUNCATED" in result.output
    kept = lake.storage.read(f"quarantine/hyperliquid/{NAME}-01/1.lz4")
    assert kept == packed[:-20]
    error = error_of(lake.storage, f"{NAME}-01")
    assert error["error_type"] == "LZ4_TRUNCATED"
    assert error["source"].endswith(f"{OBJECT}/1.lz4")
    assert error["offset"] == len(packed) - 20
    after = content(lake.storage)
    assert {path: after[path] for path in before} == before
    mirror.put(f"{OBJECT}/1.lz4", packed)
    assert land().exit_code == 0
    assert content(lake.storage, "quarantine") == {}
    assert len(rows(lake)) == 3 + 99


def test_a_broken_object_lands_nothing_and_stops_nobody(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put_hours(3)
    mirror.put(f"{OBJECT}/1.lz4", b"this is no LZ4")
    result = land(workers=2)
    assert result.exit_code == 1
    assert "2 landed, 0 skipped, 1 quarantined" in result.output
    assert error_of(lake.storage, f"{NAME}-01")["error_type"] == "LZ4_CORRUPT"
    assert not any(f"{NAME}-01" in path for path in content(lake.storage, "raw"))


def test_a_bad_line_and_a_bad_fill_are_set_aside_and_the_rest_lands(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    good = block(1, fill(MIDNIGHT_MS, tid=1), fill(MIDNIGHT_MS, tid=2))
    bad_line = '{"local_time": oops\n'
    no_price = block(3, fill(MIDNIGHT_MS, tid=3, px="absent"), fill(MIDNIGHT_MS, tid=4))
    mirror.put(f"{OBJECT}/0.lz4", good + bad_line + no_price)
    result = land()
    assert result.exit_code == 1
    assert "1 landed" in result.output
    assert "BAD_JSON 1, MISSING_FIELD 1" in result.output
    assert rows(lake, "tid, event_index") == [(1, 0), (2, 1), (4, 1)]
    folder = f"quarantine/hyperliquid/{NAME}-00"
    line, event = map(json.loads, lake.storage.read(f"{folder}/rejected.jsonl").splitlines())
    assert (line["line"], line["offset"], line["text"]) == (2, len(good), bad_line.rstrip())
    assert (event["line"], event["block_number"], event["event_index"]) == (3, 3, 0)
    assert event["error_type"] == "MISSING_FIELD"
    assert event["event"][1]["tid"] == 3
    error = error_of(lake.storage, f"{NAME}-00")
    assert error["rejected"] == {"BAD_JSON": 1, "MISSING_FIELD": 1}
    again = land()
    assert again.exit_code == 0
    assert "Of the skipped objects 2 lines and rows are in quarantine" in again.output
    mirror.put(f"{OBJECT}/0.lz4", good)
    assert land().exit_code == 0
    assert content(lake.storage, "quarantine") == {}


def test_an_unknown_field_is_kept_and_counted(lake: Lake, land: Land, mirror: Mirror) -> None:
    mirror.put(
        f"{OBJECT}/0.lz4",
        block(1, fill(MIDNIGHT_MS, feeTrial="0.1"), fill(MIDNIGHT_MS, feeTrial=None)),
    )
    result = land()
    assert result.exit_code == 0
    assert "feeTrial 1" in result.output
    assert rows(lake, "extra") == [('{"feeTrial":"0.1"}',), (None,)]
    assert ledger_of(lake.storage, f"{NAME}-00")["extra"] == {"feeTrial": 1}


@pytest.mark.parametrize("text", ["", block(1) + block(2)])
def test_an_empty_hour_lands_no_rows_and_is_no_error(
    lake: Lake, land: Land, mirror: Mirror, text: str
) -> None:
    mirror.put(f"{OBJECT}/0.lz4", text)
    result = land()
    assert result.exit_code == 0
    assert "1 landed" in result.output
    assert tags(lake.storage) == {}
    assert ledger_of(lake.storage, f"{NAME}-00")["rows"] == 0
    assert "0 landed, 1 skipped" in land().output


def test_two_landings_of_an_object_at_once_take_turns_and_the_ledger_describes_both(
    lake: Lake, mirror: Mirror
) -> None:
    coins = ("BTC", "ETH", "SOL")
    fills = [fill(MIDNIGHT_MS, coin=coin, tid=tid) for tid in range(1, 400) for coin in coins]
    mirror.put(f"{OBJECT}/0.lz4", block(1, *fills))
    command = [sys.executable, "-m", "ticklake.cli", "land", "hyperliquid", "--start", DAY]
    command += ["--end", DAY, "--source", str(mirror.root), "--workers", "1", "--coins"]
    environment = {**os.environ, **lake.env}
    running = [subprocess.Popen([*command, coin], env=environment) for coin in coins]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert ledger_of(lake.storage, f"{NAME}-00")["symbols"] == sorted(coins)
    assert {coin for (coin,) in rows(lake, "coin")} == {*coins}
    assert ledger_of(lake.storage, f"{NAME}-00")["rows"] == len(fills)
    assert not list(lake.storage.entries("_lease/landing"))


@pytest.mark.parametrize("lake", ["local"], indirect=True)
def test_an_hour_that_is_missing_is_remembered_until_it_is_there(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put_hours(1)
    land()
    missing = [f"{OBJECT}/{hour}.lz4" for hour in range(1, 24)]
    assert raw.archives_with_holes(lake.storage) == {"hyperliquid": sorted(missing)}
    shown = CliRunner().invoke(main, ["status"]).output
    assert "The source of hyperliquid lacked, when last asked" in shown
    assert "and 18 more" in shown
    mirror.put_hours(24)
    land()
    assert raw.archives_with_holes(lake.storage) == {}


def test_missing_hours_are_listed_and_no_hour_at_all_is_a_failure(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put_hours(1)
    some = land()
    assert some.exit_code == 0
    assert f"  {OBJECT}/1.lz4" in some.output
    none = land("--start", "20250810", "--end", "20250810")
    assert none.exit_code == 1
    assert "Nothing that was asked for exists" in none.output


def test_wrong_usage_is_told_apart(land: Land, mirror: Mirror) -> None:
    assert land("--start", "20250802", "--end", "20250801").exit_code == 2
    assert land("--start", "2025-8-1", "--end", "20250801").exit_code == 2
    assert land("--coins", " , ").exit_code == 2
    missing = land(source=str(mirror.root / "nowhere"))
    assert missing.exit_code == 1
    assert "There is no directory" in missing.output


@ON_S3
def test_an_s3_source_reads_as_a_directory_does(lake: Lake, land: Land, mirror: Mirror) -> None:
    mirror.put_hours(2)
    for file in sorted(mirror.root.rglob("*.lz4")):
        path = f"mirror/{file.relative_to(mirror.root)}"
        lake.storage.write(path, file.read_bytes())
    result = land(source=f"{lake.root}/mirror")
    assert result.exit_code == 0, result.output
    assert "2 landed" in result.output
    assert len(rows(lake)) == 6
    assert "2 skipped" in land(source=f"{lake.root}/mirror").output


def test_a_web_server_is_a_source_and_a_404_a_missing_hour(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put_hours(2)
    handler = partial(_Quiet, directory=str(mirror.root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        location = f"http://127.0.0.1:{server.server_port}"
        result = land(source=location)
        assert result.exit_code == 0, result.output
        assert "2 landed, 0 skipped, 0 quarantined, 22 missing" in result.output
        assert "2 skipped" in land(source=location).output
        server.shutdown()
    assert len(rows(lake)) == 6


def test_a_password_in_a_url_is_neither_printed_nor_kept(
    lake: Lake, land: Land, mirror: Mirror
) -> None:
    mirror.put(f"{OBJECT}/0.lz4", "no JSON\n")
    handler = partial(_Quiet, directory=str(mirror.root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        result = land("--coins", "BTC", source=f"http://me:secret@{host}")
        queried = land(source=f"http://{host}?token=secret")
        server.shutdown()
    assert "BAD_JSON 1" in result.output
    assert error_of(lake.storage, f"{NAME}-00")["again"] == (
        f"ticklake land hyperliquid --source http://{host} --start {DAY} --end {DAY} --coins BTC"
    )
    assert queried.exit_code == 1
    assert "has a query" in queried.output
    kept = [lake.storage.read(entry.path) for entry in lake.storage.entries("")]
    assert not any(b"secret" in thing for thing in kept)
    assert "secret" not in result.output + queried.output


@ON_S3
def test_wrong_credentials_are_one_clear_error_and_leave_nothing(
    lake: Lake, mirror: Mirror
) -> None:
    mirror.put_hours(2)
    secret = "not-the-secret-of-this-lake"
    env = {**os.environ, **lake.env, "AWS_SECRET_ACCESS_KEY": secret}
    command = [sys.executable, "-m", "ticklake.cli", "land", "hyperliquid"]
    command += ["--source", str(mirror.root), "--start", DAY, "--end", DAY]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("Error:") == 1
    assert "Check the AWS credentials" in done.stderr
    assert secret not in done.stderr
    assert "Traceback" not in done.stderr
    assert list(lake.storage.entries("")) == []


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        pass
