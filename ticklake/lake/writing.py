"""Writing rows to one Parquet file, with the same bytes every time.

Either DuckDB sorts the rows of a query (`write_sorted`), or rows come in order already and only
have to be written (`write_in_order`): a model with a row for each row of its input has nothing to
sort, and sorting a hundred columns costs several times what writing them does.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ticklake.lake.connection import quoted
from ticklake.lake.errors import LakeError
from ticklake.lake.file_format import ROW_GROUP, WRITER
from ticklake.lake.row_groups import RowGroupFile

ENCODERS: Final = 2
"""Row groups that are encoded at a time; each is in memory while it is."""


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
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    order_by: Sequence[str],
    file: Path,
    encoders: int = ENCODERS,
) -> int:
    """Write rows as they come, in batches of any size; return their number.

    `order_by` is one column of integers. Raises LakeError where they do not rise from row to row.
    The bytes depend on the rows alone: neither on the batches nor on how many threads encode.
    """
    (column,) = order_by
    last: int | None = None
    row_count = 0
    repeating: list[str] | None = None
    waiting: deque[Future[pa.Buffer]] = deque()
    with RowGroupFile(file) as out, ThreadPoolExecutor(encoders) as pool:
        for group in _row_groups(schema, batches):
            last = _last_in_order(column, group, last)
            row_count += len(group)
            if repeating is None:
                repeating = _repeating(group)
            if len(waiting) == encoders:
                out.add(waiting.popleft().result())
            waiting.append(pool.submit(_encoded, group, repeating))
        if not row_count:
            waiting.append(pool.submit(_encoded, schema.empty_table(), []))
        for encoded in waiting:
            out.add(encoded.result())
    return row_count


def _last_in_order(column: str, group: pa.Table, last: int | None) -> int:
    numbers = group[column].to_numpy()
    before = numbers if last is None else np.concatenate([[last], numbers])
    if (falls := np.flatnonzero(before[1:] <= before[:-1])).size:
        raise LakeError(
            f"rows do not come by {column}: after {before[falls[0]]} comes "
            f"{before[falls[0] + 1]}. Return them in that order, or leave keeps_order out "
            "of the model's config."
        )
    return int(numbers[-1])


def _repeating(first: pa.Table) -> list[str]:
    """Return the columns to make dictionaries for, judged by the first rows.

    Text gets one where it repeats. Numbers, which are features or ids, hardly do: a dictionary
    would be built, found too large, and thrown away.
    """
    return [
        item.name
        for item in first.schema
        if pa.types.is_string(item.type)
        and pc.count_distinct(first[item.name]).as_py() <= len(first) // 4
    ]


def _encoded(group: pa.Table, repeating: Sequence[str]) -> pa.Buffer:
    """Return a Parquet file of one row group, or of none where there is no row."""
    # More than enough; a buffer that grows would be copied, and its pages cleared, again and again.
    room = pa.allocate_buffer(2 * group.nbytes + (1 << 20))
    sink = pa.FixedSizeBufferWriter(room)
    with pq.ParquetWriter(
        sink,
        group.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeating,
        store_schema=False,
    ) as writer:
        if len(group):
            writer.write_table(group, row_group_size=ROW_GROUP)
    return room.slice(0, sink.tell())


def _row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut batches, which may have any size, into tables of ROW_GROUP rows and a last one.

    Each is one piece: the writer begins a page where a piece ends.
    """
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while count + len(batch) >= ROW_GROUP:
            cut = ROW_GROUP - count
            pieces = [*waiting, batch.slice(0, cut)]
            yield pa.Table.from_batches(pieces, schema).combine_chunks()
            waiting, count, batch = [], 0, batch.slice(cut)
        if len(batch):
            waiting.append(batch)
            count += len(batch)
    if waiting:
        yield pa.Table.from_batches(waiting, schema).combine_chunks()
