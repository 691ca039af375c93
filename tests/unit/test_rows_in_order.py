"""Rows that come in order, of Python models above all: written as they come, and only then."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.pipeline import run_model, specified
from ticklake.lake import building, python_models, tasks
from ticklake.lake.inputs import read_files
from ticklake.lake.session import close_session
from ticklake.lake.specs import InputSpec

DAY = date(2024, 1, 2)
COLUMNS = {"exchange": "varchar", "date": "date", "row_seq": "bigint", "value": "double"}
INPUT = InputSpec("raw_rows", "raw/rows", ("exchange", "date"), COLUMNS, is_raw=True, lookback=1)
FILE = "featured/twice/exchange=x/date=2024-01-02/data.parquet"


def rows(numbers: list[int], exchange: str = "x", day: date = DAY) -> pa.Table:
    return pa.table(
        {
            "exchange": pa.array([exchange] * len(numbers), pa.string()),
            "date": pa.array([day] * len(numbers), pa.date32()),
            "row_seq": pa.array(numbers, pa.int64()),
            "value": pa.array([number / 3 for number in numbers], pa.float64()),
        }
    )


def land(root: Path, exchange: str, table: pa.Table) -> None:
    raw = root / f"raw/rows/exchange={exchange}/date=2024-01-02"
    raw.mkdir(parents=True)
    pq.write_table(table.drop_columns(["exchange", "date"]), raw / "a.parquet")


def build(root: Path, returned: Any, *, keeps_order: bool = True) -> dict[str, Any]:
    """Build a model that returns something for the one day there is; return what is reported."""
    land(root, "x", rows([1]))
    return run(root, keeps_order, "python", returned)


def run(
    root: Path,
    keeps_order: bool,
    language: str,
    returned: Any,
) -> dict[str, Any]:
    """Run a model in Python, which returns something, or in SQL, which is that."""
    config = {
        "partition_by": ["exchange", "date"], "order_by": ["row_seq"], "keeps_order": keeps_order,
    }  # fmt: skip
    specification = specified(
        str(root), "twice", COLUMNS, [asdict(INPUT)], config,
        language=language, location="featured/twice", full_refresh=True,
        compiled_code=returned if language == "sql" else "",
    )  # fmt: skip

    def model(dbt: Any, session: Any) -> Any:
        return returned() if callable(returned) else returned

    try:
        with duckdb.connect() as connection, mock.patch.object(python_models, "loaded") as loaded:
            loaded.return_value = model, lambda load: None
            return run_model(connection, specification)
    finally:
        close_session()


def stored(root: Path) -> pa.Table:
    return pq.read_table(root / FILE, partitioning=None)


@pytest.mark.parametrize(
    "of",
    [
        lambda table: table,
        lambda table: table.to_reader(2),
        lambda table: pl.DataFrame(table),
        lambda table: pl.LazyFrame(pl.DataFrame(table)),
        lambda table: table.cast(table.schema.set(0, pa.field("exchange", pa.large_string()))),
        lambda table: table.set_column(0, "exchange", table["exchange"].dictionary_encode()),
        lambda table: table.select(["value", "row_seq", "date", "exchange"]),
        lambda table: pa.concat_tables([table.slice(0, 3), table.slice(3)]),
    ],
)
def test_all_that_holds_rows_makes_the_same_bytes(
    of: Callable[[pa.Table], Any], tmp_path: Path
) -> None:
    table = rows([1, 2, 3, 5, 8])
    build(tmp_path / "usual", lambda: duckdb.connect().from_arrow(table))
    found = build(tmp_path / "other", of(table))
    assert found["rows"] == 5
    assert stored(tmp_path / "other").equals(table.drop_columns(["exchange", "date"]))
    assert (tmp_path / "other" / FILE).read_bytes() == (tmp_path / "usual" / FILE).read_bytes()


def test_no_rows_make_an_empty_partition(tmp_path: Path) -> None:
    assert build(tmp_path, rows([]))["rows"] == 0
    assert stored(tmp_path).column_names == ["row_seq", "value"]


def test_rows_of_the_day_before_are_context(tmp_path: Path) -> None:
    early = rows([1, 2], day=date(2024, 1, 1))
    build(tmp_path, pa.concat_tables([early, rows([3, 4])]))
    assert stored(tmp_path)["row_seq"].to_pylist() == [3, 4]


@pytest.mark.parametrize(
    "returned",
    [
        rows([1, 2], exchange="y"),
        rows([1, 2], day=date(2024, 1, 3)),
        pa.concat_tables([rows([1, 2]), rows([3], exchange="y")]),
        rows([1]).set_column(0, "exchange", pa.array([None], pa.string())),
    ],
)
@pytest.mark.parametrize("keeps_order", [True, False])
def test_rows_of_another_partition_are_refused(
    returned: pa.Table, keeps_order: bool, tmp_path: Path
) -> None:
    found = build(tmp_path, returned, keeps_order=keeps_order)
    assert "the model returned a row for another partition" in found["error"]
    assert "exchange=x/date=2024-01-02" in found["error"]
    assert not (tmp_path / FILE).exists()


def test_rows_out_of_order_are_refused(tmp_path: Path) -> None:
    found = build(tmp_path, rows([1, 3, 2]))
    assert "rows do not come by row_seq: after 3 comes 2." in found["error"]
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (rows([1]).drop_columns(["value"]), "value: DOUBLE declared, missing in the result"),
        (rows([1]).append_column("more", pa.array([1])), "more: not in the YAML declared"),
        (rows([1]).drop_columns(["date"]), "date: DATE declared, missing in the result"),
        (rows([1]).set_column(3, "value", pa.array([1], pa.int32())), "DOUBLE declared, INTEGER"),
    ],
)
def test_other_columns_than_the_declared_ones_are_refused(
    returned: pa.Table, said: str, tmp_path: Path
) -> None:
    found = build(tmp_path, returned)
    assert said in found["error"]
    assert not (tmp_path / FILE).exists()


def test_an_error_while_rows_come_fails_the_unit_and_publishes_nothing(tmp_path: Path) -> None:
    def batches() -> Any:
        yield rows([1]).to_batches()[0]
        raise ZeroDivisionError("no size to divide by")

    schema = rows([1]).schema
    found = build(tmp_path, lambda: pa.RecordBatchReader.from_batches(schema, batches()))
    assert "no size to divide by" in found["error"]
    assert not (tmp_path / FILE).exists()


def test_rows_in_order_make_the_same_bytes_alone_and_in_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, batches = [], []
    run_batch = tasks._Worker._run

    def seen(worker: Any, units: Any) -> None:
        batches.append(len(units))
        run_batch(worker, units)

    monkeypatch.setattr(tasks._Worker, "_run", seen)
    for most in (0, 1 << 20):
        monkeypatch.setattr(building, "BATCH_IN_ORDER", most)
        root = tmp_path / str(most)
        for exchange in ("x", "y", "z"):
            land(root, exchange, rows([3, 5, 8, 13], exchange))
        sql = f"select exchange, date, row_seq, value from ({read_files(INPUT)})"
        assert run(root, True, "sql", sql)["rows"] == 12
        files = sorted((root / "featured").glob("**/data.parquet"))
        found.append([file.read_bytes() for file in files])
    assert batches == [1, 1, 1, 3]
    assert len(found[0]) == 3
    assert found[0] == found[1]
