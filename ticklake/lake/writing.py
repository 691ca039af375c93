"""Writing the rows of a query to one Parquet file, with the same bytes every time.

Either DuckDB sorts them (`write_sorted`), or they come in order already and only have to be written
(`write_in_order`): a model with a row for each row of its input has nothing to sort, and sorting a
hundred columns costs several times what writing them does.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ticklake.lake.connection import quoted
from ticklake.lake.errors import LakeError

ROW_GROUP: Final = 122_880
WRITER: Final = (
    f"format parquet, compression zstd, compression_level 1, row_group_size {ROW_GROUP}, "
    "write_bloom_filter false"
)


def write_sorted(
    connection: duckdb.DuckDBPyConnection, rows: str, order_by: Sequence[str], file: Path
) -> int:
    """Write the rows of a query by `order_by`, a total order; return their number."""
    order = f"order by {', '.join(order_by)}" if order_by else ""
    (row_count,) = connection.execute(
        f"copy ({rows} {order}) to {quoted(str(file))} ({WRITER})"
    ).fetchone() or (0,)
    return int(row_count)


def write_in_order(
    connection: duckdb.DuckDBPyConnection, rows: str, order_by: Sequence[str], file: Path
) -> int:
    """Write the rows of a query as they come; return their number.

    `order_by` is one column of integers. Raises LakeError where they do not rise from row to row.
    """
    (column,) = order_by
    reader = connection.sql(rows).to_arrow_reader(ROW_GROUP)
    last = None
    row_count = 0
    writer: pq.ParquetWriter | None = None
    try:
        for table in _row_groups(reader):
            numbers = table[column].to_numpy()
            before = numbers if last is None else np.concatenate([[last], numbers])
            if (falls := np.flatnonzero(np.diff(before) <= 0)).size:
                raise LakeError(
                    f"rows do not come by {column}: after {before[falls[0]]} comes "
                    f"{before[falls[0] + 1]}. Return them in that order, or leave keeps_order out "
                    "of the model's config."
                )
            last = int(numbers[-1])
            row_count += len(numbers)
            writer = writer or _open(file, reader.schema, table)
            writer.write_table(table, row_group_size=ROW_GROUP)
        writer = writer or _open(file, reader.schema, reader.schema.empty_table())
    finally:
        if writer is not None:
            writer.close()
    return row_count


def _open(file: Path, schema: pa.Schema, first: pa.Table) -> pq.ParquetWriter:
    """Open a file for rows that begin with those of `first`.

    Text gets a dictionary where it repeats. Numbers, which are features or ids, hardly do: a
    dictionary would be built, found too large, and thrown away.
    """
    repeating = [
        item.name
        for item in schema
        if pa.types.is_string(item.type)
        and pc.count_distinct(first[item.name]).as_py() <= len(first) // 4
    ]
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeating,
        store_schema=False,
    )


def _row_groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Cut batches, which may have any size, into tables of ROW_GROUP rows and a last one.

    Each is one piece: the writer begins a page where a piece ends.
    """
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        while count + len(batch) >= ROW_GROUP:
            cut = ROW_GROUP - count
            pieces = [*waiting, batch.slice(0, cut)]
            yield pa.Table.from_batches(pieces, reader.schema).combine_chunks()
            waiting, count, batch = [], 0, batch.slice(cut)
        if len(batch):
            waiting.append(batch)
            count += len(batch)
    if waiting:
        yield pa.Table.from_batches(waiting, reader.schema).combine_chunks()
