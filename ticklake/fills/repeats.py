"""Fills that are there more than once, and which rows to leave out for it.

Two rows are the same fill where coin, tid, user, oid and side are equal, and the block, or without
one the instant. The first to arrive stays. But a fill by block is preferred over the legacy form
without a block of the same instant: the change-over hour has both.

Only rows with equal tid and side are looked at closely. They are found by two scans of those two
columns: the first marks every pair in a table of bits and notes those whose bit is set already, the
second finds the rows of what was noted.

Usually those are few. Where they are many, as in a day that is there twice, they are compared coin
by coin, and a coin with many rows by time. Equal fills by block may have other times: of blocks
that may be in two parts of a coin, rows are compared again. Few are, where blocks rise with time.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.fills.columns import Flags, Numbers, filled
from ticklake.fills.segments import FIRST, LAST, Rows, Segment, gathered
from ticklake.fills.stretches import Stretch, coin_order
from ticklake.microstructure.compiled import compiled

THREADS: Final = 2
MOST_BITS: Final = 30
"""2^30 bits are 128 MB; 20M rows mark a fiftieth of them."""

Keys = npt.NDArray[np.uint64]
_CLOSE: Final = ("coin", "user", "side", "tid", "oid", "ts_event", "block_number")


def repeated_rows(
    segments: Sequence[Segment], stretches: Sequence[Stretch], at_once: int
) -> Sequence[Rows]:
    """Return the rows of each segment, which rise, that are fills which another row is already.

    `segments` are in order of arrival. About `at_once` rows are compared at a time, but all of a
    coin and an instant.
    """
    rows = _rows_of(segments, _suspects(segments))
    count = sum(map(len, rows))
    if not count:
        return rows
    if count <= at_once:
        return _compared(segments, rows)[0]
    suspects = _Suspects(segments, rows)
    found: list[list[Rows]] = [[np.empty(0, np.int64)] for _ in segments]
    for left_out in suspects.left_out(stretches, at_once):
        for mine, out in zip(found, left_out, strict=True):
            mine.append(out)
    return [_once(np.concatenate(mine)) for mine in found]


def _suspects(segments: Sequence[Segment]) -> Keys:
    """Return the keys, in order, that more than one row may have."""
    row_count = sum(int(segment.bounds[-1]) for segment in segments)
    bits = _bits(row_count, 50)
    lock = Lock()

    def noted(segment: Segment) -> Keys:
        found = [np.empty(0, np.uint64)]
        for group in segment.groups:
            keys = _keys(segment, group)
            room = np.empty_like(keys)
            with lock:
                found.append(room[: _mark(keys, bits, room)].copy())
        return np.concatenate(found)

    with ThreadPoolExecutor(THREADS) as pool:
        keys = np.concatenate([np.empty(0, np.uint64), *pool.map(noted, segments)])
    return _once(keys)


def _once(values: Numbers) -> Numbers:
    """Return numbers in order, each once: faster than np.unique, and here its memory is short."""
    values.sort()
    is_other = np.ones(len(values), np.bool_)
    is_other[1:] = values[1:] != values[:-1]
    return np.asarray(values[is_other])


def _rows_of(segments: Sequence[Segment], suspects: Keys) -> Sequence[Rows]:
    """Return the rows of each segment whose key is a suspect and is that of another row, too."""
    bits = _bits(len(suspects), 50)
    _mark(suspects, bits, np.empty_like(suspects))
    first_rows = np.full(len(suspects), -1, np.int64)
    begins = np.searchsorted(suspects, np.arange(1 << 16, dtype=np.uint64) << np.uint64(48))
    begins = np.append(begins, len(suspects))
    firsts = np.cumsum([0, *(int(segment.bounds[-1]) for segment in segments)])
    are_repeated = np.zeros(firsts[-1], np.bool_)
    lock = Lock()

    def find(number: int) -> None:
        segment = segments[number]
        for group in segment.groups:
            keys = _keys(segment, group)
            rows = np.empty(len(keys), np.int64)
            rows = rows[: _marked(keys, bits, rows)]
            row = int(firsts[number] + segment.bounds[group])
            with lock:
                _find_repeated(keys[rows], rows + row, suspects, begins, first_rows, are_repeated)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(find, range(len(segments))))
    return [np.flatnonzero(are_repeated[begin:end]) for begin, end in itertools.pairwise(firsts)]


def _keys(segment: Segment, group: int) -> Keys:
    """Return a number for tid and side of each row: equal where both are, and rarely otherwise."""
    columns = segment.read(group, ("tid", "side"))
    side = columns["side"]
    is_buy = np.array([text == "B" for text in side.dictionary.to_pylist()] + [False])
    codes = filled(side.indices, -1)
    return _hashes(filled(columns["tid"], 0), is_buy[codes])


@dataclass(frozen=True, slots=True, eq=False)
class _Suspects:
    """Rows of each segment that are looked at closely, too many to be compared together."""

    segments: Sequence[Segment]
    rows: Sequence[Rows]

    def left_out(self, stretches: Sequence[Stretch], at_once: int) -> Iterator[Sequence[Rows]]:
        """Yield which rows of each segment are left out, for some coins or a part of one."""
        waiting: list[Stretch] = []
        size = 0
        ordered = sorted(stretches, key=lambda one: (coin_order(one.coin), one.first))
        for _, some in itertools.groupby(ordered, key=lambda one: one.coin):
            mine = [one for one in some if self._size(one)]
            its_size = sum(map(self._size, mine))
            if waiting and size + its_size > at_once:
                yield self._compared(waiting)[0]
                waiting, size = [], 0
            if its_size > at_once:
                yield from self._by_time(mine, at_once)
            else:
                waiting, size = waiting + mine, size + its_size
        if waiting:
            yield self._compared(waiting)[0]

    def _by_time(self, coin: Sequence[Stretch], at_once: int) -> Iterator[Sequence[Rows]]:
        """Compare the rows of a coin by time, then those of blocks that parts have in common."""
        highest = FIRST
        shared = []
        for some in self._windows(coin, at_once):
            left_out, blocks = self._compared(some)
            yield left_out
            lowest = blocks.min(initial=LAST)
            if lowest <= highest:
                shared.append((lowest, highest))
            highest = blocks.max(initial=highest)
        if shared:
            yield self._compared(coin, shared)[0]

    def _windows(self, coin: Iterable[Stretch], at_once: int) -> Iterator[Sequence[Stretch]]:
        """Cut stretches, in order of their first rows, to about so many rows, between instants."""
        waiting: list[Stretch] = []
        size, last = 0, FIRST
        for stretch in coin:
            time = stretch.first[0]
            if size >= at_once and last < time:
                cut = [self._cut(one, time) for one in waiting]
                yield [before for before, _ in cut]
                waiting = [after for _, after in cut if self._size(after)]
                size, last = sum(map(self._size, waiting)), time
            waiting.append(stretch)
            size += self._size(stretch)
        yield waiting

    def _cut(self, stretch: Stretch, time: int) -> tuple[Stretch, Stretch]:
        """Divide a stretch into what is before a time and the rest."""
        end = stretch.end
        if stretch.last[0] >= time:
            times = self._column(stretch, "ts_event", LAST)
            end = stretch.begin + int(np.searchsorted(times, time))
        return replace(stretch, end=end), replace(stretch, begin=end)

    def _size(self, stretch: Stretch) -> int:
        return len(self._rows(stretch))

    def _rows(self, stretch: Stretch) -> Rows:
        rows = self.rows[stretch.segment]
        begin, end = np.searchsorted(rows, (stretch.begin, stretch.end))
        return rows[begin:end]

    def _column(self, stretch: Stretch, name: str, instead: int) -> Numbers:
        segment = self.segments[stretch.segment]
        group = int(np.searchsorted(segment.bounds, stretch.begin, "right")) - 1
        first = segment.bounds[group]
        values = filled(segment.read(group, (name,))[name], instead)
        return values[stretch.begin - first : stretch.end - first]

    def _compared(
        self, stretches: Iterable[Stretch], ranges: Sequence[tuple[int, int]] = ()
    ) -> tuple[Sequence[Rows], Numbers]:
        """Compare rows of some stretches: all, or those whose blocks are in one of some ranges."""
        found: list[list[Rows]] = [[np.empty(0, np.int64)] for _ in self.segments]
        for stretch in stretches:
            rows = self._rows(stretch)
            if ranges:
                blocks = self._column(stretch, "block_number", FIRST)[rows - stretch.begin]
                rows = rows[np.any([(low <= blocks) & (blocks <= high) for low, high in ranges], 0)]
            found[stretch.segment].append(rows)
        return _compared(self.segments, [np.sort(np.concatenate(mine)) for mine in found])


def _compared(segments: Sequence[Segment], rows: Sequence[Rows]) -> tuple[Sequence[Rows], Numbers]:
    """Return which of some rows of each segment are left out, and the blocks of them all."""
    counts = [len(mine) for mine in rows]
    number = np.repeat(np.arange(len(segments)), counts)
    columns = gathered(segments, number, np.concatenate(rows), _CLOSE)
    arrivals = [segment.arrivals(mine) for segment, mine in zip(segments, rows, strict=True)]
    arrived = np.lexsort((np.concatenate(arrivals), number))
    codes = {name: _codes(column) for name, column in columns.items()}
    fill = _together(*(codes[name] for name in ("coin", "tid", "user", "oid", "side")))
    is_legacy = codes["block_number"] < 0
    same = _together(fill, codes["block_number"], np.where(is_legacy, codes["ts_event"], -1))
    left_out = np.ones(len(number), np.bool_)
    left_out[arrived[np.unique(same[arrived], return_index=True)[1]]] = False
    instant = _together(fill, codes["ts_event"])
    left_out |= is_legacy & np.isin(instant, instant[~is_legacy])
    cuts = np.cumsum(counts)[:-1]
    found = [mine[out] for mine, out in zip(rows, np.split(left_out, cuts), strict=True)]
    return found, filled(columns["block_number"], FIRST)[~is_legacy]


def _together(*columns: Rows) -> Rows:
    """Return a number for each row: equal where all columns are. All are below 2^31, null is -1."""
    found, *others = columns
    for column in others:
        found = _codes(pa.array(found << 32 | column + 1))
    return found


def _codes(column: pa.Array) -> Rows:
    """Return a number below the count of rows for each value, -1 for null."""
    return filled(column.dictionary_encode().indices, -1).astype(np.int64)


def _bits(count: int, sparseness: int) -> Keys:
    """Return a table of bits of which at most one in `sparseness` will be set, if that fits."""
    return np.zeros(1 << min(MOST_BITS, max(12, (sparseness * count).bit_length())) - 6, np.uint64)


@compiled
def _hashes(tid: Numbers, is_buy: npt.NDArray[np.bool_]) -> Keys:
    hashes = np.empty(len(tid), np.uint64)
    shift = np.uint64(32)
    for row in range(len(tid)):
        # The finalizer of MurmurHash3: distinct numbers stay distinct.
        value = np.uint64(tid[row])
        value = (value ^ value >> np.uint64(33)) * np.uint64(0xFF51AFD7ED558CCD)
        value = (value ^ value >> np.uint64(33)) * np.uint64(0xC4CEB9FE1A85EC53)
        hashes[row] = value ^ value >> shift ^ np.uint64(is_buy[row])
    return hashes


@compiled
def _mark(keys: Keys, bits: Keys, noted: Keys) -> int:
    """Set a bit for each key; note those whose bit is set already, and return how many."""
    mask, low, six, one = np.uint64(64 * len(bits) - 1), np.uint64(63), np.uint64(6), np.uint64(1)
    count = 0
    for key in keys:
        place = key & mask
        bit = one << (place & low)
        word = bits[place >> six]
        if word & bit:
            noted[count] = key
            count += 1
        else:
            bits[place >> six] = word | bit
    return count


@compiled
def _marked(keys: Keys, bits: Keys, rows: Rows) -> int:
    """Note the rows of the keys whose bit is set; return how many."""
    mask, low, six, one = np.uint64(64 * len(bits) - 1), np.uint64(63), np.uint64(6), np.uint64(1)
    count = 0
    for row in range(len(keys)):
        place = keys[row] & mask
        if bits[place >> six] >> (place & low) & one:
            rows[count] = row
            count += 1
    return count


@compiled
def _find_repeated(
    keys: Keys, rows: Rows, suspects: Keys, begins: Rows, first_rows: Rows, are_repeated: Flags
) -> None:
    """Mark rows whose key is a suspect that another row has.

    `begins` are the places in `suspects`, which rise, where their upper 16 bits are a number or
    more. Of each suspect, `first_rows` keeps a row, -1 if it has none yet.
    """
    shift = np.uint64(48)
    for number in range(len(keys)):
        key = keys[number]
        low, high = begins[key >> shift], begins[(key >> shift) + np.uint64(1)]
        while low < high:
            middle = (low + high) >> 1
            if suspects[middle] < key:
                low = middle + 1
            else:
                high = middle
        if low == len(suspects) or suspects[low] != key:
            continue
        if first_rows[low] < 0:
            first_rows[low] = rows[number]
        else:
            are_repeated[first_rows[low]] = are_repeated[rows[number]] = True
