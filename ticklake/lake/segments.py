"""Writing raw segments: one local Parquet file for each raw partition, ready to be published."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ticklake.lake.paths import Key, partition_path
from ticklake.lake.raw import StagedSegment

ROW_GROUP: Final = 122_880
WAITING_BYTES: Final = 64 << 20
"""Rows that wait for a row group of their own, over all partitions together."""

_CALENDAR: Final = {"date": "D", "month": "M"}


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of raw data: the columns of its segments and how they are partitioned."""

    name: str
    partition_by: tuple[str, ...]
    """The last one is `date` or `month`, which the time column decides."""
    schema: pa.Schema
    time_column: str = "ts_event"
    dictionary: Sequence[str] = ()
    """Columns worth a dictionary; for the others it costs time and makes the file larger."""

    @property
    def has_symbols(self) -> bool:
        """Whether a segment holds all symbols: it has a column of them and is sorted by it."""
        return "symbol" in self.schema.names

    @property
    def names(self) -> tuple[str, ...]:
        """What has to be known of rows besides their columns: exchange, symbol, interval."""
        symbol = ("symbol",) if self.has_symbols else ()
        return (*self.partition_by[:-1], *symbol)

    def folder(self, key: Key) -> str:
        """Return where the segments of a partition lie."""
        return f"raw/{self.name}/{partition_path(self.partition_by, key)}"


class SegmentWriter:
    """Writes rows to one local Parquet file for each partition, in arrival order.

    If a file holds all symbols, the rows in memory are sorted by symbol before they are written.
    The rows of one symbol stay in arrival order.

    The bytes depend on the rows and on how they were cut into batches, and on nothing else: a
    loader that cuts its source in the same places every time writes the same file every time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._waiting = 0

    def append(self, channel: Channel, key: Key, table: pa.Table) -> None:
        """Add rows, whatever their dates, to the partitions whose other values are `key`."""
        if not table.num_rows:
            return
        table = _complete(table, channel.schema)
        micros = table[channel.time_column].cast(pa.int64()).to_numpy().view("datetime64[us]")
        days = micros.astype(f"datetime64[{_CALENDAR[channel.partition_by[-1]]}]")
        for day in np.unique(days):
            same_day = days == day
            part = table if same_day.all() else table.filter(pa.array(same_day))
            folder = channel.folder((*key, str(day)))
            if folder not in self._files:
                path = self._folder / f"{len(self._files)}.parquet"
                self._files[folder] = _File(path, folder, channel)
            self._waiting += self._files[folder].append(part)
        while self._waiting > WAITING_BYTES:
            largest = max(self._files.values(), key=lambda file: file.waiting_bytes)
            self._waiting -= largest.write()

    def finish(self) -> list[StagedSegment]:
        """Close the files and return them, by partition."""
        return [self._files[folder].finish() for folder in sorted(self._files)]


class _File:
    """The Parquet file of one partition, in row groups of ROW_GROUP rows or a few more.

    They are smaller if so many partitions are open that their rows cannot all wait. Rows that are
    to be sorted wait for as long as they can.
    """

    def __init__(self, path: Path, folder: str, channel: Channel) -> None:
        self._path, self._folder, self._channel = path, folder, channel
        self._rows = 0
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self.waiting_bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def append(self, table: pa.Table) -> int:
        """Add rows and return by how much the bytes that wait have grown."""
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        size: int = table.nbytes
        self.waiting_bytes += size
        is_full = self._waiting_rows >= ROW_GROUP and not self._channel.has_symbols
        return size - (self.write() if is_full else 0)

    def write(self) -> int:
        """Write what waits, and return how many bytes were in memory."""
        if self._writer is None:
            self._writer = _writer(self._path, self._channel)
        count, written = self._waiting_rows, self.waiting_bytes
        rows = pa.concat_tables(self._waiting)
        if self._channel.has_symbols:
            rows = rows.take(pc.sort_indices(rows["symbol"]))  # a stable sort
        size = ROW_GROUP if self._channel.has_symbols else count
        self._writer.write_table(rows, row_group_size=size)
        self._rows += count
        self._waiting.clear()
        self._waiting_rows = self.waiting_bytes = 0
        return written

    def finish(self) -> StagedSegment:
        if self._waiting_rows:
            self.write()
        assert self._writer is not None, "a file is made for its first rows"
        self._writer.close()
        with self._path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return StagedSegment(
            self._folder, self._path, self._rows, self._path.stat().st_size, sha256
        )


def _writer(file: Path, channel: Channel) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        channel.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=list(channel.dictionary),
        store_schema=False,
    )


def _complete(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table the columns of its channel. Raises ArrowInvalid where a value does not fit."""
    if table.schema.equals(schema):
        return table
    unknown = set(table.column_names) - set(schema.names)
    if unknown:
        raise ValueError(f"columns that the channel does not have: {', '.join(sorted(unknown))}")
    return pa.table(
        [
            table[item.name].cast(item.type)
            if item.name in table.column_names
            else pa.nulls(table.num_rows, item.type)
            for item in schema
        ],
        schema=schema,
    )
