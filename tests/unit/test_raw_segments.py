"""What a Python model sees of raw segments."""

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any
from unittest import mock

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

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


def copied(dbt: Any, session: Any) -> Any:
    """A model that returns the rows of segments in order of arrival."""
    rows = dbt.source("raw", "rows")
    assert rows.columns == ["exchange", "date", "row_seq", "segment", "segment_row"]
    return rows.order("segment, segment_row").project("exchange, date, row_seq")


def test_a_python_model_reads_the_segments_of_its_unit(lake: Lake) -> None:
    for name, numbers in [("b", [3, 4]), ("a", [1, 2]), ("c", [5])]:
        land(lake, name, numbers)
    land(lake, "a", [9], "exchange=y%20z/date=2024-01-02")
    assert build(lake, copied)["rows"] == 6
    assert stored(lake) == [1, 2, 3, 4, 5]
    assert stored(lake, "exchange=y%20z/date=2024-01-02") == [9]
