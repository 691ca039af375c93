"""The two sides of an order book, as sorted arrays that many updates change at once."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ids = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

LEVELS: Final = pa.list_(pa.struct([("price", pa.float64()), ("size", pa.float64())]))
BLOCK: Final = 64
"""Updates computed at once: more widen the part of the book to look at (measured)."""


@dataclass(slots=True)
class TopLevels:
    """The best levels of successive rows: how many a row, their keys and sizes."""

    counts: list[Ids] = field(default_factory=lambda: [np.zeros(0, np.int64)])
    keys: list[Doubles] = field(default_factory=lambda: [np.zeros(0)])
    sizes: list[Doubles] = field(default_factory=lambda: [np.zeros(0)])

    def add(self, rows: tuple[Ids, Doubles, Doubles]) -> None:
        counts, keys, sizes = rows
        self.counts.append(counts)
        self.keys.append(keys)
        self.sizes.append(sizes)

    def lists(self, sign: float) -> pa.Array:
        price = pa.array(sign * np.concatenate(self.keys))
        size = pa.array(np.concatenate(self.sizes))
        offsets = pa.array(offsets_of(np.concatenate(self.counts)).astype(np.int32))
        levels = pa.StructArray.from_arrays([price, size], fields=list(LEVELS.value_type))
        return pa.ListArray.from_arrays(offsets, levels, type=LEVELS)


class Side:
    """The levels of one side by key, best (smallest) first: the price, negated for bids."""

    def __init__(self) -> None:
        self.keys: Doubles = np.zeros(0)
        self.sizes: Doubles = np.zeros(0)

    def load(self, keys: Doubles, sizes: Doubles) -> None:
        """Replace all levels."""
        self.replace(np.zeros(len(keys), np.int64), keys, sizes, 1, 1)

    def replace(
        self, row: Ids, keys: Doubles, sizes: Doubles, count: int, levels: int
    ) -> tuple[Ids, Doubles, Doubles]:
        """Replace all levels `count` times, and return the best `levels` of each time.

        Level j, at `keys[j]`, is of the book of row `row[j]`, which never decreases. Returns how
        many levels each row has, and the keys and sizes of all rows. `count` is at least 1.
        """
        order = np.lexsort((keys, row))
        row, keys, sizes = row[order], keys[order], sizes[order]
        # Of several sizes of a level the last one stays.
        is_last = np.append((row[1:] != row[:-1]) | (keys[1:] != keys[:-1]), True)[: len(row)]
        is_level = is_last & (sizes > 0)
        row, keys, sizes = row[is_level], keys[is_level], sizes[is_level]
        begins = np.searchsorted(row, np.arange(count))
        self.keys, self.sizes = keys[begins[-1] :], sizes[begins[-1] :]
        is_best = np.arange(len(row)) - begins[row] < levels
        return np.bincount(row[is_best], minlength=count), keys[is_best], sizes[is_best]

    def advance(
        self, row: Ids, keys: Doubles, sizes: Doubles, count: int, levels: int
    ) -> tuple[Ids, Doubles, Doubles]:
        """Apply some updates and return the best `levels` of each of `count` rows.

        Update j, of the level `keys[j]`, is seen from row `row[j]` on, which never decreases.
        Returns how many levels each row has, and the keys and sizes of all rows.
        """
        distinct, column = np.unique(keys, return_inverse=True)
        top = self._top(row, distinct, column, sizes, count, levels)
        final = np.zeros(len(distinct))
        final[column] = sizes  # of several updates of a level the last one stays
        place = np.searchsorted(self.keys, distinct)
        is_known = np.append(self.keys, np.nan)[place] == distinct
        self.sizes[place[is_known]] = final[is_known]
        is_new = ~is_known & (final > 0)
        self.keys = np.insert(self.keys, place[is_new], distinct[is_new])
        self.sizes = np.insert(self.sizes, place[is_new], final[is_new])
        there = self.sizes > 0
        self.keys, self.sizes = self.keys[there], self.sizes[there]
        return top

    def _top(
        self,
        row: Ids,
        distinct: Doubles,
        column: Ids,
        sizes: Doubles,
        count: int,
        levels: int,
    ) -> tuple[Ids, Doubles, Doubles]:
        if not count:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        # The levels that no update removes are there in every row. Behind the last of the best
        # `levels` of them no row has to look, so the table of rows and levels stays narrow.
        removed = distinct[column[~(sizes > 0)]]
        place = np.searchsorted(self.keys, removed)
        place = place[np.append(self.keys, np.nan)[place] == removed]
        stays = np.ones(len(self.keys), bool)
        stays[place] = False
        staying = np.flatnonzero(stays)[:levels]
        horizon = self.keys[staying[-1]] if len(staying) == levels else np.inf
        old = self.keys[: np.searchsorted(self.keys, horizon, "right")]
        new = distinct[: np.searchsorted(distinct, horizon, "right")]
        keys = np.union1d(old, new)
        width = len(keys)
        # Each cell says which size counts: that of the book (its column), or of the latest update
        # (width + j). The later an update, the larger its number, so a running maximum fills in.
        before = np.zeros(width)
        before[np.searchsorted(keys, old)] = self.sizes[: len(old)]
        updates = np.flatnonzero((column < len(new)) & (row < count))
        latest = np.zeros((count + 1, width), np.int32)
        latest[0] = np.arange(width)
        columns = np.searchsorted(keys, new)[column[updates]]
        latest[row[updates] + 1, columns] = width + updates
        np.maximum.accumulate(latest, axis=0, out=latest)
        size = np.concatenate((before, sizes))[latest[1:]]
        is_level = size > 0
        is_level &= np.cumsum(is_level, axis=1, dtype=np.int32) <= levels
        return is_level.sum(axis=1), keys[np.nonzero(is_level)[1]], size[is_level]


def offsets_of(counts: Ids) -> Ids:
    """Return where each of some runs begins, and where the last one ends."""
    return np.concatenate(([0], np.cumsum(counts)))
