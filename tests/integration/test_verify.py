"""`ticklake verify` finds every kind of damage by name, and the next build mends it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from tests.conftest import Lake, _lake_at
from tests.integration.pipeline import Pipeline
from tests.integration.test_dbt import Project, land_two_days, local
from ticklake.cli import main
from ticklake.lake.lease import Lease
from ticklake.lake.raw import LedgerEntry, Segment, write_ledger
from ticklake.lake.tables import sha256_of
from ticklake.lake.verifying import sort_key

__all__ = ["local"]

STEPS = "compacted/steps/exchange=x/symbol=A/date=2025-01-01"
TICKS = "compacted/ticks/exchange=x/symbol=A/date=2025-01-01"


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A local lake with two days of two symbols."""
    return built(_lake_at(str(tmp_path / "lake"), {}, monkeypatch))


def built(lake: Lake) -> Pipeline:
    pipeline = Pipeline(lake.root, lake.storage, lake.connect())
    for date in ("2025-01-01", "2025-01-02"):
        pipeline.land("x", date, "a", [(1, "A", 1), (2, "A", 2), (3, "A", 5), (4, "B/C", 2)])
    pipeline.build()
    return pipeline


def verify(*options: str) -> Result:
    return CliRunner().invoke(main, ["verify", *options], catch_exceptions=False)


def edit_meta(pipeline: Pipeline, folder: str, **values: Any) -> None:
    meta = json.loads(pipeline.storage.read(f"{folder}/meta.json"))
    pipeline.storage.write(f"{folder}/meta.json", json.dumps({**meta, **values}).encode())


def replace_data(pipeline: Pipeline, folder: str, data: bytes, *, with_hash: bool) -> None:
    """Put other bytes there, such that a listing shows what meta.json says."""
    path = f"{folder}/data.parquet"
    entry = pipeline.storage.write(path, data)
    edit_meta(pipeline, folder, tag=entry.tag)
    if with_hash:
        sha256 = sha256_of(pipeline.storage, path)
        edit_meta(pipeline, folder, sha256=sha256, size=entry.size)


def flip_a_bit(pipeline: Pipeline, folder: str = STEPS) -> None:
    data = bytearray(pipeline.storage.read(f"{folder}/data.parquet"))
    data[len(data) // 2] ^= 1
    replace_data(pipeline, folder, bytes(data), with_hash=False)


def truncate(pipeline: Pipeline, folder: str = STEPS) -> None:
    data = pipeline.storage.read(f"{folder}/data.parquet")
    pipeline.storage.write(f"{folder}/data.parquet", data[:-1])


def swap_rows(pipeline: Pipeline, folder: str = STEPS) -> None:
    data = pipeline.storage.read(f"{folder}/data.parquet")
    table = pq.read_table(pa.BufferReader(data)).take([0, 2, 1])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    replace_data(pipeline, folder, sink.getvalue().to_pybytes(), with_hash=True)


def lose_a_row(pipeline: Pipeline, folder: str = STEPS) -> None:
    data = pipeline.storage.read(f"{folder}/data.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(pq.read_table(pa.BufferReader(data)).slice(1), sink)
    replace_data(pipeline, folder, sink.getvalue().to_pybytes(), with_hash=True)


def no_parquet(pipeline: Pipeline, folder: str = STEPS) -> None:
    replace_data(pipeline, folder, b"no Parquet", with_hash=True)


def lose(name: str) -> Callable[[Pipeline], None]:
    return lambda pipeline: pipeline.storage.delete(f"{STEPS}/{name}")


def lose_a_sibling(pipeline: Pipeline) -> None:
    for name in ("data.parquet", "meta.json"):
        pipeline.storage.delete(f"{TICKS.replace('symbol=A', 'symbol=B%2FC')}/{name}")


DAMAGE: dict[str, tuple[Callable[[Pipeline], None], str]] = {
    "a flipped bit": (flip_a_bit, f"{STEPS}: data.parquet does not have the hash in meta.json"),
    "a cut file": (truncate, f"{STEPS}: data.parquet has "),
    "rows in another order": (
        swap_rows, f"{STEPS}: rows 1 and 2 (from 0) are not in the order of ts_event, value",
    ),
    "a lost row": (lose_a_row, f"{STEPS}: data.parquet has 2 rows, not 3"),
    "no Parquet": (no_parquet, f"{STEPS}: data.parquet cannot be read: "),
    "a wrong count": (
        lambda pipeline: edit_meta(pipeline, STEPS, row_count=7),
        f"{STEPS}: data.parquet has 3 rows, not 7",
    ),
    "a wrong time": (
        lambda pipeline: edit_meta(pipeline, STEPS, ts_event_max="1735689604000000000"),
        f"{STEPS}: its times go from 1735689601000000000 to 1735689603000000000, "
        "not from 1735689601000000000 to 1735689604000000000",
    ),
    "no meta": (lose("meta.json"), f"{STEPS}: meta.json is missing"),
    "no data": (lose("data.parquet"), f"{STEPS}: data.parquet is missing"),
    "a meta file that is none": (
        lambda pipeline: pipeline.storage.write(f"{STEPS}/meta.json", b"{}") and None,
        f"{STEPS}: meta.json cannot be read",
    ),
    "a lost partition": (lose_a_sibling, f"{TICKS}: its unit has 1 of 2 partitions"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_and_the_next_build_mends_it(pipeline: Pipeline, kind: str) -> None:
    expected = pipeline.hashes()
    damage, message = DAMAGE[kind]
    damage(pipeline)
    result = verify()
    assert result.exit_code == 1, result.output
    assert f"  {message}" in result.output
    assert "`dbt build` builds it again" in result.output
    assert result.output.rstrip().endswith(": 1 problem.")
    pipeline.build()
    assert pipeline.hashes() == expected
    result = verify()
    assert result.exit_code == 0, result.output


def test_any_lake_is_sound_until_it_is_damaged_and_again_once_it_is_mended(lake: Lake) -> None:
    pipeline = built(lake)
    expected = pipeline.hashes()
    result = verify()
    assert result.exit_code == 0, result.output
    assert "compacted.steps: 4 partitions, no problem" in result.output
    assert "Verified 12 partitions, 28 rows, " in result.output
    flip_a_bit(pipeline, STEPS)
    swap_rows(pipeline, TICKS)
    result = verify()
    assert result.exit_code == 1, result.output
    assert f"  {STEPS}: data.parquet does not have the hash in meta.json" in result.output
    assert f"  {TICKS}: rows 1 and 2 (from 0) are not in the order of" in result.output
    pipeline.build()
    assert pipeline.hashes() == expected
    assert verify().exit_code == 0
    assert not list(lake.storage.entries("_staging"))


def test_a_file_that_nothing_reads_is_named(pipeline: Pipeline) -> None:
    pipeline.storage.write(f"{STEPS}/data (1).parquet", b"")
    pipeline.storage.write("compacted/steps/date=2025-01-01/data.parquet", b"")
    result = verify()
    assert result.exit_code == 1
    stray = f"{STEPS}/data (1).parquet: is no file of a partition of this table; nothing reads it"
    assert f"  {stray}" in result.output
    moved = "compacted/steps/date=2025-01-01/data.parquet: lies by other columns than the table"
    assert f"  {moved}" in result.output


def test_options_choose_what_is_read(pipeline: Pipeline) -> None:
    flip_a_bit(pipeline)
    for options in (
        ("--table", "ticks"),
        ("--table", "steps", "--symbol", "B/C"),
        ("--from", "2025-01-02"),
        ("--to", "20241231"),
    ):
        assert verify(*options).exit_code == 0
    result = verify("--table", "compacted.steps", "--symbol", "A", "--to", "2025-01-01")
    assert result.exit_code == 1
    assert "Verified 1 partition," in result.output


def test_days_in_the_wrong_order_verify_nothing_and_say_so(pipeline: Pipeline) -> None:
    result = verify("--from", "2025-01-02", "--to", "2025-01-01")
    assert result.exit_code == 2
    assert "is before --from" in result.output


def test_an_unknown_table_is_an_error_that_names_those_there_are(pipeline: Pipeline) -> None:
    result = verify("--table", "stops")
    assert result.exit_code == 1
    assert "There is no table 'stops'" in result.output
    assert "compacted.steps, compacted.ticks, compacted.totals" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--exchange", "X"], "The lake has no exchange X. It has x."),
        (["--symbol", "B"], "The lake has no symbol B. It has A, B/C."),
        (["--table", "steps", "--symbol", "D"], "compacted.steps has no symbol D. It has "),
    ],
)
def test_an_unknown_name_is_an_error_that_names_those_there_are(
    pipeline: Pipeline, options: list[str], message: str
) -> None:
    result = verify(*options)
    assert result.exit_code == 1
    assert message in result.output


def test_a_table_that_is_not_stored_by_symbol_is_verified_whole(pipeline: Pipeline) -> None:
    result = verify("--table", "raw.ticks", "--symbol", "D")
    assert result.exit_code == 0
    assert "Verified 2 partitions" in result.output


def test_a_lake_without_a_table_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "like"))
    result = verify()
    assert result.exit_code == 1
    assert f"There is no table in {tmp_path / 'like'}. Set LAKE_ROOT" in result.output


def test_damage_that_another_writer_keeps_from_being_marked_is_still_reported(
    pipeline: Pipeline,
) -> None:
    flip_a_bit(pipeline)
    lease = Lease(pipeline.storage, "a nightly build")
    lease.acquire()
    result = verify()
    assert result.exit_code == 1
    assert "does not have the hash" in result.output
    assert "Not marked, so `dbt build` may not see it" in result.output
    assert "a nightly build" in result.output
    lease.release()


def test_a_partition_that_a_build_replaces_meanwhile_is_read_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.land("x", "2025-01-01", "b", [(9, "A", 9)])
    kind = type(pipeline.storage)
    read, is_built = kind.read, []

    def read_then_build(self: Any, path: str) -> bytes:
        content: bytes = read(self, path)
        if path == f"{STEPS}/meta.json" and not is_built:
            is_built.append(True)
            pipeline.build()
        return content

    monkeypatch.setattr(kind, "read", read_then_build)
    result = verify("--table", "steps")
    assert is_built
    assert result.exit_code == 0, result.output


def in_ledger(pipeline: Pipeline) -> str:
    """Write a ledger entry for the first raw segment and return its path."""
    path = "raw/ticks/exchange=x/date=2025-01-01/a.parquet"
    found = pipeline.storage.find(path)
    assert found
    segment = Segment(path, 4, found.size, sha256_of(pipeline.storage, path))
    entry = LedgerEntry("there", "a.gz", 1, "tag", None, 4, [segment])
    write_ledger(pipeline.storage, "source", "a", entry)
    return path


def test_raw_segments_are_what_the_ledger_says(lake: Lake) -> None:
    pipeline = built(lake)
    path = in_ledger(pipeline)
    assert "raw.ticks: 2 partitions, no problem" in verify("--table", "raw.ticks").output
    data = bytearray(pipeline.storage.read(path))
    data[len(data) // 2] ^= 1
    pipeline.storage.write(path, bytes(data))
    pipeline.storage.write("raw/ticks/exchange=x/date=2025-01-02/other.parquet", b"no Parquet")
    result = verify()
    assert result.exit_code == 1
    assert (
        f"  {path}: does not have the hash in the ledger; land a.gz of there again with --force"
        in result.output
    )
    assert "date=2025-01-02/other.parquet: cannot be read: " in result.output
    assert verify("--table", "raw.ticks", "--from", "2025-01-03").exit_code == 0


@pytest.mark.parametrize("is_all", [False, True])
def test_a_raw_segment_that_is_gone_is_missed(pipeline: Pipeline, is_all: bool) -> None:
    path = in_ledger(pipeline)
    for entry in list(pipeline.storage.entries("raw/ticks")):
        if is_all or entry.path == path:
            pipeline.storage.delete(entry.path)
    result = verify("--exchange", "x")
    assert result.exit_code == 1
    assert f"  {path}: is missing, and the ledger says it was landed; land a.gz" in result.output


@pytest.mark.parametrize(
    "order_by",
    [
        ["a", "b"],
        ["a desc", "b"],
        ["a nulls first", "b desc"],
        ["a DESC NULLS FIRST", "b desc nulls last"],
        ["coalesce(a, 2)", "b asc"],
    ],
)
def test_a_sort_key_orders_as_order_by_does(order_by: list[str]) -> None:
    rows = "(select unnest([null, 1, 3, null, 2]) as a), (select unnest(['x', null, 'y']) as b)"
    key = sort_key(order_by)
    with duckdb.connect() as connection:
        disorder = connection.execute(
            f"select count(*) from (select {key} as key, lag({key}) over () as previous from "
            f"(select * from {rows} order by {', '.join(order_by)})) where key < previous"
        ).fetchone()
        assert disorder == (0,)
        backwards = connection.execute(
            f"select count(*) from (select {key} as key, lag({key}) over () as previous from "
            f"(select * from {rows} order by {key} desc)) where key < previous"
        ).fetchone()
        assert backwards != (0,)


def test_deep_computes_again_and_names_what_differs(lake: Lake, tmp_path: Path) -> None:
    project = Project(lake, tmp_path)
    land_two_days(project)
    project.dbt("build")
    expected = project.pipeline.hashes()
    folder = "compacted/steps/exchange=x/symbol=A/date=2025-01-02"
    table = pq.read_table(pa.BufferReader(lake.storage.read(f"{folder}/data.parquet")))
    value = table.schema.get_field_index("value")
    wrong = table.set_column(value, "value", pa.array([5], pa.int64()))
    sink = pa.BufferOutputStream()
    pq.write_table(wrong, sink)
    replace_data(project.pipeline, folder, sink.getvalue().to_pybytes(), with_hash=True)
    assert verify().exit_code == 0  # it is what its meta.json says
    output = deep(project, "--table", "steps", "--from", "2025-01-02", expect=1)
    assert f"  {folder}: computed again from its inputs it has other bytes" in output
    assert "Computed 2 partitions again: 1 problem." in output
    project.dbt("run")
    assert project.pipeline.hashes() == expected


def test_deep_reads_seeds_and_python_models_and_leaves_out_what_is_not_up_to_date(
    local: Project,
) -> None:
    local.dbt("build")
    expected = local.pipeline.hashes()
    local.pipeline.land("x", "2025-01-02", "late", [(9, "A", 7)])
    output = deep(local)
    assert "compacted.doubled: 4 partitions with the bytes that their inputs give" in output
    assert "compacted.totals: 2 partitions with the bytes" in output
    assert "compacted.ticks: 2 partitions with the bytes" in output
    assert "no problem, 1 unit not up to date" in output
    assert "`ticklake plan` says what is not up to date and why." in output
    assert local.pipeline.hashes() == expected


def deep(project: Project, *options: str, expect: int = 0) -> str:
    return project.run(["ticklake", "verify", "--deep", *options], expect, {})
