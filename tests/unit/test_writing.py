"""Writing rows that come in order: the order is checked, and the bytes depend on the rows alone."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.pipeline import MODELS
from ticklake.lake import writing
from ticklake.lake.errors import LakeError
from ticklake.lake.materialization import run_model
from ticklake.lake.writing import ROW_GROUP, write_in_order, write_sorted

STAMP = pa.timestamp("us", tz="UTC")


def rows_of(numbers: Sequence[int]) -> pa.Table:
    """Rows with a column of each kind that tables of features have, and a wide one."""
    return pa.table(
        {
            "row_seq": pa.array(numbers, pa.int64()),
            "ts": pa.array(numbers, STAMP),
            "value": pa.array([None if n % 7 == 0 else n / 3 for n in numbers], pa.float64()),
            "state": pa.array([None if n % 5 == 0 else "ok" for n in numbers], pa.string()),
            "is_gap": pa.array([n % 2 == 0 for n in numbers], pa.bool_()),
            "text": pa.array([f"{n:064}" for n in numbers], pa.string()),
        }
    )


def written(table: pa.Table, file: Path, batch_rows: int | None = None) -> int:
    """Write a table that reaches the writer in batches of some size."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        batches = pa.RecordBatchReader.from_batches(
            table.schema, table.to_batches(max_chunksize=batch_rows)
        )
        connection.register("given", batches)
        return write_in_order(connection, "from given", ["row_seq"], file)


def test_rows_come_back_as_they_were_in_row_groups_of_one_size(tmp_path: Path) -> None:
    table = rows_of(range(1, 2 * ROW_GROUP + 10))
    assert written(table, tmp_path / "file") == table.num_rows
    metadata = pq.read_metadata(tmp_path / "file")
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sizes == [ROW_GROUP, ROW_GROUP, 9]
    assert pq.read_table(tmp_path / "file").equals(table)


def test_the_bytes_do_not_depend_on_the_size_of_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows_of(range(1, 60_000))
    hashes = set()
    for batch_rows in (None, 2_048, 1_000, 7_777):
        batches = table.to_batches(max_chunksize=batch_rows)
        monkeypatch.setattr(writing, "ROW_GROUP", 25_000)
        written_rows = _write_batches(table.schema, batches, tmp_path / "file")
        assert written_rows == table.num_rows
        hashes.add(hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest())
    assert len(hashes) == 1


class _Given:
    """Stands in for a connection: its queries give batches as they are."""

    def __init__(self, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> None:
        self._reader = pa.RecordBatchReader.from_batches(schema, batches)

    def sql(self, _query: str) -> "_Given":
        return self

    def to_arrow_reader(self, _rows: int) -> pa.RecordBatchReader:
        return self._reader


def _write_batches(schema: pa.Schema, batches: Sequence[pa.RecordBatch], file: Path) -> int:
    connection: Any = _Given(schema, batches)
    return write_in_order(connection, "", ["row_seq"], file)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 60), min_size=1, max_size=40),
    st.integers(1, 9),
    st.integers(1, 9),
    st.booleans(),
)
def test_rows_that_do_not_rise_are_refused_wherever_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[int],
    batch_rows: int,
    row_group: int,
    sort: bool,
) -> None:
    numbers = sorted(set(numbers)) if sort else numbers
    batches = rows_of(numbers).to_batches(max_chunksize=batch_rows)
    file = tmp_path_factory.mktemp("written") / "file"
    falls = [(a, b) for a, b in itertools.pairwise(numbers) if b <= a]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "ROW_GROUP", row_group)
        if not falls:
            assert _write_batches(batches[0].schema, batches, file) == len(numbers)
            assert pq.read_table(file)["row_seq"].to_pylist() == numbers
            return
        with pytest.raises(LakeError, match="do not come by row_seq") as refusal:
            _write_batches(batches[0].schema, batches, file)
    assert f"after {falls[0][0]} comes {falls[0][1]}." in str(refusal.value)


def test_no_rows_make_a_file_with_all_columns(tmp_path: Path) -> None:
    table = rows_of([])
    assert written(table, tmp_path / "file") == 0
    assert pq.read_schema(tmp_path / "file").equals(table.schema)
    assert pq.read_table(tmp_path / "file").num_rows == 0


def test_readers_see_the_types_they_see_of_sorted_rows(tmp_path: Path) -> None:
    columns = """
        select 1::bigint as row_seq, date '2024-01-02' as date, 'x' as state, true as is_gap,
            2::integer as levels, 0.5::double as value, null::double as nothing,
            timestamptz '2024-01-02 00:00:00+00' as ts, 1.5::decimal(38, 12) as price"""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        write_in_order(connection, columns, ["row_seq"], tmp_path / "in_order")
        write_sorted(connection, columns, ["row_seq"], tmp_path / "sorted")
        seen = [
            connection.execute(f"{what} from read_parquet('{tmp_path / file}')").fetchall()
            for what in ("describe select *", "select *")
            for file in ("in_order", "sorted")
        ]
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]


@pytest.mark.parametrize(
    "wrong", [{"order_by": ["ts_event", "value"]}, {"unit_by": ["exchange", "date"]}]
)
def test_a_model_that_keeps_order_has_one_column_to_order_by_and_units_of_a_partition(
    wrong: dict[str, Any], tmp_path: Path
) -> None:
    config = {
        "partition_by": MODELS["steps"]["partition_by"], "unit_by": None, "order_by": ["value"],
        "time_column": None, "closed_by": None, "keeps_order": True, **wrong,
    }  # fmt: skip
    specification = {
        "invocation": "one", "root": str(tmp_path), "name": "steps", "language": "sql",
        "location": "compacted/steps", "columns": MODELS["steps"]["columns"], "config": config,
        "inputs": [], "seeds": {}, "sql": "", "code": "", "full_refresh": False,
        "is_dry_run": False,
        "selection": {"from": None, "to": None, "exchanges": None, "symbols": None},
    }  # fmt: skip
    with duckdb.connect() as connection, pytest.raises(LakeError, match="keeps_order needs one"):
        run_model(connection, json.dumps(specification))
