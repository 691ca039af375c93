"""Writing raw segments: one local Parquet file for each event date, ready to be published."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.lake.raw import StagedSegment

ROW_GROUP: Final = 122_880
_DAY_US: Final = 86_400_000_000


class SegmentWriter:
    """Writes rows to one local Parquet file for each date of their `ts_event`, in arrival order.

    The bytes depend on the rows and on how they were cut into batches, and on nothing else: a
    loader that cuts its source in the same places every time writes the same file every time.
    """

    def __init__(self, folder: Path, schema: pa.Schema, dictionary: Sequence[str]) -> None:
        self._folder = folder
        self._schema = schema
        self._dictionary = list(dictionary)
        self._days: dict[int, _DayFile] = {}

    def append(self, table: pa.Table) -> None:
        """Add rows, whatever their dates."""
        times = table["ts_event"].cast(pa.int64()).to_numpy()
        days = times // _DAY_US
        for day in np.unique(days).tolist():
            same_day = days == day
            part = table if same_day.all() else table.filter(pa.array(same_day))
            if day not in self._days:
                file = self._folder / f"{day}.parquet"
                self._days[day] = _DayFile(file, self._schema, self._dictionary)
            self._days[day].append(part)

    def finish(self) -> list[StagedSegment]:
        """Close the files and return them, oldest date first."""
        return [self._days[day].finish(_date(day)) for day in sorted(self._days)]


class _DayFile:
    """The Parquet file of one date, written in row groups of ROW_GROUP rows or a few more."""

    def __init__(self, file: Path, schema: pa.Schema, dictionary: list[str]) -> None:
        self._file = file
        self._rows = 0
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=dictionary,
            store_schema=False,
        )

    def append(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        if self._waiting_rows >= ROW_GROUP:
            self._write()

    def finish(self, day: date) -> StagedSegment:
        if self._waiting_rows:
            self._write()
        self._writer.close()
        with self._file.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return StagedSegment(day, self._file, self._rows, self._file.stat().st_size, sha256)

    def _write(self) -> None:
        self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=self._waiting_rows)
        self._rows += self._waiting_rows
        self._waiting.clear()
        self._waiting_rows = 0


def _date(day: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()
