"""The fills of a day from its raw segments: what `tests/unit/fills/fills.sql` says, by merging.

DuckDB sorts all rows of a day. Here segments that landing left in order are merged: a first pass
over narrow columns finds the order of all rows, as pieces of segments, and which to leave out; a
second one copies pieces. A segment that is not in order is put in order first.

The second pass needs a decoded row group of each sorted run at a time, about 150 bytes a row: up to
0.6 GB of them are in memory, others in scratch files. The first pass holds a table of bits, at most
128 MB, a byte for each row, one entry for each stretch of a coin, and of a fill that is there more
than once about 30 bytes for each time.
"""

import resource
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar
from weakref import finalize

import numpy as np
import pyarrow as pa

from ticklake.fills.clusters import clustered
from ticklake.fills.columns import FILLS
from ticklake.fills.continued import Continued, continued
from ticklake.fills.copying import Part, batch_of
from ticklake.fills.ordering import pieces
from ticklake.fills.repeats import repeated_rows
from ticklake.fills.rooms import Rooms
from ticklake.fills.row_groups import Column, decoded
from ticklake.fills.scratch import Mapped
from ticklake.fills.segments import Rows, Segment, rows_of
from ticklake.fills.stretches import Scan, scan
from ticklake.lake.file_format import ROW_GROUP

THREADS: Final = 2
AHEAD: Final = 8
"""Row groups that are read before they are needed."""
OPEN_FILES: Final = 8_192
"""Files that a process is to have open at once, where the system lets it."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Limits:
    """What is done at once. Fewer rows take less memory; the rows that come out are the same."""

    run: int = 200_000
    """A segment that has more than two sorted runs, and more than one for so many rows, is put in
    order first."""
    block: int = 500_000
    """Rows of it that are put in order in memory."""
    group: int = 20_480
    """Rows of its row groups."""
    compared: int = 1 << 22
    """Rows of overlapping stretches that are put in order together."""
    suspects: int = 1 << 20
    """Rows that may be there more than once and are compared together."""
    batch: int = ROW_GROUP
    """Rows that are handed over together."""
    held: int = 1 << 22
    """Rows of decoded row groups in memory; those beyond wait in files."""


LIMITS: Final = Limits()


def merged(files: Sequence[Path], folder: Path, limits: Limits = LIMITS) -> pa.RecordBatchReader:
    """Return the fills of raw segments, in the order that the model declares.

    `files` are in order of arrival. Segments that are not in order are written anew in `folder`,
    which has to be there until the last batch was read. Batches have one size, but for the last.
    The first pass is done when this returns. Raises ValueError, then or while rows are read, where
    a number is no exact decimal.
    """
    numbered = list(enumerate(Segment.opened(file) for file in files))
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda one: _scanned(one[0], one[1], folder, limits), numbered)
        segments, scans = [], []
        for segment, its_scan in found:
            segments.append(segment)
            scans.append(its_scan)
    counts = continued(segments, [one.blocks for one in scans])
    stretches = [stretch for one in scans for stretch in one.stretches]
    left_out = repeated_rows(segments, stretches, limits.suspects)
    del scans
    ordered = pieces(segments, stretches, counts, left_out, limits.compared)
    day = _Day(segments, counts, left_out, _Quota(limits.held), _Quota(_most_files()), folder)
    return pa.RecordBatchReader.from_batches(FILLS, _batches(day, ordered, limits.batch))


def _scanned(number: int, segment: Segment, folder: Path, limits: Limits) -> tuple[Segment, Scan]:
    """Look at the order of a segment, and put it in order if it is in too many runs."""
    row_count = int(segment.bounds[-1])
    found = scan(segment, number, max(2, row_count // limits.run))
    if found is None:
        file = folder / f"clustered-{number}.parquet"
        segment = clustered(segment, file, limits.block, limits.group)
        found = scan(segment, number, row_count)
        assert found is not None, "no more runs than rows"
    return segment, found


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class _RowGroup:
    """A row group that the pieces behind it need, and how many of its rows will be used."""

    number: int
    columns: Mapping[str, Column]
    row_count: int
    mapped: Mapped | None = None
    """Where its columns are, if not in memory."""


_Step = Future[_RowGroup] | Rows
"""A row group, or pieces of those that came: (n, 3), the number of a row group, begin and end."""


class _Quota:
    """How many more of something there may be."""

    def __init__(self, count: int) -> None:
        self._left, self._lock = count, Lock()

    def take(self, count: int) -> bool:
        """Say whether so many more fit, and count them if they do."""
        with self._lock:
            fits = count <= self._left
            self._left -= count if fits else 0
        return fits

    def give_back(self, count: int) -> None:
        """Say that so many are gone."""
        with self._lock:
            self._left += count


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """Row groups of all segments, numbered through."""

    segments: Sequence[Segment]
    continued: Sequence[Continued]
    left_out: Sequence[Rows]
    room: _Quota
    """For rows in memory."""
    files: _Quota
    """For row groups in files, each of which holds one open. Beyond that memory has to do."""
    folder: Path

    def steps(self, ordered: Iterator[Rows], readers: Executor) -> Iterator[_Step]:
        """Yield pieces, cut where row groups end, and each row group before its first piece."""
        firsts = np.cumsum([0, *(len(segment.groups) for segment in self.segments)])
        bounds = [segment.bounds for segment in self.segments]
        is_read = np.zeros(firsts[-1], np.bool_)
        for some in ordered:
            cut = _cut(some, firsts, bounds)
            new, places = np.unique(cut[:, 0], return_index=True)
            order = np.argsort(places)
            begin = 0
            for group, place in zip(new[order].tolist(), places[order].tolist(), strict=True):
                if is_read[group]:
                    continue
                is_read[group] = True
                if begin < place:
                    yield cut[begin:place]
                begin = place
                segment = int(np.searchsorted(firsts, group, "right")) - 1
                inside = group - int(firsts[segment])
                yield readers.submit(self._read, group, segment, inside)
            if begin < len(cut):
                yield cut[begin:]

    def _read(self, number: int, segment: int, group: int) -> _RowGroup:
        """Read a row group."""
        begin, end = self.segments[segment].bounds[group : group + 2]
        out = np.searchsorted(self.left_out[segment], (begin, end))
        columns = decoded(self.segments[segment], group, self.continued[segment])
        row_count, size = int(end - begin - (out[1] - out[0])), int(end - begin)
        if self.room.take(size):
            found = _RowGroup(number, columns, row_count)
            finalize(found, self.room.give_back, size)
        elif self.files.take(1):
            mapped = Mapped(columns, self.folder)
            found = _RowGroup(number, mapped.columns, row_count, mapped)
            finalize(found, self.files.give_back, 1)
        else:
            found = _RowGroup(number, columns, row_count)
        return found


def _most_files() -> int:
    """Return how many files may be open besides those of others, which keep as many."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        soft = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    return OPEN_FILES // 2 if soft == resource.RLIM_INFINITY else soft // 2


def _cut(some: Rows, firsts: Rows, bounds: Sequence[Rows]) -> Rows:
    """Cut pieces of segments where row groups end; count from where these begin."""
    segment, begin, end = some.T
    first, last = np.empty(len(some), np.int64), np.empty(len(some), np.int64)
    for number in np.unique(segment):
        mine = segment == number
        first[mine] = np.searchsorted(bounds[number], begin[mine], "right") - 1
        last[mine] = np.searchsorted(bounds[number], end[mine], "left") - 1
    size = last - first + 1
    whole = np.repeat(np.arange(len(some)), size)
    group = rows_of(first, size)
    begins, ends = begin[whole], end[whole]
    for number in np.unique(segment):
        mine = segment[whole] == number
        start, stop = bounds[number][group[mine]], bounds[number][group[mine] + 1]
        begins[mine] = np.maximum(begins[mine], start) - start
        ends[mine] = np.minimum(ends[mine], stop) - start
    cut = np.column_stack((firsts[segment[whole]] + group, begins, ends))
    return np.asarray(cut[begins < ends])  # a row group may have no row


def _batches(day: _Day, ordered: Iterator[Rows], size: int) -> Iterator[pa.RecordBatch]:
    """Copy pieces into batches; a row group is kept until all its rows are used."""
    groups: dict[int, _RowGroup] = {}
    unused: dict[int, int] = {}
    waiting: list[Rows] = []
    count = 0
    rooms = Rooms()
    with ThreadPoolExecutor(THREADS) as readers:
        for step in _ahead(day.steps(ordered, readers), AHEAD):
            if isinstance(step, Future):
                row_group = step.result()
                groups[row_group.number] = row_group
                unused[row_group.number] = row_group.row_count
                continue
            waiting.append(step)
            count += int((step[:, 2] - step[:, 1]).sum())
            while count >= size:
                full, rest = _split(np.concatenate(waiting), size)
                yield _batch(full, groups, unused, rooms)
                waiting, count = [rest], count - size
    if count:
        yield _batch(np.concatenate(waiting), groups, unused, rooms)


def _split(some: Rows, size: int) -> tuple[Rows, Rows]:
    """Divide pieces behind so many rows."""
    ends = np.cumsum(some[:, 2] - some[:, 1])
    last = int(np.searchsorted(ends, size))
    full, rest = some[: last + 1].copy(), some[last:].copy()
    full[-1, 2] = rest[0, 1] = some[last, 2] - (ends[last] - size)
    return full, rest[rest[:, 1] < rest[:, 2]]


def _batch(
    some: Rows, groups: dict[int, _RowGroup], unused: dict[int, int], rooms: Rooms
) -> pa.RecordBatch:
    """Return the fills of some pieces; forget the row groups whose last rows they are."""
    group, begin, end = some.T
    sizes = end - begin
    places = np.cumsum(sizes) - sizes
    order = np.argsort(group, kind="stable")
    numbers, firsts = np.unique(group[order], return_index=True)
    parts = []
    used = []
    for number, mine in zip(numbers.tolist(), np.split(order, firsts[1:]), strict=True):
        parts.append(Part(groups[number].columns, begin[mine], end[mine], places[mine]))
        unused[number] -= int(sizes[mine].sum())
        if not unused[number]:
            used.append(number)
    batch = batch_of(parts, int(sizes.sum()), rooms)
    for number in numbers.tolist():
        if mapped := groups[number].mapped:
            mapped.leave_memory()
    for number in used:
        del groups[number], unused[number]
    return batch


def _ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Yield items that a thread takes from an iterator before they are asked for."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(count))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item
