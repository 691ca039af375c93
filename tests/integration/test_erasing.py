"""`ticklake delete --user` and `--symbol` erase for good: from raw, quarantine and built tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from loaders import worker
from tests.conftest import Lake, _lake_at
from tests.integration.pipeline import Pipeline
from tests.unit.test_hyperliquid import block, fill
from ticklake.cli import main
from ticklake.lake import raw
from ticklake.lake.erasures import REASON, Erasure, Erasures, erasure_of_user, remember
from ticklake.lake.lease import break_leases
from ticklake.lake.storage import Storage

A, B, C = (f"0x{digit * 40}" for digit in "abc")
DAY = ("--start", "20250801", "--end", "20250801")


def run(*arguments: str, expect: int = 0) -> str:
    result: Result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == expect, result.output
    return result.output


def delete(*options: str, expect: int = 0) -> str:
    return run("delete", *options, expect=expect)


def of(user: str, **changes: Any) -> list[Any]:
    return [user, fill(time=1_754_006_400_000, **changes)[1]]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Two hours of fills of three wallets and two coins, some of which are rejected."""
    hours = {
        0: [of(A, tid=1, side="A"), of(B, tid=1, side="B"), of(C, tid=2), of(A, tid=2, side="B")],
        1: [of(B, tid=3, builder=A), of(C, tid=3, coin="ETH"), of(A, tid=4, side="X")],
        2: [of(A, tid=5), of(A, tid=5, side="B")],
    }
    folder = tmp_path / "source"
    for hour, events in hours.items():
        file = folder / f"node_fills_by_block/hourly/20250801/{hour}.lz4"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(lz4.frame.compress(block(*events, number=hour + 1)))
    return str(folder)


def land(source: str, *options: str, expect: int = 0) -> str:
    land = ("land", "hyperliquid", "--source", source, *DAY, "--workers", "1")
    return run(*land, *options, expect=expect)


def below(storage: Storage, *folders: str) -> dict[str, bytes]:
    return {
        entry.path: storage.read(entry.path)
        for folder in folders
        for entry in storage.entries(folder)
    }


def everything(storage: Storage) -> dict[str, bytes]:
    return below(storage, "raw", "quarantine")


def users(storage: Storage) -> list[str]:
    tables = [pq.read_table(pa.BufferReader(data)) for data in below(storage, "raw/fills").values()]
    return sorted(user for table in tables for user in table["user"].to_pylist())


def mentions(storage: Storage, address: str) -> list[str]:
    """Return the files that hold an address, in whatever column."""
    found = []
    for path, data in everything(storage).items():
        if path.endswith(".parquet"):
            table = pq.read_table(pa.BufferReader(data))
            texts = [name for name in table.column_names if "time" not in name]
            data = str(table.select(texts).to_pylist()).encode()
        if address.encode() in data:
            found.append(path)
    return found


def test_an_erased_lake_equals_one_that_was_landed_after_the_erasure(
    lake: Lake, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(source, expect=1)  # a fill has no valid side
    assert mentions(lake.storage, A)
    output = delete("--user", A.upper().replace("X", "x"), "--yes")
    assert "raw.fills: 4 rows to remove, 4 rows of others with a mention to empty" in output
    assert "1 rejected lines to empty" in output
    assert users(lake.storage) == [B, B, C, C]
    assert not mentions(lake.storage, A)
    assert not mentions(lake.storage, A[2:])
    erased = everything(lake.storage)
    assert "no problem" in run("verify")
    assert "0 landed, 3 skipped" in land(source)
    assert "erased 4" in land(source, "--force", expect=1)
    assert everything(lake.storage) == erased

    other = _lake_at(str(tmp_path / "other"), {}, monkeypatch)
    remember(other.storage, erasure_of_user(A))
    land(source, expect=1)
    fresh = everything(other.storage)
    assert fresh.keys() == erased.keys()
    for path, data in fresh.items():
        assert without_place(data) == without_place(erased[path]), path


def without_place(data: bytes) -> Any:
    """Leave out of an explanation in quarantine how to land again, which names the lake."""
    try:
        content = json.loads(data)
    except ValueError:
        return data
    return {name: value for name, value in content.items() if name != "again"}


def test_the_rows_of_an_object_are_all_accounted_for(local: Lake, source: str) -> None:
    land(source, expect=1)
    before = raw.read_ledgers(local.storage)
    delete("--user", A, "--yes")
    delete("--symbol", "ETH", "--yes")
    after = raw.read_ledgers(local.storage)
    assert before.keys() == after.keys()
    for key, entry in after.items():
        assert entry.rows + entry.unwanted.get(REASON, 0) == before[key].rows
        assert entry.tag == before[key].tag
    assert sum(entry.unwanted.get(REASON, 0) for entry in after.values()) == 5


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    return _lake_at(str(tmp_path / "lake"), {}, monkeypatch)


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(8))
def test_one_that_is_killed_is_finished_by_another(
    local: Lake, source: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(source, expect=1)
    with monkeypatch.context() as patch:
        deadly(local.storage, after, patch)
        with pytest.raises(KilledError):
            delete("--user", A, "--yes")
    break_leases(local.storage)  # that of a process that only played dead
    if after:  # else nothing is remembered yet
        run("erasures", "apply")
    else:
        delete("--user", A, "--yes")
    finished = everything(local.storage)
    other = _lake_at(str(tmp_path / "other"), {}, monkeypatch)
    land(source, expect=1)
    delete("--user", A, "--yes")
    assert {path: without_place(data) for path, data in finished.items()} == {
        path: without_place(data) for path, data in everything(other.storage).items()
    }


def deadly(storage: Storage, after: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process end at a write to raw or quarantine after so many."""
    kind = type(storage)
    writes = [0]
    under_way = [False]

    def wrapped(method: Callable[..., Any], at: int) -> Callable[..., Any]:
        def write(self: Any, *arguments: Any) -> Any:
            counts = arguments[at].startswith(("raw/", "quarantine/")) and not under_way[0]
            if counts:
                writes[0] += 1
                if writes[0] > after:
                    raise KilledError
            under_way[0], before = True, under_way[0]  # `write` calls `publish`
            try:
                return method(self, *arguments)
            finally:
                under_way[0] = before

        return write

    for operation, at in (("write", 0), ("publish", 1), ("delete", 0)):
        patch.setattr(kind, operation, wrapped(getattr(kind, operation), at))


def test_a_mark_that_a_finished_landing_left_over_hides_nothing(
    local: Lake, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kept = type(local.storage).delete
        patch.setattr(
            type(local.storage),
            "delete",
            lambda self, path: None if path.startswith(raw.LANDING) else kept(self, path),
        )
        land(source, expect=1)
    assert below(local.storage, raw.LANDING)
    assert not raw.unfinished(local.storage)
    delete("--user", A, "--yes")
    assert not raw.unfinished(local.storage)


def test_without_a_yes_it_says_what_it_would_do_and_does_nothing(local: Lake, source: str) -> None:
    land(source, expect=1)
    before = everything(local.storage)
    output = delete("--user", A, expect=1)
    assert "raw.fills: 4 rows to remove" in output
    assert f"Would erase {A}" in output
    assert "Say --yes to do it." in output
    assert everything(local.storage) == before


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--user", A, "--symbol", "BTC"),
        ("--user", A, "--from", "20250801", "--to", "20250801"),
        ("--symbol", "BTC", "--from", "20250801"),
        ("--table", "raw.fills"),
    ],
)
def test_options_that_say_two_things_or_none_are_refused(
    local: Lake, options: tuple[str, ...]
) -> None:
    delete(*options, "--yes", expect=2)
    assert not everything(local.storage)


@pytest.mark.parametrize("symbol", ["n" * 300, "", "a\nb"])
def test_a_symbol_that_no_lake_can_have_is_refused(local: Lake, symbol: str) -> None:
    refused = CliRunner().invoke(main, ["delete", "--symbol", symbol, "--yes"])
    assert refused.exit_code == 1
    assert "No lake has the symbol" in refused.output
    assert not list(local.storage.entries("raw"))


def test_a_wallet_that_collectors_bring_back_is_found_by_verify(local: Lake, source: str) -> None:
    land(source, expect=1)
    delete("--user", A, "--yes")
    path = "raw/fills/exchange=hyperliquid/date=2025-08-02/foreign.parquet"
    with local.storage.staging() as folder:
        pq.write_table(pa.table({"user": [A, C], "coin": ["BTC", "ETH"]}), folder / "file")
        local.storage.publish(folder / "file", path)
    output = run("verify", expect=1)
    assert f"{path}: has 1 rows of an erased wallet or symbol; `ticklake erasures apply`" in output
    assert "raw.fills: 1 rows to remove" in run("erasures", "apply")
    assert "no problem" in run("verify")
    delete("--symbol", "ETH", "--yes")
    assert local.storage.find(path) is None


def test_quarantine_is_cleaned_and_what_cannot_be_edited_is_named(lake: Lake) -> None:
    path = "raw/fills/exchange=hyperliquid/date=2025-08-02/a.parquet"
    with lake.storage.staging() as folder:
        pq.write_table(pa.table({"user": [A, C]}), folder / "file")
        lake.storage.publish(folder / "file", f"quarantine/{path}/a.parquet")
    about = {"error_type": "WRONG_TYPE", "message": "no px", "size": 1, "sha256": "of before"}
    lake.storage.write(f"quarantine/{path}/error.json", json.dumps(about).encode())
    lake.storage.write("quarantine/csv/object/file.csv.gz", b"cut")
    lake.storage.write("quarantine/csv/object/error.json", json.dumps(about).encode())
    output = delete("--user", A, "--yes")
    assert "1 segments, 1 rows to remove" in output
    assert "csv/object cannot be edited, and may hold it: `ticklake quarantine drop`" in output
    data = lake.storage.read(f"quarantine/{path}/a.parquet")
    assert pq.read_table(pa.BufferReader(data))["user"].to_pylist() == [C]
    explained = json.loads(lake.storage.read(f"quarantine/{path}/error.json"))
    assert explained["size"] == len(data)
    assert explained["sha256"] != "of before"


def test_an_erasure_while_an_object_lands_is_seen(
    local: Lake, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = worker.read_erasures, [0]

    def read_and_erase(storage: Storage) -> Erasures:
        calls[0] += 1
        if calls[0] == 2:  # the first object is published, and looks whether all is as it was
            remember(storage, erasure_of_user(A))
        return read(storage)

    monkeypatch.setattr(worker, "read_erasures", read_and_erase)
    land(source, expect=1)
    assert not mentions(local.storage, A)


def test_what_was_lifted_can_be_landed_again(local: Lake, source: str) -> None:
    land(source, expect=1)
    before = below(local.storage, "raw/fills")
    delete("--user", A, "--yes")
    delete("--symbol", "BTC", "--exchange", "hyperliquid", "--yes")
    listed = run("erasures", "list")
    assert "symbol BTC of hyperliquid" in listed
    assert "user with SHA-256" in listed
    assert A[2:] not in listed
    run("erasures", "lift", "--symbol", "BTC", expect=1)  # not of all exchanges
    run("erasures", "lift", "--symbol", "BTC", "--exchange", "hyperliquid")
    run("erasures", "lift", "--user", A.upper().replace("X", "x"))
    assert "Nothing was erased" in run("erasures", "list")
    land(source, "--force", expect=1)
    assert below(local.storage, "raw/fills") == before


def test_an_erased_symbol_does_not_land_from_other_loaders(local: Lake, tmp_path: Path) -> None:
    file = tmp_path / "trades.csv"
    file.write_text("time,id,price,size,side\n2025-01-01T00:00:00,0,0.2,50,buy\n")

    def land_csv(symbol: str) -> None:
        options = ("--channel", "trades", "--exchange", "x", "--symbol", symbol, "--force")
        run("land", "csv", str(file), *options, "--workers", "1")

    land_csv("A/B")
    assert "raw.trades: 1 rows to remove" in delete("--symbol", "A/B", "--yes")
    assert not below(local.storage, "raw/trades")
    CliRunner().invoke(
        main,
        ["land", "csv", str(file), "--channel", "trades", "--exchange", "x", "--symbol", "A/B"],
    )
    assert not below(local.storage, "raw/trades")
    land_csv("A/B2")
    assert below(local.storage, "raw/trades")


def test_what_was_built_of_it_is_dropped_at_once_and_built_again(local: Lake) -> None:
    pipeline = Pipeline(local.root, local.storage, local.connect())
    for date in ("2025-01-01", "2025-01-02"):
        pipeline.land("x", date, "a", [(1, "A", 1), (2, "B", 2)])
    pipeline.land("x", "2025-01-04", "a", [(1, "B", 1)])
    pipeline.land("y", "2025-01-01", "a", [(1, "A", 1)])
    pipeline.build()
    before = pipeline.hashes()
    output = delete("--symbol", "A", "--exchange", "x", "--yes")
    assert "compacted.ticks: 4 partitions to drop" in output
    dropped = before.keys() - pipeline.hashes().keys()
    assert dropped
    assert all("exchange=x" in path and "2025-01-04" not in path for path in dropped)
    pipeline.build()
    built = pipeline.hashes()
    assert not [path for path in built if "exchange=x/symbol=A/" in path]
    kept = {path: sha for path, sha in before.items() if "symbol=B/" in path or "=y" in path}
    assert kept.items() <= built.items()
    pipeline.forget()
    pipeline.build()
    assert pipeline.hashes() == built


def test_a_symbol_of_all_exchanges_and_of_one_are_two_erasures(local: Lake) -> None:
    every, one = Erasure(symbol="A/B"), Erasure(symbol="A/B", exchange="x")
    assert every.path != one.path
    both = Erasures.of(every, one)
    assert both.symbols_of("y") == {"A/B"}
    assert Erasures.of(one).symbols_of("y") == frozenset()
