"""The order book after each message of a stream that lists changed levels, one a row.

This is the form of Tardis's `incremental_book_L2`. A row says the new size of one price (0 removes
it), and whether it is part of a snapshot. Rows of one message have one capture time, and those of a
snapshot one exchange time too. Before the first snapshot there is no book. Source: docs.tardis.dev,
FAQ, on rebuilding the book from `incremental_book_L2`.

Every snapshot replaces the book, also one that follows another: some venues send nothing else, and
a recorder may reconnect twice in a row. A venue may send one snapshot in several messages. A
snapshot message is a part of the one before if both have the same exchange time, no price in
common, and together no bid at or above an ask. Such messages count as one.

There are no sequence numbers, so a gap shows only if the recorder saw one and asked for another
snapshot. Prices are compared as doubles: exact up to 15 significant digits.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure.book_rebuild import BOOK_ROWS, Flags, Times
from ticklake.microstructure.book_sides import BLOCK, Doubles, Ids, Side, TopLevels


@dataclass(frozen=True, slots=True)
class LevelChanges:
    """n changed levels of one symbol in the order they arrived. Times are datetime64[us]."""

    ts_event: Times
    ts_capture: Times
    is_snapshot: Flags
    is_bid: Flags
    price: Doubles
    size: Doubles

    def __len__(self) -> int:
        return len(self.price)

    @staticmethod
    def none() -> "LevelChanges":
        """Return no changes."""
        times, flags, numbers = np.zeros(0, "datetime64[us]"), np.zeros(0, bool), np.zeros(0)
        return LevelChanges(times, times, flags, flags, numbers, numbers)

    def between(self, begin: int, end: int) -> "LevelChanges":
        """Return some successive changes, without copying them."""
        return LevelChanges(
            self.ts_event[begin:end],
            self.ts_capture[begin:end],
            self.is_snapshot[begin:end],
            self.is_bid[begin:end],
            self.price[begin:end],
            self.size[begin:end],
        )

    def then(self, other: "LevelChanges") -> "LevelChanges":
        """Return these changes and some more."""
        return LevelChanges(
            np.concatenate((self.ts_event, other.ts_event)),
            np.concatenate((self.ts_capture, other.ts_capture)),
            np.concatenate((self.is_snapshot, other.is_snapshot)),
            np.concatenate((self.is_bid, other.is_bid)),
            np.concatenate((self.price, other.price)),
            np.concatenate((self.size, other.size)),
        )


class BookChanges:
    """The book of one symbol. Any division of the changes into chunks gives the same rows.

    Each message gives one row (`BOOK_ROWS`, `seq` null): the best `levels` of each side after it,
    best first, with the times of its last change.

    `is_reset` is true for the first snapshot, and for every snapshot of a symbol that also has
    updates: another snapshot means that updates may have been missed. As long as a symbol has
    snapshots only, each of them simply is the next state of the book.
    """

    def __init__(self, levels: int) -> None:
        if levels < 1:
            raise ValueError("levels must be at least 1")
        self.unused = 0
        """Changes that gave no book: before a snapshot, or after `lose`."""
        self._levels = levels
        self._waiting = LevelChanges.none()  # the latest message, which may go on
        self._has_book = False
        self._has_updates = False  # whether any change so far was not of a snapshot
        self._bids = Side()
        self._asks = Side()

    def feed(self, changes: LevelChanges) -> pa.Table:
        """Return the rows of the messages that some more changes complete."""
        known = self._waiting.then(changes)
        starts = _message_starts(known)
        complete = int(starts[-1]) if len(starts) else 0
        self._waiting = known.between(complete, len(known))
        return self._rows(known.between(0, complete), starts[:-1])

    def finish(self) -> pa.Table:
        """Return the row of the last message."""
        last, self._waiting = self._waiting, LevelChanges.none()
        return self._rows(last, _message_starts(last))

    def lose(self) -> None:
        """Forget the book: a change could not be read. The next snapshot starts it again.

        The message that was being read gives no row: it may be the one that lacks a change.
        """
        self.unused += len(self._waiting)
        self._waiting = LevelChanges.none()
        self._has_book = False

    def _rows(self, changes: LevelChanges, starts: Ids) -> pa.Table:
        if not len(starts):
            return BOOK_ROWS.empty_table()
        is_snapshot = changes.is_snapshot[starts]
        first = 0
        if not self._has_book:
            first = int(np.argmax(is_snapshot)) if is_snapshot.any() else len(starts)
        is_reset = is_snapshot & (self._has_updates | (np.cumsum(~is_snapshot) > 0))
        if not self._has_book:
            is_reset[first : first + 1] = True
        ends = np.append(starts[1:], len(changes))
        self.unused += int(starts[first]) if first < len(starts) else len(changes)
        self._has_book |= first < len(starts)
        self._has_updates |= not is_snapshot.all()
        bids, asks = TopLevels(), TopLevels()
        turns = np.flatnonzero(np.diff(is_snapshot)) + 1
        cuts = {
            first,
            len(starts),
            *range(first, len(starts), BLOCK),
            *turns[turns > first].tolist(),
        }
        for begin, end in itertools.pairwise(sorted(cuts)):
            self._apply(changes, starts[begin:end], int(ends[end - 1]), bids, asks)
        latest = ends[first:] - 1
        return pa.table(
            [
                pa.array(changes.ts_event[latest]).cast(BOOK_ROWS.field("ts_event").type),
                pa.array(changes.ts_capture[latest]).cast(BOOK_ROWS.field("ts_capture").type),
                pa.nulls(len(latest), pa.int64()),
                pa.array(is_reset[first:]),
                bids.lists(-1.0),
                asks.lists(1.0),
            ],
            schema=BOOK_ROWS,
        )

    def _apply(
        self, changes: LevelChanges, starts: Ids, end: int, bids: TopLevels, asks: TopLevels
    ) -> None:
        """Apply some snapshots, or else some updates, and add the levels after each of them."""
        begin = int(starts[0])
        counts = np.diff(np.append(starts, end))
        row = np.repeat(np.arange(len(starts)), counts)
        block = changes.between(begin, end)
        for side, chosen, sign, top in (
            (self._bids, block.is_bid, -1.0, bids),
            (self._asks, ~block.is_bid, 1.0, asks),
        ):
            apply = side.replace if changes.is_snapshot[begin] else side.advance
            keys, sizes = sign * block.price[chosen], block.size[chosen]
            top.add(apply(row[chosen], keys, sizes, len(starts), self._levels))


def _message_starts(changes: LevelChanges) -> Ids:
    """Return the place of the first change of each message."""
    if not len(changes):
        return np.zeros(0, np.int64)
    is_snapshot = changes.is_snapshot
    has_other_time: npt.NDArray[np.bool_] = changes.ts_event[1:] != changes.ts_event[:-1]
    differs: npt.NDArray[np.bool_] = changes.ts_capture[1:] != changes.ts_capture[:-1]
    differs = differs | (is_snapshot[1:] != is_snapshot[:-1]) | (is_snapshot[1:] & has_other_time)
    starts = np.flatnonzero(np.concatenate(([True], differs)))
    may_continue = is_snapshot[starts[1:]] & is_snapshot[starts[1:] - 1]
    may_continue &= ~has_other_time[starts[1:] - 1]
    if not may_continue.any():
        return starts
    whole = [0]
    ends = np.append(starts[1:], len(changes))
    for start, end, may in zip(starts[1:], ends[1:], may_continue, strict=True):
        if not (may and _is_one_snapshot(changes, whole[-1], int(start), int(end))):
            whole.append(int(start))
    return np.array(whole)


def _is_one_snapshot(changes: LevelChanges, begin: int, middle: int, end: int) -> bool:
    """Return whether two successive snapshot messages can be parts of one snapshot."""
    is_bid, price = changes.is_bid, changes.price
    for is_side in (is_bid, ~is_bid):
        first = price[begin:middle][is_side[begin:middle]]
        second = price[middle:end][is_side[middle:end]]
        if np.intersect1d(first, second).size:
            return False
    bids = price[begin:end][is_bid[begin:end]]
    asks = price[begin:end][~is_bid[begin:end]]
    return bool(bids.max(initial=-np.inf) < asks.min(initial=np.inf))
