"""Writing rows to one Parquet file, with the same bytes every time.

Either DuckDB sorts the rows of a query (`write_sorted`), or rows come in order already and only
have to be written (`write_in_order`): a model with a row for each row of its input has nothing to
sort, and sorting a hundred columns costs several times what writing them does.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ticklake.lake.connection import quoted
from ticklake.lake.file_format import ROW_GROUP, SAMPLE, WRITER
from ticklake.lake.row_groups import RowGroupFile
from ticklake.lake.row_order import RowOrder

ENCODERS: Final = 2
PIECES: Final = 2
"""Runs of columns that a row group is encoded in, so that no encoder is idle at the end."""
SPLIT: Final = "BYTE_STREAM_SPLIT"
NO_LIMIT: Final = 1 << 30
"""Bytes of a dictionary. One that is given up half way is another for text than for its numbers."""

STEP: Final = 64 << 20
"""Rooms have a multiple of so many bytes, so that they fit the next table too. What is not written
to takes no memory."""

Room = npt.NDArray[np.uint8]
_SPARE: Final[list[Room]] = []
"""Rooms of a table that is written, for the next one: new memory would be cleared first."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A finished Parquet file that is not published yet."""

    file: Path
    row_count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Encodings:
    """How the columns of a file are encoded; those that are not named are plain."""

    dictionaries: Sequence[str] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    statistics: Sequence[str] = ()
    """Columns by which readers can skip row groups."""


def write_sorted(
    connection: duckdb.DuckDBPyConnection, rows: str, order_by: Sequence[str], file: Path
) -> Staged:
    """Write the rows of a query by `order_by`, a total order."""
    order = f"order by {', '.join(order_by)}" if order_by else ""
    (row_count,) = connection.execute(
        f"copy ({rows} {order}) to {quoted(str(file))} ({WRITER})"
    ).fetchone() or (0,)
    with file.open("rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    return Staged(file, int(row_count), sha256)


def write_in_order(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    order_by: Sequence[str],
    file: Path,
    encoders: int = ENCODERS,
) -> Staged:
    """Write rows as they come, in batches of any size, in the types of `schema`.

    Raises ValueError where a row is not behind the one before it by `order_by`: see RowOrder. The
    bytes depend on the rows alone: neither on the batches nor on how many threads encode. Text may
    come as dictionaries, whatever is in them. Then pages end elsewhere than those of plain text.
    """
    order = RowOrder.of(order_by)
    last: pa.Table | None = None
    row_count = 0
    encodings: Future[Encodings] | None = None
    rooms: SimpleQueue[Room] = SimpleQueue()
    for _ in range(encoders + 2 * PIECES):  # one row group waits while the next one is made
        rooms.put(_SPARE.pop() if _SPARE else np.empty(0, np.uint8))
    written: deque[Future[None]] = deque()
    with (
        RowGroupFile(file, _alone(schema.empty_table(), Encodings())) as out,
        ThreadPoolExecutor(encoders) as encoder,
        ThreadPoolExecutor(1) as writer,
    ):
        for group in _row_groups(schema, batches):
            last = order.check(group, last)
            row_count += len(group)
            encodings = encodings or encoder.submit(
                _encodings, group.cast(schema), order.columns[0]
            )
            for piece in _pieces(group):
                room = _roomy(rooms.get(), piece)
                encoded = encoder.submit(_encoded_as_found, piece, encodings, room)
                written.append(writer.submit(_add, out, encoded, room, rooms))
            del group, piece  # no longer needed here, while the next one is made
            written.append(writer.submit(out.end_group))
            while written and written[0].done():
                written.popleft().result()
        for done in written:
            done.result()
    while not rooms.empty():
        _SPARE.append(rooms.get())
    return Staged(file, row_count, out.sha256)


def _pieces(group: pa.Table) -> Iterator[pa.Table]:
    """Cut a row group into runs of columns."""
    for names in np.array_split(group.column_names, min(PIECES, group.num_columns)):
        yield group.select(names.tolist())


def _encodings(first: pa.Table, ordered_by: str) -> Encodings:
    """Return how columns are encoded, judged by the first rows.

    Text and exact numbers get a dictionary where they repeat. Of doubles some rows decide. They get
    one where they repeat and it takes a fifth more at most, as prices and sizes of levels do, which
    are then read in less time. Others are split into streams of first bytes, second bytes and so on
    where zstd then finds more in them: in digits without end, but not in values that come in runs.
    Integers are stored as differences. Text has no statistics but where rows are ordered by it: the
    first and the last of many users are much the same everywhere.
    """
    dictionaries = [
        item.name
        for item in first.schema
        if (pa.types.is_string(item.type) or pa.types.is_decimal(item.type))
        and pc.count_distinct(first[item.name]).as_py() <= len(first) // 4
    ]
    integers = [item.name for item in first.schema if pa.types.is_integer(item.type)]
    doubles = [item.name for item in first.schema if pa.types.is_float64(item.type)]
    sample = first.select(doubles).slice(max(0, len(first) - SAMPLE) // 2, SAMPLE)
    repeated = [
        name
        for name in doubles
        if pc.count_distinct(sample[name]).as_py() <= pc.count(sample[name]).as_py() // 4
    ]
    plain_sizes = _column_sizes(sample, Encodings())
    split_sizes = _column_sizes(sample, Encodings(columns=dict.fromkeys(doubles, SPLIT)))
    listed_sizes = _column_sizes(sample.select(repeated), Encodings(repeated))
    listed = [
        name
        for name, size in listed_sizes.items()
        if 5 * size <= 6 * min(plain_sizes[name], split_sizes[name])
    ]
    split = [
        name for name in doubles if name not in listed and split_sizes[name] < plain_sizes[name]
    ]
    return Encodings(
        [*dictionaries, *listed],
        dict.fromkeys(integers, "DELTA_BINARY_PACKED") | dict.fromkeys(split, SPLIT),
        [
            item.name
            for item in first.schema
            if item.name == ordered_by or not pa.types.is_string(item.type)
        ],
    )


def _column_sizes(table: pa.Table, encodings: Encodings) -> dict[str, int]:
    """Return how many bytes each column takes."""
    metadata = pq.read_metadata(pa.BufferReader(_alone(table, encodings)))
    chunks = map(metadata.row_group(0).column, range(metadata.num_columns))
    return {chunk.path_in_schema: chunk.total_compressed_size for chunk in chunks}


def _roomy(room: Room, group: pa.Table) -> Room:
    """Return a room in which the file of a row group fits: this one if it can be."""
    size = 2 * sum(map(_plain_size, group.columns)) + (1 << 20)
    return room if len(room) >= size else np.empty(-(-size // STEP) * STEP, np.uint8)


def _plain_size(column: pa.ChunkedArray) -> int:
    """Return how many bytes a column has without a dictionary, or a few more."""
    sizes = [
        pc.sum(pc.binary_length(piece.dictionary).take(piece.indices)).as_py() or 0
        for piece in column.chunks
        if pa.types.is_dictionary(column.type)
    ]
    return int(column.nbytes + sum(sizes))


def _alone(table: pa.Table, encodings: Encodings) -> pa.Buffer:
    """Return a Parquet file in a room of its own."""
    return _encoded(table, encodings, _roomy(np.empty(0, np.uint8), table))


def _encoded_as_found(group: pa.Table, encodings: Future[Encodings], room: Room) -> pa.Buffer:
    return _encoded(group, encodings.result(), room)


def _encoded(group: pa.Table, encodings: Encodings, room: Room) -> pa.Buffer:
    """Return a Parquet file of one row group, or of none where there is no row, in a room."""
    buffer = pa.py_buffer(room)
    sink = pa.FixedSizeBufferWriter(buffer)
    with pq.ParquetWriter(
        sink,
        group.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=encodings.dictionaries,
        dictionary_pagesize_limit=NO_LIMIT,
        write_statistics=list(encodings.statistics),
        column_encoding=encodings.columns,
        store_schema=False,
    ) as writer:
        if len(group):
            writer.write_table(group, row_group_size=ROW_GROUP)
    return buffer.slice(0, sink.tell())


def _add(
    out: RowGroupFile, encoded: Future[pa.Buffer], room: Room, rooms: SimpleQueue[Room]
) -> None:
    try:
        out.add(encoded.result())
    finally:
        rooms.put(room)


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
    names = schema.names
    columns = [
        _as_written([piece.column(name) for piece in pieces], schema.field(name).type)
        for name in names
    ]
    return pa.table(columns, names=names)


def _as_written(pieces: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    """Return a column of a type, or as the dictionary that a file has of these rows.

    That is one with texts in the order in which rows come to them.
    """
    is_repeated = pa.types.is_dictionary(pieces[0].type) and pieces[0].type.value_type == kind
    if is_repeated and len(pieces) == 1 and _is_by_row(pieces[0]):
        return pieces[0]
    plain = [piece.cast(kind) for piece in pieces]
    whole = pa.concat_arrays(plain) if len(plain) > 1 else plain[0]
    return whole.dictionary_encode() if is_repeated else whole


def _is_by_row(column: pa.DictionaryArray) -> bool:
    """Say whether rows come to the texts of a dictionary in its order, and to all of them."""
    seen = np.maximum.accumulate(np.asarray(column.indices.fill_null(-1)))
    is_next = seen[0] <= 0 and (np.diff(seen) <= 1).all()
    return bool(is_next and seen[-1] + 1 == len(column.dictionary))
