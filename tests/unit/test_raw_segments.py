"""What a Python model sees of raw segments."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Lake
from tests.integration.pipeline import run_model, specified
from ticklake.lake import python_models
from ticklake.lake.connection import prepare
from ticklake.lake.session import close_session
from ticklake.lake.specs import InputSpec

COLUMNS = {"exchange": "varchar", "date": "date", "row_seq": "bigint"}
INPUT = InputSpec("raw_rows", "raw/rows", ("exchange", "date"), COLUMNS, is_raw=True)
PARTITION = "exchange=x/date=2024-01-02"


def land(lake: Lake, name: str, numbers: list[int], partition: str = PARTITION) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"row_seq": pa.array(numbers, pa.int64())}), sink)
    lake.storage.write(f"raw/rows/{partition}/{name}.parquet", sink.getvalue().to_pybytes())


def build(lake: Lake, model: Any) -> dict[str, Any]:
    """Build a model over what was landed."""
    config = {"partition_by": ["exchange", "date"], "order_by": ["row_seq"], "keeps_order": True}
    specification = specified(
        lake.root, "same", COLUMNS, [asdict(INPUT)], config, language="python", full_refresh=True
    )
    try:
        with duckdb.connect() as connection, mock.patch.object(python_models, "loaded") as loaded:
            prepare(connection, lake.storage)
            source = lambda load: lambda *_: load('"local"."raw"."rows"')  # noqa: E731
            loaded.return_value = model, lambda load: SimpleNamespace(source=source(load))
            return run_model(connection, specification)
    finally:
        close_session()


def stored(lake: Lake, partition: str = PARTITION) -> list[int]:
    data = lake.storage.read(f"compacted/same/{partition}/data.parquet")
    return list(pq.read_table(pa.BufferReader(data))["row_seq"].to_pylist())


def copied(dbt: Any, session: Any) -> pa.RecordBatchReader:
    """A model that takes the rows of segments one after the other."""
    segments = dbt.source("raw", "rows")
    rows = pa.concat_tables(pq.read_table(file, partitioning=None) for file in segments.files())
    return segments.named(rows.to_reader())


def test_segments_come_as_local_files_in_order_of_arrival(lake: Lake) -> None:
    for name, numbers in [("b", [3, 4]), ("a", [1, 2]), ("c", [5])]:
        land(lake, name, numbers)
    land(lake, "a", [9], "exchange=y%20z/date=2024-01-02")
    assert build(lake, copied)["rows"] == 6
    assert stored(lake) == [1, 2, 3, 4, 5]
    assert stored(lake, "exchange=y%20z/date=2024-01-02") == [9]


def test_their_rows_can_be_asked_for_in_sql(lake: Lake) -> None:
    land(lake, "a", [2, 1])

    def model(dbt: Any, session: Any) -> Any:
        rows = dbt.source("raw", "rows").rows
        assert rows.columns == ["exchange", "date", "row_seq", "segment", "segment_row"]
        return rows.project("exchange, date, row_seq").order("row_seq")

    assert build(lake, model)["rows"] == 2
    assert stored(lake) == [1, 2]


@pytest.mark.parametrize("fails", [False, True])
def test_the_folder_of_a_unit_is_there_until_its_rows_are_written(
    lake: Lake, *, fails: bool
) -> None:
    land(lake, "a", [1])
    land(lake, "a", [2], "exchange=y/date=2024-01-02")
    folders: list[Path] = []

    def model(dbt: Any, session: Any) -> Any:
        segments = dbt.source("raw", "rows")
        assert not any(folder.exists() for folder in folders)
        folders.append(segments.folder)
        (segments.folder / "one").write_bytes(b"1")

        def batches() -> Any:
            assert (segments.folder / "one").read_bytes() == b"1"
            yield pq.read_table(segments.files()[0], partitioning=None).to_batches()[0]
            if fails:
                raise ZeroDivisionError("no size to divide by")

        schema = pa.schema([("row_seq", pa.int64())])
        return segments.named(pa.RecordBatchReader.from_batches(schema, batches()))

    found = build(lake, model)
    assert "no size" in found["error"] if fails else found["rows"] == 2
    assert len(set(folders)) == 2
    assert not any(folder.exists() for folder in folders)
