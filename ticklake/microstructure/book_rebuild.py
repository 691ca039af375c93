"""The order book after each event of a depth stream, rebuilt from snapshots and differences.

A difference names the prices that changed, with their new sizes (0 removes a price), and the range
of update ids that it covers. It can only be used on a book that is complete up to its first id:

- A snapshot with last update id L needs the difference that covers `needed` (L for futures, L + 1
  for spot): the first one with `last_id >= needed`. Where it begins later (`first_id > needed`),
  updates between the two are lost: the snapshot is dropped, and the next one is awaited.
- From then on each difference must join the one before it: `previous_id` equal to the `last_id`
  before it (futures), `first_id` equal to it plus one (spot). Where it does not, there is a gap,
  and no book until another snapshot.
- A difference whose `last_id` is not above all before it came twice, or late: it says nothing new
  and is left out.

Source: Binance, "How to manage a local order book correctly" (spot, and USD-M and COIN-M futures).

A snapshot answers a request, so it may arrive after differences that it needs: those of the current
unbroken stretch are kept, up to `buffer` of them; their rows have their own times, which are before
the snapshot came. A snapshot while there is a book restarts it; the
book before goes on until the difference that the snapshot needs.

A level beyond the depth of the snapshot is known only once it changes, which the stream cannot
tell. Prices are told apart as doubles: exact up to 15 significant digits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure.book_sides import (
    LEVELS,
    Doubles,
    Ids,
    Side,
    TopLevels,
    offsets_of,
)

Times = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]

BOOK_ROWS: Final = pa.schema(
    [
        ("ts_event", pa.timestamp("us", tz="UTC")),
        ("ts_capture", pa.timestamp("us", tz="UTC")),
        ("seq", pa.int64()),
        ("is_reset", pa.bool_()),
        ("bids", LEVELS),
        ("asks", LEVELS),
    ]
)

BUFFER: Final = 2_000
"""Differences kept for a snapshot that comes late: 200 s of a stream of 100 ms."""
_BLOCK_LEVELS: Final = 8_000
_BLOCK: Final = 256
"""Levels and differences computed at once: with more, more of the book has to be looked at."""


class SequenceRule(Enum):
    """How a venue numbers its updates."""

    FUTURES = "futures"
    SPOT = "spot"

    def needed(self, last_update_id: int) -> int:
        """Return the update id that the first difference after a snapshot has to cover."""
        return last_update_id + (self is SequenceRule.SPOT)

    def joins(self, events: "BookEvents", last_id: int) -> Flags:
        """Return for each difference whether it follows the one before it without a gap."""
        before = np.concatenate(([last_id], events.last_id[:-1]))
        if self is SequenceRule.SPOT:
            return np.asarray(events.first_id == before + 1)
        return np.asarray(events.previous_id == before)


@dataclass(frozen=True, slots=True)
class Levels:
    """One side of n events: event i has the m levels from `offsets[i]` to `offsets[i + 1]`."""

    offsets: Ids  # n + 1
    price: Doubles
    size: Doubles

    def between(self, begin: int, end: int) -> "Levels":
        """Return the levels of some successive events, without copying them."""
        first, last = self.offsets[begin], self.offsets[end]
        return Levels(
            self.offsets[begin : end + 1] - first, self.price[first:last], self.size[first:last]
        )

    def where(self, kept: Flags) -> "Levels":
        """Return the levels of some events."""
        counts = np.diff(self.offsets)
        levels = np.repeat(kept, counts)
        return Levels(offsets_of(counts[kept]), self.price[levels], self.size[levels])

    def then(self, other: "Levels") -> "Levels":
        """Return the levels of these events and some more."""
        return Levels(
            np.concatenate((self.offsets, other.offsets[1:] + self.offsets[-1])),
            np.concatenate((self.price, other.price)),
            np.concatenate((self.size, other.size)),
        )


@dataclass(frozen=True, slots=True)
class BookEvents:
    """n snapshots and differences of one symbol, in the order they arrived.

    A snapshot has its last update id in `last_id`; `first_id` and `previous_id` mean nothing then.
    Spot differences have no `previous_id`. Times are datetime64[us], NaT where unknown.
    """

    is_snapshot: Flags
    first_id: Ids
    last_id: Ids
    previous_id: Ids
    ts_event: Times
    ts_capture: Times
    bids: Levels
    asks: Levels

    def __len__(self) -> int:
        return len(self.last_id)

    @staticmethod
    def none() -> "BookEvents":
        """Return no events."""
        flags, ids, times = np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, "datetime64[us]")
        levels = Levels(np.zeros(1, np.int64), np.zeros(0), np.zeros(0))
        return BookEvents(flags, ids, ids, ids, times, times, levels, levels)

    def between(self, begin: int, end: int) -> "BookEvents":
        """Return some successive events, without copying them."""
        return BookEvents(
            self.is_snapshot[begin:end],
            self.first_id[begin:end],
            self.last_id[begin:end],
            self.previous_id[begin:end],
            self.ts_event[begin:end],
            self.ts_capture[begin:end],
            self.bids.between(begin, end),
            self.asks.between(begin, end),
        )

    def where(self, kept: Flags) -> "BookEvents":
        """Return some of the events."""
        return BookEvents(
            self.is_snapshot[kept],
            self.first_id[kept],
            self.last_id[kept],
            self.previous_id[kept],
            self.ts_event[kept],
            self.ts_capture[kept],
            self.bids.where(kept),
            self.asks.where(kept),
        )

    def then(self, other: "BookEvents") -> "BookEvents":
        """Return these events and some more."""
        return BookEvents(
            np.concatenate((self.is_snapshot, other.is_snapshot)),
            np.concatenate((self.first_id, other.first_id)),
            np.concatenate((self.last_id, other.last_id)),
            np.concatenate((self.previous_id, other.previous_id)),
            np.concatenate((self.ts_event, other.ts_event)),
            np.concatenate((self.ts_capture, other.ts_capture)),
            self.bids.then(other.bids),
            self.asks.then(other.asks),
        )


@dataclass(slots=True)
class _Stretch:
    """Differences to apply one after the other, from a snapshot or from where the book is."""

    snapshot: BookEvents | None
    begin: int
    end: int
    shown_from: int
    """The first that gives a row: those before have given theirs from an earlier snapshot."""


class BookRebuild:
    """The book of one symbol. Any division of the events into chunks gives the same rows.

    A difference that was applied gives a row: the best `levels` of each side after it, best first,
    with its own times and its `last_id` as `seq`. `is_reset` is true for the first row after a
    snapshot was taken up. With `interval_us` only the last row of each interval of `ts_event` is
    shown, and every reset; an event earlier than the interval before counts to the latest one.
    """

    def __init__(
        self,
        rule: SequenceRule,
        *,
        levels: int,
        interval_us: int = 0,
        buffer: int = BUFFER,
    ) -> None:
        if levels < 1 or interval_us < 0 or buffer < 1:
            raise ValueError("levels and buffer must be at least 1, interval_us at least 0")
        self.unused = 0
        """Differences that gave no book: before the first snapshot, or after a gap."""
        self.gaps = 0
        """Differences that did not join the one before."""
        self._last_id = np.iinfo(np.int64).min
        self._rule = rule
        self._levels = levels
        self._buffer = buffer
        self._run = BookEvents.none()  # the latest differences without a gap between them
        self._waiting: BookEvents | None = None  # a snapshot ahead of the differences
        self._has_book = False
        self._is_reset = False  # whether the next row is the first after a snapshot
        self._bids = Side()
        self._asks = Side()
        self._thinning = _Thinning(interval_us)

    def feed(self, events: BookEvents) -> pa.Table:
        """Return the rows (`BOOK_ROWS`) that some more events make known."""
        events = self._without_repeats(events)
        new = events.where(~events.is_snapshot) if events.is_snapshot.any() else events
        known = len(self._run)
        joins = self._rule.joins(new, int(self._run.last_id[-1]) if known else 0)
        if not known:
            joins[:1] = False
        diffs = self._run.then(new)
        stretches, run_begin = self._sequence(events, diffs, joins, known)
        rows = self._rows(diffs, stretches)
        self._run = diffs.between(max(run_begin, len(diffs) - self._buffer), len(diffs))
        return rows

    def finish(self) -> pa.Table:
        """Return the last row, where its interval was not over."""
        return self._thinning.finish()

    def _without_repeats(self, events: BookEvents) -> BookEvents:
        ids = np.where(events.is_snapshot, self._last_id, events.last_id)
        latest = np.maximum.accumulate(np.concatenate(([self._last_id], ids)))
        self._last_id = latest[-1]
        is_new = events.is_snapshot | (events.last_id > latest[:-1])
        return events if is_new.all() else events.where(is_new)

    def _sequence(
        self, events: BookEvents, diffs: BookEvents, joins: Flags, known: int
    ) -> tuple[list[_Stretch], int]:
        """Return what to apply of the differences, and where the last unbroken run begins."""
        first_ids, last_ids = diffs.first_id.tolist(), diffs.last_id.tolist()
        joined = joins.tolist()
        stretches = [_Stretch(None, known, known, known)]
        run_begin, place = 0, known
        for arrival, is_snapshot in enumerate(events.is_snapshot.tolist()):
            if is_snapshot:
                snapshot = events.between(arrival, arrival + 1)
                needed = self._rule.needed(int(snapshot.last_id[0]))
                kept = range(max(run_begin, place - self._buffer), place)
                begin = next((i for i in kept if last_ids[i] >= needed), None)
                if begin is None:
                    self._waiting = snapshot
                elif first_ids[begin] <= needed:
                    self._waiting = None
                    shown_from = place if self._has_book else begin
                    self.unused -= place - shown_from
                    stretches.append(_Stretch(snapshot, begin, place, shown_from))
                    self._has_book = True
                continue
            if not joined[place - known]:
                self.gaps += place > 0
                run_begin = place
                self._has_book = False
            if self._waiting is not None:
                needed = self._rule.needed(int(self._waiting.last_id[0]))
                if last_ids[place] >= needed:
                    if first_ids[place] <= needed:
                        stretches.append(_Stretch(self._waiting, place, place, place))
                        self._has_book = True
                    self._waiting = None
            if self._has_book:
                stretches[-1].end = place + 1
            else:
                self.unused += 1
            place += 1
        return stretches, run_begin

    def _rows(self, diffs: BookEvents, stretches: Sequence[_Stretch]) -> pa.Table:
        places = [np.arange(item.shown_from, item.end) for item in stretches]
        resets = [np.zeros(len(place), bool) for place in places]
        for item, flags in zip(stretches, resets, strict=True):
            self._is_reset |= item.snapshot is not None
            if len(flags):
                flags[0] = self._is_reset
                self._is_reset = False
        shown = self._thinning.choose(
            diffs.ts_event[np.concatenate(places)], np.concatenate(resets)
        )
        bids, asks = TopLevels(), TopLevels()
        begin = 0
        for item, place in zip(stretches, places, strict=True):
            end = begin + len(place)
            self._apply(diffs, item, place[shown[begin:end]], bids, asks)
            begin = end
        chosen = np.concatenate(places)[shown]
        rows = pa.table(
            [
                pa.array(diffs.ts_event[chosen]).cast(BOOK_ROWS.field("ts_event").type),
                pa.array(diffs.ts_capture[chosen]).cast(BOOK_ROWS.field("ts_capture").type),
                pa.array(diffs.last_id[chosen]),
                pa.array(np.concatenate(resets)[shown]),
                bids.lists(-1.0),
                asks.lists(1.0),
            ],
            schema=BOOK_ROWS,
        )
        return self._thinning.give(rows)

    def _apply(
        self, diffs: BookEvents, item: _Stretch, shown: Ids, bids: TopLevels, asks: TopLevels
    ) -> None:
        """Apply a stretch and add the levels of each shown row to `bids` and `asks`."""
        if item.snapshot is not None:
            for side, levels, sign in self._sides(item.snapshot):
                side.load(sign * levels.price, levels.size)
        for begin, end in pairwise(_blocks(diffs, item.begin, item.end)):
            block = diffs.between(begin, end)
            first, last = np.searchsorted(shown, (begin, end))
            rows = np.searchsorted(shown[first:last], np.arange(begin, end))
            for (side, levels, sign), top in zip(self._sides(block), (bids, asks), strict=True):
                row = np.repeat(rows, np.diff(levels.offsets))
                top.add(
                    side.advance(row, sign * levels.price, levels.size, last - first, self._levels)
                )

    def _sides(self, events: BookEvents) -> Iterator[tuple[Side, Levels, float]]:
        yield self._bids, events.bids, -1.0
        yield self._asks, events.asks, 1.0


class WholeBooks:
    """The rows of messages that each hold a whole book of one symbol.

    Any division into chunks gives the same rows (`BOOK_ROWS`): the best `levels` of each side, and
    with `interval_us` the last row of each interval. `is_reset` is true for the first one only:
    each book simply is the next state.
    """

    def __init__(self, levels: int, interval_us: int = 0) -> None:
        self.without_time = 0
        """Books without an event time, which give no row."""
        self._levels = levels
        self._thinning = _Thinning(interval_us)
        self._begun = False

    def feed(self, books: BookEvents) -> pa.Table:
        """Return the rows of some more books, of which only levels, times and `last_id` count."""
        is_timed = ~np.isnat(books.ts_event)
        self.without_time += int(np.count_nonzero(~is_timed))
        books = books.where(is_timed)
        count = len(books)
        if not count:
            return BOOK_ROWS.empty_table()
        resets = np.zeros(count, bool)
        resets[0] = not self._begun
        self._begun = True
        shown = self._thinning.choose(books.ts_event, resets)
        sides = []
        for levels, sign in ((books.bids, -1.0), (books.asks, 1.0)):
            top = TopLevels()
            row = np.repeat(np.arange(count), np.diff(levels.offsets))
            top.add(Side().replace(row, sign * levels.price, levels.size, count, self._levels))
            sides.append(top.lists(sign))
        rows = pa.table(
            [
                pa.array(books.ts_event).cast(BOOK_ROWS.field("ts_event").type),
                pa.array(books.ts_capture).cast(BOOK_ROWS.field("ts_capture").type),
                pa.array(books.last_id),
                pa.array(resets),
                *sides,
            ],
            schema=BOOK_ROWS,
        )
        return self._thinning.give(rows.filter(pa.array(shown)))

    def finish(self) -> pa.Table:
        """Return the last row, if its interval was not over."""
        return self._thinning.finish()


class _Thinning:
    """Keeps the last row of each interval of event time, and every reset; 0 keeps all rows."""

    def __init__(self, interval_us: int) -> None:
        self._interval_us = interval_us
        self._latest_interval = np.iinfo(np.int64).min
        self._held = BOOK_ROWS.empty_table()  # the last row, until its interval is over
        self._holds = 0

    def choose(self, ts_event: Times, resets: Flags) -> Flags:
        """Return which of some more rows to show. `give` has to be called with these."""
        self._holds = 0
        if not self._interval_us or not len(ts_event):
            return np.ones(len(ts_event), bool)
        intervals = ts_event.view(np.int64) // self._interval_us
        intervals = np.maximum.accumulate(np.concatenate(([self._latest_interval], intervals)))
        is_last = np.append(intervals[1:-1] < intervals[2:], True)
        if intervals[1] == intervals[0]:
            self._held = BOOK_ROWS.empty_table()
        self._latest_interval = intervals[-1]
        self._holds = int(not resets[-1])
        return np.asarray(is_last | resets)

    def give(self, rows: pa.Table) -> pa.Table:
        """Return the rows that no later one can supersede."""
        if not self._interval_us or not rows.num_rows:
            return rows
        rows = pa.concat_tables([self._held, rows])
        ended = rows.num_rows - self._holds
        self._held = rows.slice(ended)
        return rows.slice(0, ended)

    def finish(self) -> pa.Table:
        """Return the last row, if its interval was not over."""
        rows, self._held = self._held, BOOK_ROWS.empty_table()
        return rows


def _blocks(diffs: BookEvents, begin: int, end: int) -> list[int]:
    """Return where to cut some differences, so that few enough levels change in a block."""
    levels = diffs.bids.offsets + diffs.asks.offsets
    cuts = [begin]
    while cuts[-1] < end:
        enough = int(np.searchsorted(levels, levels[cuts[-1]] + _BLOCK_LEVELS))
        cuts.append(min(max(enough, cuts[-1] + 1), cuts[-1] + _BLOCK, end))
    return cuts
