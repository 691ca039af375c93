"""`ticklake delete` removes a range of raw segments so that everything else follows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.conftest import Lake, _lake_at
from tests.integration.pipeline import Pipeline
from ticklake.cli import main
from ticklake.lake.lease import Lease, break_leases
from ticklake.lake.raw import LedgerEntry, Segment, read_ledger, write_ledger
from ticklake.lake.tables import sha256_of

DATES = ("2025-01-01", "2025-01-02", "2025-01-03")


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    return landed(_lake_at(str(tmp_path / "lake"), {}, monkeypatch))


def landed(lake: Lake) -> Pipeline:
    """Three days; object `a` of the ledger has a segment on each, `b` one on the second."""
    pipeline = Pipeline(lake.root, lake.storage, lake.connect())
    for date in DATES:
        pipeline.land("x", date, "a", [(1, "A", 1), (2, "B/C", 2)])
    pipeline.land("x", DATES[1], "b", [(3, "A", 3)])
    pipeline.land("y", DATES[1], "c", [(3, "A", 3)])
    for name, dates in (("a", DATES), ("b", DATES[1:2])):
        segments = [
            Segment(f"raw/ticks/exchange=x/date={date}/{name}.parquet", 2, 10, "hash")
            for date in dates
        ]
        entry = LedgerEntry("there", name, 1, "tag", None, 2 * len(dates), segments)
        write_ledger(lake.storage, "source", name, entry)
    pipeline.build()
    return pipeline


def delete(*options: str) -> Result:
    return CliRunner().invoke(
        main, ["delete", "--table", "raw.ticks", *options], catch_exceptions=False
    )


SECOND_DAY = ("--exchange", "x", "--from", DATES[1], "--to", DATES[1])


def test_what_depended_on_a_deleted_range_goes_with_the_next_build(lake: Lake) -> None:
    pipeline = landed(lake)
    result = delete(*SECOND_DAY, "--yes")
    assert result.exit_code == 0, result.output
    assert "Deleted 2 segments" in result.output
    assert "and 2 ledger entries" in result.output
    pipeline.build()
    incremental = pipeline.hashes()
    assert not [path for path in incremental if "exchange=x" in path and DATES[1] in path]
    assert [path for path in incremental if "exchange=y" in path and DATES[1] in path]
    pipeline.forget()
    pipeline.build()
    assert pipeline.hashes() == incremental
    assert "nothing in that range" in delete(*SECOND_DAY, "--yes").output


def test_the_ledger_counts_a_deleted_object_as_not_landed(local: Pipeline) -> None:
    before = read_ledger(local.storage, "source", "a")
    delete(*SECOND_DAY, "--yes")
    assert read_ledger(local.storage, "source", "b") is None
    left = read_ledger(local.storage, "source", "a")
    assert before
    assert left == replace(
        before, tag="", rows=4, segments=[before.segments[0], before.segments[2]]
    )
    delete("--from", DATES[0], "--to", DATES[2], "--yes")
    assert read_ledger(local.storage, "source", "a") is None
    assert not list(local.storage.entries("raw"))


def test_without_a_yes_nothing_is_deleted(local: Pipeline) -> None:
    before = {entry.path for entry in local.storage.entries("")}
    result = delete(*SECOND_DAY)
    assert result.exit_code == 1
    assert "raw/ticks/exchange=x/date=2025-01-02" in result.output
    assert "Would delete 2 segments" in result.output
    assert "Say --yes to do it." in result.output
    assert {entry.path for entry in local.storage.entries("")} == before


@pytest.mark.parametrize("after", range(4))
def test_one_that_is_killed_is_finished_by_another(
    local: Pipeline, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly(local, after, monkeypatch)
    with pytest.raises(KilledError):
        delete(*SECOND_DAY, "--yes")
    monkeypatch.undo()
    monkeypatch.setenv("LAKE_ROOT", local.root)
    break_leases(local.storage)  # that of a process that only played dead
    assert delete(*SECOND_DAY, "--yes").exit_code == 0
    left = {entry.path for entry in local.storage.entries("raw")}
    assert left == {
        "raw/ticks/exchange=x/date=2025-01-01/a.parquet",
        "raw/ticks/exchange=x/date=2025-01-03/a.parquet",
        "raw/ticks/exchange=y/date=2025-01-02/c.parquet",
        "raw/_ledger/source/a.json",
    }
    entry = read_ledger(local.storage, "source", "a")
    assert entry
    assert (entry.tag, len(entry.segments)) == ("", 2)


def deadly(pipeline: Pipeline, after: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process end at a write below raw/ after so many."""
    kind = type(pipeline.storage)
    writes = [0]

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        def write(self: Any, path: str, *arguments: Any) -> Any:
            if path.startswith("raw/"):
                writes[0] += 1
                if writes[0] > after:
                    raise KilledError
            return method(self, path, *arguments)

        return write

    for operation in ("write", "delete"):
        patch.setattr(kind, operation, wrapped(getattr(kind, operation)))


def test_a_built_table_is_refused_with_the_channel_to_delete_from(local: Pipeline) -> None:
    options = ["delete", "--table", "totals", "--from", DATES[0], "--to", DATES[0], "--yes"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert "compacted.totals is made of raw.ticks" in result.output
    assert "Delete from raw.ticks" in result.output


def test_a_column_that_the_channel_is_not_stored_by_is_refused(local: Pipeline) -> None:
    result = delete(*SECOND_DAY, "--symbol", "A", "--yes")
    assert result.exit_code == 1
    assert "raw.ticks has no partition by symbol" in result.output
    assert "Leave --symbol out" in result.output


def test_names_that_are_nowhere_are_a_failure_that_says_which_there_are(local: Pipeline) -> None:
    days = ("--from", DATES[0], "--to", DATES[0], "--yes")
    result = delete("--exchange", "z", *days)
    assert result.exit_code == 1
    assert "raw.ticks has no exchange z" in result.output
    assert "It has x, y." in result.output
    path = "raw/klines/exchange={}/symbol={}/interval=1m/month=2025-01/a.parquet"
    for names in (("x", "A"), ("y", "B")):
        local.storage.write(path.format(*names), b"")
    month = ["--from", "2025-01-01", "--to", "2025-01-31", "--yes"]
    options = ["delete", "--table", "raw.klines", "--exchange", "x", "--symbol", "B", *month]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert "raw.klines has no symbol B" in result.output
    assert "It has A." in result.output
    # One that is there, but not on that day, is none.
    assert delete("--exchange", "y", *days).exit_code == 0


def test_a_month_is_deleted_whole_or_not_at_all(local: Pipeline) -> None:
    path = "raw/klines/exchange=x/symbol=A/interval=1m/month=2025-01/a.parquet"
    local.storage.write(path, b"")
    options = ["delete", "--table", "raw.klines", "--yes", "--from"]
    result = CliRunner().invoke(main, [*options, "2025-01-10", "--to", "2025-01-31"])
    assert result.exit_code == 1
    assert "Delete whole months: --from 2025-01-01 --to 2025-01-31." in result.output
    assert local.storage.find(path)
    result = CliRunner().invoke(main, [*options, "2025-01-01", "--to", "2025-01-31"])
    assert result.exit_code == 0, result.output
    assert not local.storage.find(path)


def test_another_writer_keeps_the_lake_as_it_is(local: Pipeline) -> None:
    lease = Lease(local.storage, "a nightly build")
    lease.acquire()
    result = delete(*SECOND_DAY, "--yes")
    assert result.exit_code == 1
    assert "is being written by a nightly build" in result.output
    assert local.storage.find(f"raw/ticks/exchange=x/date={DATES[1]}/a.parquet")
    lease.release()


def test_days_that_were_deleted_can_be_landed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = _lake_at(str(tmp_path / "lake"), {}, monkeypatch)
    source = str(tmp_path / "source")
    run("sample", "--days", "2", "--fills-per-hour", "20", "--only", "hyperliquid", source)
    land = ["land", "hyperliquid", "--source", source, "--start", "20250801", "--end", "20250802"]
    run(*land, "--workers", "1")
    before = raw_hashes(lake)
    run("delete", "--table", "raw.fills", "--from", "20250802", "--to", "20250802", "--yes")
    left = raw_hashes(lake)
    assert left.items() < before.items()
    assert {path for path in before if "2025-08-02" in path} == before.keys() - left.keys()
    assert "24 landed, 24 skipped" in run(*land, "--workers", "1")
    assert raw_hashes(lake) == before


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def raw_hashes(lake: Lake) -> dict[str, str]:
    return {
        entry.path: sha256_of(lake.storage, entry.path)
        for entry in lake.storage.entries("raw/fills")
    }
