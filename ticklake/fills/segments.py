"""Raw segments as they are read: a row group at a time, in the declared types."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ticklake.fills.columns import (
    DICTIONARIES,
    RAW_TYPES,
    REPEATED_TEXT,
    TEXT,
    Numbers,
    filled,
    numbers,
)

ARRIVAL: Final = "arrival"
"""The column of a clustered segment that says where a row was in the original."""
Rows = npt.NDArray[np.int64]

FIRST: Final = np.iinfo(np.int64).min
LAST: Final = np.iinfo(np.int64).max
"""What stands for a null that comes first, or last, in an order."""
NO_POSITION: Final = 1 << 62
"""What stands for a null position: behind all others, wherever its block goes on."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A Parquet file of raw fills. It may lack columns: then they are null."""

    name: str
    """The file that was landed, for people: that of a copy ends with the path in the lake."""
    file: Path
    metadata: pq.FileMetaData
    columns: Mapping[str, str]
    """Raw column -> how the file spells it: case does not matter, as in DuckDB."""
    bounds: Rows
    """Where row groups begin, and where the last one ends."""
    is_clustered: bool
    """Whether this is a copy of a segment whose rows were put in order, ties and all."""

    @staticmethod
    def opened(file: Path, clustered_from: "Segment | None" = None) -> "Segment":
        """Read the footer of a file: of a segment, or of a copy of one in order."""
        metadata = pq.read_metadata(file)
        names = metadata.schema.to_arrow_schema().names
        spelled = {name.lower(): name for name in names} | {name: name for name in names}
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return Segment(
            clustered_from.name if clustered_from else str(file),
            file,
            metadata,
            {
                name: spelled.get(name, spelled.get(name.lower(), ""))
                for name in (*RAW_TYPES, ARRIVAL)
                if name.lower() in spelled
            },
            np.cumsum([0, *sizes], dtype=np.int64),
            clustered_from is not None,
        )

    @property
    def groups(self) -> range:
        """Return the numbers of the row groups."""
        return range(len(self.bounds) - 1)

    def read(self, group: int, names: Iterable[str]) -> Mapping[str, pa.Array]:
        """Return some columns of a row group. Raises ValueError where they cannot be read."""
        wanted = list(names)
        not_null = self._not_null(group)
        there = {name: self.columns[name] for name in wanted if name in not_null}
        count = int(self.bounds[group + 1] - self.bounds[group])
        table = self._table(group, there)
        return {
            name: _as(table[there[name]], RAW_TYPES[name])
            if name in there
            else pa.nulls(count, RAW_TYPES[name])
            for name in wanted
        }

    def _table(self, group: int, columns: Mapping[str, str]) -> pa.Table:
        row_count = int(self.bounds[group + 1] - self.bounds[group])
        try:
            with pq.ParquetFile(
                self.file,
                metadata=self.metadata,
                read_dictionary=[columns[name] for name in DICTIONARIES if name in columns],
                pre_buffer=False,
            ) as file:
                table = file.read_row_group(group, [*columns.values()], use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise ValueError(f"{self.name} cannot be read: {error}") from error
        if columns and len(table) != row_count:
            raise ValueError(
                f"{self.name} has {len(table)} rows in row group {group}, not the {row_count} that "
                "its footer says."
            )
        return table

    def _not_null(self, group: int) -> set[str]:
        """Return the columns that may have a value in a row group: to read nulls takes time.

        A column without statistics may have one.
        """
        row_group = self.metadata.row_group(group)
        found = set()
        for number in range(row_group.num_columns):
            chunk = row_group.column(number)
            nulls = chunk.statistics.null_count if chunk.is_stats_set else None
            if nulls != row_group.num_rows:
                found.add(chunk.path_in_schema.split(".")[0])
        return {name for name, spelled in self.columns.items() if spelled in found}

    def arrivals(self, rows: Rows) -> Rows:
        """Return where some rows were when they arrived; `rows` rise."""
        if not self.is_clustered:
            return rows
        found = np.empty_like(rows)
        for group, places in self.by_group(rows):
            column = self._table(group, {ARRIVAL: ARRIVAL})[ARRIVAL]
            found[places] = numbers(_whole(column))[rows[places] - self.bounds[group]]
        return found

    def by_group(self, rows: Rows) -> Iterable[tuple[int, slice]]:
        """Yield the row groups that some rows, which rise, are in, and which of them those are."""
        cuts = np.searchsorted(rows, self.bounds)
        for group in self.groups:
            if cuts[group] < cuts[group + 1]:
                yield group, slice(int(cuts[group]), int(cuts[group + 1]))


def gathered(
    segments: Sequence[Segment], number: Rows, row: Rows, names: Sequence[str]
) -> Mapping[str, pa.Array]:
    """Return some columns of some rows, each given by the number of its segment and its row."""
    order = np.lexsort((row, number))
    cuts = np.searchsorted(number[order], np.arange(len(segments) + 1))
    found = []
    for own, segment in enumerate(segments):
        mine = row[order[cuts[own] : cuts[own + 1]]]
        for group, places in segment.by_group(mine):
            columns = segment.read(group, names)
            wanted = pa.array(mine[places] - segment.bounds[group])
            found.append([_plain(columns[name].take(wanted)) for name in names])
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return {
        name: pa.concat_arrays([columns[at] for columns in found]).take(pa.array(back))
        if found
        else pa.array([], _plain_type(RAW_TYPES[name]))
        for at, name in enumerate(names)
    }


def rows_of(begins: Rows, sizes: Rows) -> Rows:
    """Return the rows of pieces, one piece after the other."""
    return np.repeat(begins - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())


def text_ranks(text: pa.StringArray) -> Numbers:
    """Return which place each text has in the order of their bytes; null comes last."""
    encoded = text.dictionary_encode()
    ranks = np.asarray(pc.rank(encoded.dictionary, sort_keys="ascending"), np.int64)
    return np.append(ranks, LAST)[filled(encoded.indices, -1)]


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Where n rows of one symbol belong: by time, then block, then position in the block."""

    time: Numbers
    block: Numbers
    position: Numbers

    @staticmethod
    def of(columns: Mapping[str, pa.Array]) -> "Positions":
        """Take them from raw columns; a null becomes a number that is in its place."""
        return Positions(
            filled(columns["ts_event"], LAST),
            filled(columns["block_number"], FIRST),
            filled(pc.cast(columns["event_index"], pa.int64()), NO_POSITION),
        )

    @staticmethod
    def none() -> "Positions":
        """Return no positions."""
        nothing = np.empty(0, np.int64)
        return Positions(nothing, nothing, nothing)

    def __getitem__(self, rows: slice | Rows) -> "Positions":
        return Positions(self.time[rows], self.block[rows], self.position[rows])

    def at(self, row: int) -> tuple[int, int, int]:
        """Return one of them."""
        return int(self.time[row]), int(self.block[row]), int(self.position[row])

    def then(self, other: "Positions") -> "Positions":
        """Return these positions and some more."""
        return Positions(
            np.concatenate((self.time, other.time)),
            np.concatenate((self.block, other.block)),
            np.concatenate((self.position, other.position)),
        )

    def count_before(self, place: tuple[int, int, int]) -> int:
        """Return how many are before a place."""
        time, block, position = place
        is_before = (self.position < position) & (self.block == block) | (self.block < block)
        return int(((is_before & (self.time == time)) | (self.time < time)).sum())


POSITION_COLUMNS: Final = ("ts_event", "block_number", "event_index")


def _plain(array: pa.Array) -> pa.Array:
    return array.cast(_plain_type(array.type))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return a column as one array of a declared type.

    What is read as a declared type is what `accepts` in segment_checks lets pass: times of another
    unit are cut to the declared one, and those without a zone are taken as UTC.
    """
    array = _whole(column)
    if array.type == kind:
        return array
    if pa.types.is_dictionary(array.type) and kind in (TEXT, REPEATED_TEXT):
        indices = array.indices.cast(pa.int32())
        array = pa.DictionaryArray.from_arrays(indices, array.dictionary.cast(TEXT), safe=False)
        return array if kind == REPEATED_TEXT else array.cast(TEXT)
    if kind == REPEATED_TEXT:
        return array.cast(TEXT).dictionary_encode()
    if pa.types.is_struct(kind) and pa.types.is_struct(array.type):
        fields = [
            _as(pa.chunked_array([pc.struct_field(array, [field.name])]), field.type)
            if array.type.get_field_index(field.name) >= 0
            else pa.nulls(len(array), field.type)
            for field in kind
        ]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null())
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp(array.type.unit, kind.tz)).cast(kind, safe=False)
    return array.cast(kind)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece: pages with and without a dictionary come as several."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if not column.num_chunks:
        return pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array(column.chunks).unify_dictionaries()
    return pa.concat_arrays(column.chunks)
