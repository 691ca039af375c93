"""Blocks that go on in another segment: there, positions count on where they stopped."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ticklake.fills.columns import Numbers
from ticklake.fills.segments import FIRST, NO_POSITION, POSITION_COLUMNS, Positions, Rows, Segment


@dataclass(frozen=True, slots=True, eq=False)
class Continued:
    """Of one segment, the blocks that began in an earlier one, and how many fills those had."""

    blocks: Rows
    sizes: Rows

    def __call__(self, block: Numbers, position: Numbers) -> Numbers:
        """Return positions in whole blocks for positions in the blocks of this segment."""
        if not len(self.blocks):
            return position
        places = np.minimum(np.searchsorted(self.blocks, block), len(self.blocks) - 1)
        goes_on = (self.blocks[places] == block) & (position != NO_POSITION)
        return np.asarray(np.where(goes_on, position + self.sizes[places], position))


def continued(segments: Sequence[Segment], ranges: Sequence[Rows]) -> Sequence[Continued]:
    """Compare the blocks of segments in order of arrival.

    `ranges` has the lowest and the highest block of each row group, as `Scan.blocks`. A part of a
    block has one more fills than its highest position says. Only row groups that may have a block
    of another segment are read. Where negative positions make earlier parts smaller than nothing,
    positions stay, though SQL counts back.
    """
    hulls = np.array([_hull(blocks) for blocks in ranges], np.int64).reshape(-1, 2)
    parts = []
    for number, segment in enumerate(segments):
        others = np.delete(hulls, number, axis=0)
        shared = np.column_stack(
            (np.maximum(others[:, 0], hulls[number, 0]), np.minimum(others[:, 1], hulls[number, 1]))
        )
        low, high = _hull(shared)
        sizes = [np.empty((0, 2), np.int64)]
        for group in segment.groups:
            if ranges[number][group, 0] <= high and ranges[number][group, 1] >= low:
                sizes.append(_part_sizes(segment, group, low, high))
        block, size = _largest(np.concatenate(sizes)).T
        parts.append(np.column_stack((block, np.full(len(block), number), size)))
    block, number, size = np.concatenate([np.empty((0, 3), np.int64), *parts]).T
    order = np.lexsort((number, block))
    block, number, size = block[order], number[order], size[order]
    before = np.cumsum(size) - size
    begins = np.searchsorted(block, block)
    earlier = before - before[begins] if len(block) else before
    goes_on = earlier > 0
    return [
        Continued(block[mine], earlier[mine])
        for mine in (goes_on & (number == own) for own in range(len(segments)))
    ]


def _hull(ranges: Rows) -> tuple[int, int]:
    """Return the lowest and the highest number of some ranges; if none, the first is above it."""
    some = ranges[ranges[:, 0] <= ranges[:, 1]]
    return (int(some[:, 0].min()), int(some[:, 1].max())) if len(some) else (1, 0)


def _part_sizes(segment: Segment, group: int, low: int, high: int) -> Rows:
    positions = Positions.of(segment.read(group, POSITION_COLUMNS))
    position = np.where(positions.position == NO_POSITION, -1, positions.position)
    mine = (positions.block != FIRST) & (positions.block >= low) & (positions.block <= high)
    return _largest(np.column_stack((positions.block[mine], position[mine] + 1)))


def _largest(sizes: Rows) -> Rows:
    """Return each block once, in order, with the largest of its sizes."""
    ordered = sizes[np.lexsort((sizes[:, 1], sizes[:, 0]))]
    is_last = np.ones(len(ordered), np.bool_)
    is_last[:-1] = ordered[1:, 0] != ordered[:-1, 0]
    return np.asarray(ordered[is_last])
