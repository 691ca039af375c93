"""Order flow of the levels behind the best, read as rows are asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure.book import Book, Level, floats, level_columns
from ticklake.microstructure.flow import across_levels, level_flow
from ticklake.microstructure.windows import Floats, Ints

PART: Final = 1 << 14
"""Rows of which all levels are looked at together: so few that the processor still holds them."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How many levels the rows of a day have, and what reads columns of those rows, as stored."""

    count: int
    read: Callable[[Sequence[str]], Iterable[pa.RecordBatch]]


def levels_of(rows: pa.Table) -> Levels:
    """Return the levels of a table that holds all of them."""
    count = sum(name.startswith("bid_price_") for name in rows.column_names)
    return Levels(count, lambda names: rows.select(names).to_batches())


class LevelFlows:
    """The flow of each level of a book, and of all, for runs of rows in their order.

    Levels behind the best are read as runs are asked for: a day of all of them is never in memory.
    Where the clock does not rise with the rows as stored, runs may overlap, so that flows of a day
    are kept; the levels are read one at a time.
    """

    def __init__(
        self, book: Book, best: Floats, previous: Ints, levels: Levels, alpha: float
    ) -> None:
        self._best, self._alpha = best, alpha
        self.decayed = np.empty(len(book.ts_us))
        """What all levels add up to (C16), as far as runs have been asked for."""
        numbers = range(2, levels.count + 1)
        self._reader: _Reader | None = None
        if book.order is None:
            self._reader = _Reader(book, previous, numbers, levels)
        else:
            readers = (_Reader(book, previous, [number], levels) for number in numbers)
            day = slice(0, len(book.ts_us))
            self._keep(day, (flow for reader in readers for flow in reader.flows(day)))

    def of(self, run: slice) -> list[Floats]:
        """Return the flow of each level, the best first, on the next run of rows."""
        if self._reader:
            read = slice(self._reader.done, run.stop)
            self._keep(read, self._reader.flows(read))
        own = slice(run.start - self._first, run.stop - self._first)
        return [flow[own] for flow in self._flows]

    def _keep(self, read: slice, behind: Iterable[Floats]) -> None:
        self._first, self._flows = read.start, [self._best[read], *behind]
        self.decayed[read] = across_levels(self._flows, self._alpha)


class _Reader:
    """Reads some levels, and keeps of what it has read the last valid row."""

    def __init__(self, book: Book, previous: Ints, numbers: Sequence[int], levels: Levels) -> None:
        names = [name for number in numbers for name in level_columns(number)]
        head = book.head.select(names).to_batches() if book.head else []
        self._batches = chain(head, levels.read(names))
        self._book, self._previous = book, previous
        self._unused = pa.RecordBatch.from_arrays([], [])
        self.done = 0
        self._last_valid = np.full(len(names), np.nan)
        self._room = np.empty((len(names), 0))

    def flows(self, run: slice) -> npt.NDArray[np.float64]:
        """Return the flow on the rows that come next: a row of the result for each level."""
        flows = np.empty((len(self._last_valid) // 4, run.stop - run.start))
        # Where the clock falls, rows change places within the whole day.
        step = PART if self._book.order is None else max(1, flows.shape[1])
        for first in range(0, flows.shape[1], step):
            part = slice(run.start + first, min(run.start + first + step, run.stop))
            for into, flow in zip(flows, self._of_part(part), strict=True):
                into[first : first + step] = flow
        self.done = run.stop
        return flows

    def _of_part(self, run: slice) -> list[Floats]:
        columns = self._next(run.stop - run.start)
        # In front of a run is the last valid row of those before, which is the only one it needs.
        before = np.maximum(self._previous[run] - run.start + 1, 0)
        before = np.where(self._previous[run] < 0, -1, before)
        before = np.concatenate([[-1], before])
        flows = [
            level_flow(Level(*columns[first : first + 4]), before)[1:]
            for first in range(0, len(columns), 4)
        ]
        if (valid := np.flatnonzero(self._book.is_valid[run])).size:
            self._last_valid = columns[:, valid[-1] + 1].copy()
        return flows

    def _next(self, count: int) -> Floats:
        """Return the columns of the next rows, behind the last valid row of those before."""
        if self._room.shape[1] <= count:
            self._room = np.empty((len(self._room), count + 1))
        columns, place = self._room[:, : count + 1], 1
        columns[:, 0] = self._last_valid
        while place <= count:
            if not len(self._unused):
                self._unused = next(self._batches)
            batch = self._unused.slice(0, count + 1 - place)
            self._unused = self._unused.slice(len(batch))
            for into, values in zip(columns, batch.columns, strict=True):
                into[place : place + len(batch)] = floats(values)
            place += len(batch)
        if self._book.order is not None:
            columns[:, 1:] = columns[:, 1:][:, self._book.order]
        return columns
