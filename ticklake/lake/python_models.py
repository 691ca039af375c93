"""Running a Python model: `model(dbt, session)` on the files of one unit at a time."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from ticklake.lake.building import Compute
from ticklake.lake.connection import prepare_cursor
from ticklake.lake.file_format import ROW_GROUP
from ticklake.lake.inputs import read_files, set_files
from ticklake.lake.planning import Unit
from ticklake.lake.specs import ModelSpec
from ticklake.lake.storage import Storage
from ticklake.lake.tables import partition_paths

PythonModel = Callable[[Any, Any], Any]
DbtObject = Callable[[Callable[[str], Any]], Any]
"""What dbt appends to a Python model: given a function that loads a relation, it makes `dbt`."""

COPIES: Final = 8
"""Segments that are copied from S3 at once."""


def prepare() -> None:
    """Load the compiler of the kernels, and what it looks up before their first call."""
    from ticklake.microstructure.compiled import first_call

    first_call()


def loaded(source: str, path: str) -> tuple[PythonModel, DbtObject]:
    """Run the text of a model as dbt compiled it; `path` is the file that tracebacks name."""
    names: dict[str, Any] = {"__name__": "python_model"}
    exec(compile(source, path, "exec"), names)
    return names["model"], names["dbtObj"]


@dataclass(frozen=True, slots=True, eq=False)
class RawSegments:
    """What `dbt.source` gives a Python model of raw data: the segments of its unit."""

    rows: duckdb.DuckDBPyRelation
    """Their rows, as `lake_source` gives them to SQL."""
    folder: Path
    """For files of the model's own; it is there until its rows are written."""
    _storage: Storage
    _paths: Sequence[str]
    _key: Mapping[str, pa.Scalar]

    def files(self) -> list[Path]:
        """Return them as local files, in order of arrival: on S3 they are copied first."""
        with ThreadPoolExecutor(COPIES) as pool:
            return list(
                pool.map(lambda path: self._storage.local_file(path, self.folder), self._paths)
            )

    def named(self, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Return rows of the unit with the columns in front that name its partition."""
        names = [*self._key, *rows.schema.names]
        fields = [pa.field(name, value.type) for name, value in self._key.items()]
        batches = (
            pa.record_batch(
                [*(pa.repeat(value, len(batch)) for value in self._key.values()), *batch.columns],
                names=names,
            )
            for batch in rows
        )
        return pa.RecordBatchReader.from_batches(pa.schema([*fields, *rows.schema]), batches)


def python_compute(model: ModelSpec, source: str, path: str, storage: Storage) -> Compute:
    """Return a compute that calls `model(dbt, session)` with refs to the files of one unit."""
    python_model, dbt_object = loaded(source, path)
    inputs = {item.location: item for item in model.inputs}

    def compute(
        connection: duckdb.DuckDBPyConnection,
        units: Sequence[Unit],
        files: Mapping[str, list[str]],
        folder: Path,
    ) -> pa.RecordBatchReader:
        # A connection of its own: a result that streams from a ref would wait for itself.
        reader = connection.cursor()
        prepare_cursor(reader)
        set_files(reader, files)
        (unit,) = units
        day = dict(zip(model.unit_by, unit.key, strict=True)).get("date")
        reader.execute("set variable unit_date = cast(? as date)", [day])

        def load(relation: str) -> Any:
            item = inputs.get("/".join(relation.replace('"', "").split(".")[-2:]))
            if item is None:
                return reader.sql(f"select * from {relation}")
            rows = reader.sql(read_files(item))
            if not item.is_raw:
                return rows
            paths = list(partition_paths(unit.inputs[item.name]))
            return RawSegments(rows, folder, storage, paths, _key_of(model, unit))

        result = python_model(dbt_object(load), reader)
        if isinstance(result, pa.RecordBatchReader):
            return result
        if isinstance(result, pa.Table):
            return result.to_reader(ROW_GROUP)
        if not isinstance(result, duckdb.DuckDBPyRelation):
            result = reader.register("returned", result).table("returned")  # a DataFrame
        return result.to_arrow_reader(ROW_GROUP)

    return compute


def _key_of(model: ModelSpec, unit: Unit) -> dict[str, pa.Scalar]:
    """Return what names the unit, as its columns have it."""
    kinds = {"date": pa.date32()}
    return {
        name: pa.scalar(value).cast(kinds.get(name, pa.string()))
        for name, value in zip(model.unit_by, unit.key, strict=True)
    }
