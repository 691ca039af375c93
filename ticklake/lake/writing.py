"""Writing rows to one Parquet file, with the same bytes every time.

Either DuckDB sorts the rows of a query (`write_sorted`), or rows come in order already and only
have to be written (`write_in_order`): a model with a row for each row of its input has nothing to
sort, and sorting a hundred columns costs several times what writing them does.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.lake.connection import quoted
from ticklake.lake.errors import LakeError
from ticklake.lake.file_format import (
    CONTINUOUS,
    DELTA,
    REPEATING,
    ROW_GROUP,
    SPLIT,
    WRITER,
)
from ticklake.lake.paths import Key
from ticklake.lake.row_order import RowOrder

NANOSECONDS: Final = {"nanoseconds": 1, "microseconds": 1_000, "milliseconds": 1_000_000}


@dataclass(frozen=True, slots=True)
class Staged:
    """A finished Parquet file of a partition that is not published yet."""

    key: Key
    file: Path
    row_count: int
    size: int
    sha256: str
    ts_first: str | None
    """Nanoseconds since 1970 of the earliest row; None without rows or without a time column."""
    ts_last: str | None


@dataclass(frozen=True, slots=True)
class _Encodings:
    """How the columns of a file are encoded; those that are not named are plain."""

    dictionaries: Sequence[str]
    columns: Mapping[str, str]
    statistics: Sequence[str]
    """Columns by which readers can skip row groups."""


def write_sorted(
    connection: duckdb.DuckDBPyConnection,
    rows: str,
    order_by: Sequence[str],
    file: Path,
    key: Key = (),
    time_column: str | None = None,
) -> Staged:
    """Write the rows of a query by `order_by`, a total order."""
    order = f"order by {', '.join(order_by)}" if order_by else ""
    (row_count,) = connection.execute(
        f"copy ({rows} {order}) to {quoted(str(file))} ({WRITER})"
    ).fetchone() or (0,)
    return _checked(file, key, int(row_count), time_column)


def write_in_order(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    order_by: Sequence[str],
    file: Path,
    key: Key = (),
    time_column: str | None = None,
) -> Staged:
    """Write rows as they come, in batches of any size, in the types of `schema`.

    Raises ValueError if a row is not behind the one before it by `order_by`: see RowOrder. The
    bytes depend on the rows alone, not on the batches.
    """
    order = RowOrder.of(order_by)
    last: pa.Table | None = None
    row_count = 0
    by_column = _encodings(schema, order.columns[0])
    with pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=by_column.dictionaries,
        column_encoding=by_column.columns,
        write_statistics=by_column.statistics,
        store_schema=False,
    ) as writer:
        for group in _row_groups(schema, batches):
            last = order.check(group, last)
            writer.write_table(group, row_group_size=ROW_GROUP)
            row_count += len(group)
    return _checked(file, key, row_count, time_column)


def _encodings(schema: pa.Schema, ordered_by: str) -> _Encodings:
    """Return how the columns of rows in order are encoded, by their types and names."""
    types = pa.types
    dictionaries, columns = [], {}
    for item in schema:
        if types.is_string(item.type) or types.is_decimal(item.type):
            dictionaries.append(item.name)
        elif types.is_integer(item.type) or types.is_timestamp(item.type):
            columns[item.name] = DELTA
        elif types.is_float64(item.type) and re.fullmatch(REPEATING, item.name):
            dictionaries.append(item.name)
        elif types.is_float64(item.type) and re.fullmatch(CONTINUOUS, item.name):
            columns[item.name] = SPLIT
    # The first and the last of many texts say little, but of those that rows are ordered by.
    statistics = [
        item.name for item in schema if item.name == ordered_by or not types.is_string(item.type)
    ]
    return _Encodings(dictionaries, columns, statistics)


def _row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut batches, which may have any size, into tables of ROW_GROUP rows and a last one.

    Each is one piece: the writer begins a page where a piece ends.
    """
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while count + len(batch) >= ROW_GROUP:
            cut = ROW_GROUP - count
            yield _in_one_piece([*waiting, batch.slice(0, cut)], schema)
            waiting, count, batch = [], 0, batch.slice(cut)
        if len(batch):
            waiting.append(batch)
            count += len(batch)
    if waiting:
        yield _in_one_piece(waiting, schema)


def _in_one_piece(pieces: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_batches([piece.select(schema.names) for piece in pieces])
    return table.cast(schema).combine_chunks()


def _checked(file: Path, key: Key, row_count: int, time_column: str | None) -> Staged:
    """Open the file as a reader would, and describe it."""
    with pq.ParquetFile(file) as parquet:
        metadata, names = parquet.metadata, parquet.schema.names
        if metadata.num_rows != row_count:
            raise LakeError(
                f"{file} has {metadata.num_rows} rows after writing, not {row_count}: "
                "nothing was published. Check the disk, then build again."
            )
        first = last = None
        if time_column in names and row_count:
            index = names.index(time_column)
            unit = json.loads(parquet.schema.column(index).logical_type.to_json())["timeUnit"]
            groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
            ranges = [group.column(index).statistics for group in groups]
            first = str(min(item.min_raw for item in ranges) * NANOSECONDS[unit])
            last = str(max(item.max_raw for item in ranges) * NANOSECONDS[unit])
    with file.open("rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    return Staged(key, file, row_count, file.stat().st_size, sha256, first, last)
