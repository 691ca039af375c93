"""Running a Python model: `model(dbt, session)` on the files of one unit at a time."""

from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from ticklake.lake.connection import prepare_cursor
from ticklake.lake.file_format import ROW_GROUP
from ticklake.lake.inputs import read_own_rows, set_files, set_units
from ticklake.lake.planning import Unit
from ticklake.lake.specs import ModelSpec, ViewSpec

PythonModel = Callable[[Any, Any], Any]
DbtObject = Callable[[Callable[[str], Any]], Any]
"""What dbt appends to a Python model: given a function that loads a relation, it makes `dbt`."""


def loaded(source: str, path: str) -> tuple[PythonModel, DbtObject]:
    """Run the text of a model as dbt compiled it; `path` is the file that tracebacks name."""
    names: dict[str, Any] = {"__name__": "python_model"}
    exec(compile(source, path, "exec"), names)
    return names["model"], names["dbtObj"]


def python_result(
    connection: duckdb.DuckDBPyConnection,
    model: ModelSpec,
    source: str,
    path: str,
    unit: Unit,
    files: Mapping[str, list[str]],
) -> pa.RecordBatchReader:
    """Return what `model(dbt, session)` makes of a unit; its refs are the files of that unit."""
    python_model, dbt_object = loaded(source, path)
    inputs = {item.location: item for item in model.inputs}
    views = {item.location: item for item in model.views}
    # A connection of its own: a result that streams from a ref would wait for itself.
    reader = connection.cursor()
    prepare_cursor(reader)
    set_files(reader, files)
    set_units(reader, model.unit_by, [unit])
    day = dict(zip(model.unit_by, unit.key, strict=True)).get("date")
    reader.execute("set variable unit_date = cast(? as date)", [day])

    def load(relation: str) -> Any:
        schema, name = relation.replace('"', "").split(".")[-2:]
        if view := views.get(f"{schema}/{name}"):
            return reader.sql(_rows_of_view(view, unit))
        item = inputs.get(f"{schema}/{name}")
        if item is None:  # a seed
            return reader.table(f"{schema}.{name}")
        return reader.sql(read_own_rows(item, model.unit_by))

    result = python_model(dbt_object(load), reader)
    if isinstance(result, pa.RecordBatchReader):
        return result
    if isinstance(result, pa.Table):
        return result.to_reader(ROW_GROUP)
    if not isinstance(result, duckdb.DuckDBPyRelation):
        result = reader.register("returned", result).table("returned")  # a DataFrame
    return result.to_arrow_reader(ROW_GROUP)


def _rows_of_view(view: ViewSpec, unit: Unit) -> str:
    """Return SQL for the rows of a view in its order, day by day.

    The files of one table are in order as they are, and so is each day of a view with one table.
    """
    with_files = [name for name in view.tables if any(part.paths for part in unit.inputs[name])]
    order = f" order by {', '.join(view.order_by)}" if len(with_files) > 1 else ""
    return f"select * from {view.query}{order}"
