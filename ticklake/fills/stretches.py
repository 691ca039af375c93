"""Stretches of a segment: rows of a coin in one row group that follow each other and are in order.

A segment that landing sorted in blocks has few: about one for each coin of each block.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ticklake.fills.columns import Numbers, filled
from ticklake.fills.segments import FIRST, POSITION_COLUMNS, Positions, Rows, Segment
from ticklake.microstructure.compiled import compiled

Position = tuple[int, int, int]
"""Time, block, position in the block."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one coin from `begin` to `end`, and the positions of the first and the last."""

    coin: str | None
    segment: int
    begin: int
    end: int
    first: Position
    last: Position


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What a segment holds, and in which order."""

    stretches: Sequence[Stretch]
    blocks: Rows
    """(row groups, 2): the lowest and the highest block number; where a row group has none, the
    first is above the second."""


def scan(segment: Segment, number: int, most_runs: int) -> Scan | None:
    """Find the stretches of a segment; None where it has more than `most_runs` sorted runs.

    A run ends where a coin comes after a higher one, and where a row of the same coin is not behind
    the row before it. Of rows in the same place it is not known here which one is first, unless the
    segment is clustered.
    """
    found: list[Stretch] = []
    blocks = np.empty((len(segment.groups), 2), np.int64)
    runs = 1
    for group in segment.groups:
        columns = segment.read(group, ("coin", *POSITION_COLUMNS))
        positions = Positions.of(columns)
        numbered = positions.block[positions.block != FIRST]
        blocks[group] = (numbered.min(), numbered.max()) if len(numbered) else (1, 0)
        coins = [*columns["coin"].dictionary.to_pylist(), None]
        codes = filled(columns["coin"].indices, -1)
        starts = np.empty(len(codes), np.int64)
        falls, count = _starts(
            _ranks(coins)[codes],
            positions.time,
            positions.block,
            positions.position,
            segment.is_clustered,
            starts,
        )
        runs += falls
        if runs > most_runs:
            return None
        bounds = [*starts[:count].tolist(), len(codes)]
        for begin, end in itertools.pairwise(bounds):
            at = int(segment.bounds[group])
            first, last = positions.at(begin), positions.at(end - 1)
            one = Stretch(coins[codes[begin]], number, at + begin, at + end, first, last)
            if found and not begin:
                runs += not _is_behind(found[-1], one, segment.is_clustered)
            found.append(one)
    return Scan(found, blocks) if runs <= most_runs else None


def coin_order(coin: str | None) -> tuple[bool, str]:
    """Return by what coins are ordered: as UTF-8, null last."""
    return coin is None, coin or ""


def _is_behind(before: Stretch, after: Stretch, is_clustered: bool) -> bool:
    """Say whether a stretch that begins a row group goes on with the run of the one before it."""
    if before.coin != after.coin:
        return coin_order(before.coin) < coin_order(after.coin)
    return before.last < after.first or (is_clustered and before.last == after.first)


def _ranks(coins: Sequence[str | None]) -> Numbers:
    ordered = {coin: rank for rank, coin in enumerate(sorted(set(coins), key=coin_order))}
    return np.array([ordered[coin] for coin in coins], np.int64)


@compiled
def _starts(
    ranks: Numbers,
    time: Numbers,
    block: Numbers,
    position: Numbers,
    is_clustered: bool,
    starts: npt.NDArray[np.int64],
) -> tuple[int, int]:
    """Note where stretches start; return how many sorted runs end, and how many stretches start."""
    falls, count = 0, 0
    for row in range(len(ranks)):
        is_behind = False
        if row > 0 and ranks[row] == ranks[row - 1]:
            if time[row] != time[row - 1]:
                is_behind = time[row] > time[row - 1]
            elif block[row] != block[row - 1]:
                is_behind = block[row] > block[row - 1]
            elif position[row] != position[row - 1]:
                is_behind = position[row] > position[row - 1]
            else:
                is_behind = is_clustered
        if not is_behind:
            starts[count] = row
            count += 1
            if row > 0 and ranks[row] <= ranks[row - 1]:
                falls += 1
    return falls, count
