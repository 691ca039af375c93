"""The order of all rows of a day, as pieces of its segments."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.fills.columns import SIDES, Numbers, filled
from ticklake.fills.continued import Continued
from ticklake.fills.segments import (
    LAST,
    POSITION_COLUMNS,
    Positions,
    Rows,
    Segment,
    gathered,
    rows_of,
    text_ranks,
)
from ticklake.fills.stretches import Stretch, coin_order

PASSED: Final = 1 << 16
"""Rows that are handed on together where nothing overlaps."""
TIE_COLUMNS: Final = ("tid", "user", "oid", "side")

Ties = Callable[[Rows], Mapping[str, pa.Array]]
"""Returns the columns that decide between some rows in the same place."""


def in_order(group: Numbers, positions: Positions, ties: Ties) -> Rows:
    """Return the order of rows by group and position; of equal ones by tid, user, oid and side.

    Rows that are equal in all of it, which are one fill, stay as they come.
    """
    keys = (positions.position, positions.block, positions.time, group)
    order = np.lexsort(keys)
    is_tied = np.ones(len(order), np.bool_)
    is_tied[:1] = False
    for key in keys:
        is_tied[1:] &= key[order[1:]] == key[order[:-1]]
    if is_tied.any():
        places = np.flatnonzero(is_tied | np.append(is_tied[1:], False))
        rows = order[places]
        columns = ties(rows)
        inside = np.lexsort(
            (
                filled(pc.index_in(columns["side"], pa.array([*SIDES])), len(SIDES)),
                filled(columns["oid"], LAST),
                text_ranks(columns["user"]),
                filled(columns["tid"], LAST),
                np.cumsum(~is_tied[places]),
            )
        )
        order[places] = rows[inside]
    return order


def pieces(
    segments: Sequence[Segment],
    stretches: Iterable[Stretch],
    continued: Sequence[Continued],
    left_out: Sequence[Rows],
    at_once: int,
) -> Iterator[Rows]:
    """Yield all rows that stay, in order, as (n, 3): the number of a segment, begin and end in it.

    Stretches that do not overlap come one behind the other. Where some do, their rows are compared,
    about `at_once` at a time.
    """
    day = _Day(segments, continued, left_out)
    waiting: list[Sequence[Stretch]] = []
    compared = passed = 0
    for group in _overlapping(map(day.counted_on, filter(day.stays, stretches))):
        size = sum(one.end - one.begin for one in group)
        if len(group) > 1 and size > at_once:
            if waiting:
                yield day.pieces_of(waiting)
            waiting, compared, passed = [], 0, 0
            yield from day.windows(group, at_once)
            continue
        waiting.append(group)
        compared += size if len(group) > 1 else 0
        passed += size
        if compared >= at_once or (not compared and passed >= PASSED):
            yield day.pieces_of(waiting)
            waiting, compared, passed = [], 0, 0
    if waiting:
        yield day.pieces_of(waiting)


def _overlapping(stretches: Iterable[Stretch]) -> Iterator[Sequence[Stretch]]:
    """Yield stretches by coin and position, those together of which one begins before others end.

    A common place of two stretches counts as overlap.
    """
    group: list[Stretch] = []
    last = None
    ordered = sorted(stretches, key=lambda one: (coin_order(one.coin), one.first, one.last))
    for one in ordered:
        if last is not None and group[0].coin == one.coin and one.first <= last:
            last = max(last, one.last)
        else:
            if group:
                yield group
            group, last = [], one.last
        group.append(one)
    if group:
        yield group


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """The segments of a day, and what is known of their rows."""

    segments: Sequence[Segment]
    continued: Sequence[Continued]
    left_out: Sequence[Rows]

    def stays(self, stretch: Stretch) -> bool:
        """Say whether any row of a stretch stays."""
        return len(self._out(stretch)) < stretch.end - stretch.begin

    def counted_on(self, stretch: Stretch) -> Stretch:
        """Return a stretch with its positions in whole blocks."""
        count = self.continued[stretch.segment]
        if not len(count.blocks):
            return stretch
        ends = np.array([stretch.first, stretch.last], np.int64)
        first, last = count(ends[:, 1], ends[:, 2]).tolist()
        return replace(stretch, first=(*stretch.first[:2], first), last=(*stretch.last[:2], last))

    def pieces_of(self, groups: Sequence[Sequence[Stretch]]) -> Rows:
        """Return the pieces of some groups of stretches, one group after the other."""
        compared = iter(self._compared([group for group in groups if len(group) > 1]))
        found = [next(compared) if len(group) > 1 else self._parts(group[0]) for group in groups]
        return np.concatenate(found)

    def _out(self, stretch: Stretch) -> Rows:
        """Return which rows of a stretch are left out."""
        out = self.left_out[stretch.segment]
        if not len(out):
            return out
        begin, end = np.searchsorted(out, (stretch.begin, stretch.end))
        return out[begin:end]

    def _parts(self, stretch: Stretch) -> Rows:
        """Return what stays of a stretch."""
        out = self._out(stretch)
        if not len(out):
            return np.array([[stretch.segment, stretch.begin, stretch.end]], np.int64)
        begins = np.append(stretch.begin, out + 1)
        ends = np.append(out, stretch.end)
        parts = np.column_stack((np.full(len(begins), stretch.segment), begins, ends))
        return np.asarray(parts[begins < ends])

    def _compared(self, groups: Sequence[Sequence[Stretch]]) -> Sequence[Rows]:
        """Return the pieces of each group of stretches that overlap."""
        if not groups:
            return []
        parts = [self._rows(group) for group in groups]
        group = np.repeat(np.arange(len(groups)), [len(part) for part in parts])
        rows = np.concatenate(parts)
        rows = rows[self._order(group, rows, self._positions(rows))]
        cuts = np.cumsum([len(part) for part in parts])[:-1]
        return [_slices(some) for some in np.split(rows, cuts)]

    def windows(self, group: Sequence[Stretch], at_once: int) -> Iterator[Rows]:
        """Yield the pieces of stretches that are too many rows to be put in order at once.

        Rows before the first place of the next stretch can go, the others wait for it.
        """
        rows, positions = self._rows([]), Positions.none()
        begin = 0
        while begin < len(group):
            end, size = begin, 0
            while end < len(group) and (not size or size < at_once):
                size += group[end].end - group[end].begin
                end += 1
            some = self._rows(group[begin:end])
            rows, positions = np.concatenate((rows, some)), positions.then(self._positions(some))
            order = self._order(np.zeros(len(rows), np.int64), rows, positions)
            rows, positions = rows[order], positions[order]
            full = positions.count_before(group[end].first) if end < len(group) else len(rows)
            if full:
                yield _slices(rows[:full])
            rows, positions = rows[full:], positions[full:]
            begin = end

    def _rows(self, stretches: Sequence[Stretch]) -> Rows:
        """Return the rows that stay of some stretches in order of arrival: segment and row."""
        arrived = sorted(stretches, key=lambda one: (one.segment, one.begin))
        parts = [np.empty((0, 3), np.int64), *map(self._parts, arrived)]
        segment, begin, end = np.concatenate(parts).T
        size = end - begin
        return np.column_stack((np.repeat(segment, size), rows_of(begin, size)))

    def _positions(self, rows: Rows) -> Positions:
        """Return the positions of some rows in whole blocks."""
        positions = Positions.of(gathered(self.segments, rows[:, 0], rows[:, 1], POSITION_COLUMNS))
        position = positions.position.copy()
        for number, count in enumerate(self.continued):
            mine = rows[:, 0] == number
            position[mine] = count(positions.block[mine], position[mine])
        return replace(positions, position=position)

    def _order(self, group: Rows, rows: Rows, positions: Positions) -> Rows:
        def ties(some: Rows) -> Mapping[str, pa.Array]:
            return gathered(self.segments, rows[some, 0], rows[some, 1], TIE_COLUMNS)

        return in_order(group, positions, ties)


def _slices(rows: Rows) -> Rows:
    """Join rows, given by segment and row, that follow each other to pieces."""
    number, row = rows.T
    goes_on = (np.diff(number) == 0) & (np.diff(row) == 1)
    begins = np.append(0, np.flatnonzero(~goes_on) + 1)
    ends = np.append(begins[1:], len(row))
    return np.column_stack((number[begins], row[begins], row[ends - 1] + 1))
