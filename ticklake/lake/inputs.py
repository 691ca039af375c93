"""The files that a model or a test reads of its inputs, and the SQL that reads them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb

from ticklake.lake.connection import quoted
from ticklake.lake.errors import LakeError
from ticklake.lake.paths import CALENDAR
from ticklake.lake.planning import Unit
from ticklake.lake.specs import InputSpec
from ticklake.lake.tables import partition_paths

NUMBER: Final = "union(number decimal(38, 12), text varchar)"
"""How a decimal(38, 12) of raw data is read: a segment may have text in its place."""


def write_template(connection: duckdb.DuckDBPyConnection, item: InputSpec, folder: Path) -> str:
    """Write a file with the columns of an input and no row; return its path.

    It stands for an input that has no file.
    """
    path = folder / "no_rows" / item.name
    path /= "/".join(
        f"{column}={'1970-01-01' if column == 'date' else 'none'}" for column in item.partition_by
    )
    path.mkdir(parents=True, exist_ok=True)
    file = path / "no_rows.parquet"
    if not file.exists():
        columns = {
            name: kind for name, kind in item.columns.items() if name not in item.partition_by
        }
        connection.execute(f"copy ({no_rows(columns)}) to {quoted(str(file))} (format parquet)")
    return str(file)


def no_rows(columns: Mapping[str, str]) -> str:
    """Return SQL for an empty relation with these columns."""
    if not columns:
        raise LakeError("A model or source without columns in its YAML. Give each a data_type.")
    listed = ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in columns.items())
    return f"select {listed} where false"


def input_files(
    connection: duckdb.DuckDBPyConnection,
    inputs: Sequence[InputSpec],
    units: Sequence[Unit],
    url: Callable[[str], str],
    folder: Path,
    left_out: Collection[str] = (),
) -> dict[str, list[str]]:
    """Return the files that a batch of units reads of each input, in the order of their keys."""
    files = {}
    for item in inputs:
        parts = {part.key: part for unit in units for part in unit.inputs[item.name]}
        paths = partition_paths(parts[key] for key in sorted(parts))
        found = [url(path) for path in paths if path not in left_out]
        files[item.name] = found or [write_template(connection, item, folder)]
    return files


def read_files(item: InputSpec) -> str:
    """Return SQL that reads the files of a batch, as `lake_ref` and `lake_source` render it."""
    files = f"getvariable('in_{item.name}')"
    if item.is_raw:
        return read_segments(item, files)
    kinds = ", ".join(f"'{column}': {quoted(item.columns[column])}" for column in item.partition_by)
    return (
        f"select * from read_parquet({files}, hive_partitioning = true, hive_types = {{{kinds}}})"
    )


def read_segments(item: InputSpec, files: str) -> str:
    """Return SQL for the rows of raw segments, as `macros/lake_segments.sql` renders it."""
    values = {name: _number(name) for name in number_columns(item)}
    if "symbol" in item.columns and "symbol" not in item.partition_by:
        in_path = "url_decode(nullif(regexp_extract(filename, '.*/symbol=([^/]*)/', 1), ''))"
        values["symbol"] = f"coalesce(symbol, {in_path})"
    replaced = ", ".join(f'{value} as "{name}"' for name, value in values.items())
    partition = "".join(
        f"try_cast(url_decode(regexp_extract(filename, '.*/{name}=([^/]*)/', 1)) as {kind}) "
        f'as "{name}", '
        for name, kind in item.columns.items()
        if name in item.partition_by
    )
    return (
        f"select {partition}* exclude (filename){f' replace ({replaced})' if replaced else ''}, "
        f"parse_filename(filename) as segment, "
        f"file_row_number as segment_row from {read_columns(item, files)}"
    )


def read_columns(item: InputSpec, files: str) -> str:
    """Return SQL for the declared columns of raw segments, and `filename`.

    A decimal(38, 12) comes as a union of `number` and `text`.
    """
    schema = ", ".join(
        f"{quoted(name)}: {{'name': {quoted(name)}, 'type': {quoted(kind)}, 'default_value': null}}"
        for name, kind in {**item.columns, **dict.fromkeys(number_columns(item), NUMBER)}.items()
        if name not in item.partition_by
    )
    return f"read_parquet({files}, filename = true, schema = map {{{schema}}})"


def number_columns(item: InputSpec) -> list[str]:
    """Return the columns of raw data that are numbers, or plain decimals in text."""
    return [
        name
        for name, kind in item.columns.items()
        if kind.lower().replace(" ", "") == "decimal(38,12)" and name not in item.partition_by
    ]


def _number(column: str) -> str:
    """Return SQL for the number in a union. Text has been checked to fit: nothing is rounded."""
    number, text = (f"""union_extract("{column}", '{member}')""" for member in ("number", "text"))
    return f"coalesce({number}, cast({text} as decimal(38, 12)))"


def read_own_rows(item: InputSpec, unit_by: Sequence[str]) -> str:
    """Return SQL that reads the rows of one unit in its files, in their order.

    See `lake_narrowed_by`. Filters keep the order of rows; a join would not.
    """
    told = [name for name in unit_by if name not in CALENDAR and name in item.columns]
    if set(told) <= set(item.partition_by):
        return read_files(item)
    own = " and ".join(f"\"{name}\" = getvariable('unit_keys')[1]['{name}']" for name in told)
    return f"select * from ({read_files(item)}) where {own}"


def set_units(
    connection: duckdb.DuckDBPyConnection, unit_by: Sequence[str], units: Sequence[Unit]
) -> None:
    """Make `getvariable('unit_keys')` the keys of a batch, without date and month."""
    keys = {
        ", ".join(
            f"{quoted(name)}: {quoted(value)}"
            for name, value in zip(unit_by, unit.key, strict=True)
            if name not in CALENDAR
        )
        for unit in units
    }
    if "" not in keys:
        listed = ", ".join(f"{{{key}}}" for key in sorted(keys))
        connection.execute(f"set variable unit_keys = [{listed}]")


def set_files(connection: duckdb.DuckDBPyConnection, files: Mapping[str, list[str]]) -> None:
    """Make `getvariable('in_<input>')` the files of each input."""
    for name, urls in files.items():
        connection.execute(f"set variable in_{name} = [{', '.join(map(quoted, urls))}]")
