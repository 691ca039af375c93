"""Fills that are there more than once, and which rows to leave out for it.

Two rows are the same fill where coin, tid, user, oid and side are equal, and the block, or without
one the instant. The first to arrive stays. But a fill by block is preferred over the legacy form
without a block of the same instant: the change-over hour has both.

Only rows with equal tid and side are looked at closely. They are found by two scans of those two
columns: the first marks every pair in a table of bits and notes those whose bit is set already, the
second finds the rows of what was noted.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from ticklake.fills.columns import Numbers, filled
from ticklake.fills.segments import Rows, Segment, gathered
from ticklake.microstructure.compiled import compiled

THREADS: Final = 2
MOST_BITS: Final = 30
"""2^30 bits are 128 MB; 20M rows mark a fiftieth of them."""

Keys = npt.NDArray[np.uint64]
_CLOSE: Final = ("coin", "user", "side", "tid", "oid", "ts_event", "block_number")


def repeated_rows(segments: Sequence[Segment], at_once: int) -> Sequence[Rows]:
    """Return the rows of each segment, which rise, that are fills which another row is already.

    `segments` are in order of arrival. The rows of `at_once` suspects are compared at a time.
    """
    suspects = _suspects(segments)
    found: list[list[Rows]] = [[np.empty(0, np.int64)] for _ in segments]
    for begin in range(0, len(suspects), at_once):
        rows = _rows_of(segments, suspects[begin : begin + at_once])
        for mine, repeated in zip(found, _compared(segments, rows), strict=True):
            mine.append(repeated)
    return [np.sort(np.concatenate(mine)) for mine in found]


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
        return np.unique(np.concatenate([np.empty(0, np.uint64), *pool.map(noted, segments)]))


def _rows_of(segments: Sequence[Segment], suspects: Keys) -> Sequence[Rows]:
    """Return the rows of each segment whose key is a suspect and is that of another row, too."""
    bits = _bits(len(suspects), 50)
    _mark(suspects, bits, np.empty_like(suspects))

    def found(segment: Segment) -> tuple[Rows, Keys]:
        all_rows, all_keys = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
        for group in segment.groups:
            keys = _keys(segment, group)
            rows = np.empty(len(keys), np.int64)
            rows = rows[: _marked(keys, bits, rows)]
            places = np.minimum(np.searchsorted(suspects, keys[rows]), len(suspects) - 1)
            rows = rows[suspects[places] == keys[rows]]
            all_rows.append(rows + segment.bounds[group])
            all_keys.append(keys[rows])
        return np.concatenate(all_rows), np.concatenate(all_keys)

    with ThreadPoolExecutor(THREADS) as pool:
        by_segment = list(pool.map(found, segments))
    keys, counts = np.unique(np.concatenate([keys for _, keys in by_segment]), return_counts=True)
    repeated = keys[counts > 1]
    return [rows[np.isin(keys, repeated)] for rows, keys in by_segment]


def _keys(segment: Segment, group: int) -> Keys:
    """Return a number for tid and side of each row: equal where both are, and rarely otherwise."""
    columns = segment.read(group, ("tid", "side"))
    side = columns["side"]
    is_buy = np.array([text == "B" for text in side.dictionary.to_pylist()] + [False])
    codes = filled(side.indices, -1)
    return _hashes(filled(columns["tid"], 0), is_buy[codes])


def _compared(segments: Sequence[Segment], rows: Sequence[Rows]) -> Sequence[Rows]:
    """Return which of some rows of each segment are left out."""
    counts = [len(mine) for mine in rows]
    number = np.repeat(np.arange(len(segments)), counts)
    columns = gathered(segments, number, np.concatenate(rows), _CLOSE)
    arrivals = [segment.arrivals(mine) for segment, mine in zip(segments, rows, strict=True)]
    arrived = np.lexsort((np.concatenate(arrivals), number))
    codes = {
        name: filled(column.dictionary_encode().indices, -1) for name, column in columns.items()
    }
    fill = _together(*(codes[name] for name in ("coin", "tid", "user", "oid", "side")))
    is_legacy = codes["block_number"] < 0
    same = _together(fill, codes["block_number"], np.where(is_legacy, codes["ts_event"], -1))
    left_out = np.ones(len(number), np.bool_)
    left_out[arrived[np.unique(same[arrived], return_index=True)[1]]] = False
    instant = _together(fill, codes["ts_event"])
    left_out |= is_legacy & np.isin(instant, instant[~is_legacy])
    cuts = np.cumsum(counts)[:-1]
    return [mine[out] for mine, out in zip(rows, np.split(left_out, cuts), strict=True)]


def _together(*columns: Numbers) -> Rows:
    """Return a number for each row: equal where all columns are."""
    order = np.lexsort(columns)
    changes = np.zeros(len(order), np.bool_)
    for column in columns:
        changes[1:] |= column[order][1:] != column[order][:-1]
    found = np.empty(len(order), np.int64)
    found[order] = np.cumsum(changes)
    return found


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
