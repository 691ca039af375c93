"""The order book of a listing over time, and the trades that consumed it.

The book is drawn first: best prices follow the fair price, and each level's size is a hash of its
price and of how often it was renewed, so that a level stays what it is for a while and no loop over
the events is needed. Trades are then what left the ask when its size fell or its price rose (buys),
and the bid likewise (sells).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ticklake.sample.listings import Listing
from ticklake.sample.prices import PricePath

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
_Number = TypeVar("_Number", np.int64, np.float64)

BID: Final = 1
ASK: Final = -1
RENEWAL: Final = 32
"""A level keeps its size for about so many events."""
DECAY: Final = 40.0
"""Ticks from the best price, at renewal, over which a level's size falls by a factor of e."""
TRADED_SHARE: Final = 0.6
"""How many of the falls at the best price are trades; the rest are cancelled orders."""
MOST_SWEPT: Final = 2
FAULTS: Final = ("crossed", "locked", "no asks", "no bids", "empty")
FAULT_LENGTH: Final = 3
LOST_IDS: Final = 150
"""After so many groups of prints one trade id is left out: a print without price or size."""

# Sizes are drawn from tables by hash bits: much cheaper than drawing each from a distribution.
_TABLE_BITS: Final = 10
_QUANTILES: Final = (np.arange(2**_TABLE_BITS) + 0.5) / 2**_TABLE_BITS
_EXPONENTIAL: Final = -np.log1p(-_QUANTILES)
_SKEWED: Final = 0.05 + _EXPONENTIAL**1.5


@dataclass(frozen=True, slots=True)
class Book:
    """The book after each event.

    Level k of a side lies k ticks behind its best price; a size of 0 says that nothing is there.
    """

    listing: Listing
    ts_us: Ints
    update_id: Ints
    best_bid: Ints
    """In ticks, as are the best asks."""
    best_ask: Ints
    bid_lots: Ints
    """(events, levels)"""
    ask_lots: Ints
    is_sound: NDArray[np.bool_]
    """Not crossed, locked, one-sided or empty."""

    def __len__(self) -> int:
        return len(self.ts_us)

    def levels(self, event: int, side: int) -> list[tuple[int, int]]:
        """Return the levels of a side after an event, best first, as units of price and size."""
        best = int((self.best_bid if side == BID else self.best_ask)[event])
        lots = (self.bid_lots if side == BID else self.ask_lots)[event]
        tick, lot = self.listing.tick, self.listing.lot
        return [
            ((best - side * level) * tick, int(lots[level]) * lot)
            for level in np.flatnonzero(lots).tolist()
        ]


@dataclass(frozen=True, slots=True)
class Trades:
    """Prints in order. Those that took one level at once share `group`."""

    listing: Listing
    event: Ints
    """The book event that shows their effect."""
    ts_us: Ints
    price: Ints
    """Units."""
    size: Ints
    is_buy: NDArray[np.bool_]
    """The aggressor bought."""
    group: Ints
    id: Ints
    group_id: Ints

    def __len__(self) -> int:
        return len(self.ts_us)

    def groups(self, first: int, last: int) -> list[range]:
        """Return the rows of each group that begins in a range of rows."""
        starts = np.flatnonzero(np.diff(self.group, prepend=-1))
        ends = np.append(starts[1:], len(self))
        within = slice(*np.searchsorted(starts, [first, last]))
        return [
            range(begin, end)
            for begin, end in zip(starts[within].tolist(), ends[within].tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Changes:
    """Level changes of one side, by event and ascending price; size 0 takes the level away."""

    event: Ints
    price: Ints
    size: Ints

    def by_event(self, events: range) -> dict[int, list[tuple[int, int]]]:
        """Return price and size of the changes of each of these events that has any."""
        rows = slice(*np.searchsorted(self.event, [events.start, events.stop]))
        columns = (self.event[rows], self.price[rows], self.size[rows])
        found: dict[int, list[tuple[int, int]]] = {}
        for event, price, size in zip(*(column.tolist() for column in columns), strict=True):
            found.setdefault(event, []).append((price, size))
        return found


def event_times(
    rng: np.random.Generator, begin_us: int, end_us: int, count: int, resolution_us: int = 1_000
) -> Ints:
    """Return about Poisson instants, of which a third come in bursts, some at the same instant."""
    gaps = rng.exponential(1.0, count)
    gaps[rng.random(count) < 0.35] *= 0.001
    places = np.cumsum(gaps)
    span = end_us - begin_us
    times = begin_us + (places / (places[-1] + 1.0) * span).astype(np.int64)
    rounded: Ints = times // resolution_us * resolution_us
    return rounded


def simulate_book(
    listing: Listing,
    path: PricePath,
    ts_us: Ints,
    rng: np.random.Generator,
    *,
    levels: int = 64,
    density: float = 0.4,
    faults_at: Sequence[int] = (),
) -> Book:
    """Return the book at each of `ts_us`.

    `density` is the share of the levels behind the best price where there is an order. At each of
    `faults_at` the book is wrong for a few events: with one of `FAULTS` after the other.
    """
    count = len(ts_us)
    noise = _held(rng, rng.normal(0, 0.7, count), 0.3)
    spread = _held(rng, rng.geometric(0.75, count), 0.2)
    fair = path.at(ts_us) * (1 + listing.premium) * 10.0**listing.price_digits / listing.tick
    bid = np.floor(fair + noise).astype(np.int64)
    ask = bid + spread
    seed = int(rng.integers(2**62))
    is_at_ask = rng.random(count) < 0.5
    bid_lots = _lots(listing, bid, BID, ~is_at_ask, seed, levels, density)
    ask_lots = _lots(listing, ask, ASK, is_at_ask, seed, levels, density)
    is_sound = np.ones(count, np.bool_)
    for number, begin in enumerate(faults_at):
        rows = slice(begin, begin + FAULT_LENGTH)
        is_sound[rows] = False
        kind = FAULTS[number % len(FAULTS)]
        if kind == "crossed":
            bid[rows] = ask[rows] + 2
        elif kind == "locked":
            bid[rows] = ask[rows]
        if kind in ("no asks", "empty"):
            ask_lots[rows] = 0
        if kind in ("no bids", "empty"):
            bid_lots[rows] = 0
    steps = rng.integers(40, 6_000, count)
    update_id = 5_123_107_832_006 + np.cumsum(steps)
    return Book(listing, ts_us, update_id, bid, ask, bid_lots, ask_lots, is_sound)


def trades_of(book: Book, rng: np.random.Generator, first_id: int) -> Trades:
    """Return the trades that explain part of what left the best prices of a book."""
    parts = [_taken(book, side, rng) for side in (ASK, BID)]
    event = np.concatenate([part[0] for part in parts])
    level = np.concatenate([part[1] for part in parts])
    price = np.concatenate([part[2] for part in parts])
    lots = np.concatenate([part[3] for part in parts])
    is_buy = np.repeat([True, False], [len(part[0]) for part in parts])
    order = np.lexsort((level, is_buy, event))
    event, price, lots, is_buy = event[order], price[order], lots[order], is_buy[order]

    # Between the event before and the one that shows it; one taker's prints at one instant.
    before, after = book.ts_us[event - 1], book.ts_us[event]
    delay = (rng.random(len(book)) * 8_000).astype(np.int64)[event]
    ts_us = np.maximum(before, after - delay // 1_000 * 1_000)

    # An aggregate of up to three prints: what it took from one maker each.
    prints = np.minimum(1 + rng.poisson(0.3, len(event)), np.minimum(lots, 3))
    group = np.repeat(np.arange(len(event)), prints)
    number = np.arange(len(group)) - np.repeat(np.cumsum(prints) - prints, prints)
    share = lots // prints
    rest = lots - share * (prints - 1)
    size = np.where(number == 0, rest[group], share[group]) * book.listing.lot
    return Trades(
        book.listing,
        event[group],
        ts_us[group],
        price[group] * book.listing.tick,
        size,
        is_buy[group],
        group,
        first_id + np.arange(len(group)) + group // LOST_IDS,
        first_id // 3 + group,
    )


def changes_of(book: Book, side: int) -> Changes:
    """Return what each event changed on one side; the first event brings the whole side."""
    best = book.best_bid if side == BID else book.best_ask
    lots = book.bid_lots if side == BID else book.ask_lots
    levels = lots.shape[1]
    offsets = np.arange(levels)
    before = np.roll(best, 1)
    lots_before = np.roll(lots, 1, axis=0)
    lots_before[0] = 0
    # How many ticks worse the best price is now than it was.
    shift = (before - best) * side

    here = _shifted(lots_before, shift, offsets)
    event, level = np.nonzero(lots != here)
    price, size = best[event] - side * level, lots[event, level]
    # What lies outside of the levels that are kept now.
    now = offsets - shift[:, None]
    gone_event, gone_level = np.nonzero((lots_before > 0) & ((now < 0) | (now >= levels)))
    event = np.concatenate([event, gone_event])
    price = np.concatenate([price, before[gone_event] - side * gone_level])
    size = np.concatenate([size, np.zeros(len(gone_event), np.int64)])
    order = np.lexsort((price, event))
    listing = book.listing
    return Changes(event[order], price[order] * listing.tick, size[order] * listing.lot)


def _taken(book: Book, side: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints, Ints]:
    """Return event, level, price (ticks) and lots of what was traded away from a side."""
    best = book.best_bid if side == BID else book.best_ask
    lots = book.bid_lots if side == BID else book.ask_lots
    may = book.is_sound.copy()
    may[1:] &= book.is_sound[:-1]
    may[0] = False
    may &= rng.random(len(book)) < TRADED_SHARE
    fallen = np.zeros(len(book), np.int64)
    fallen[1:] = (best[:-1] - best[1:]) * side  # ticks that the best price moved back

    touched = np.flatnonzero(may & (fallen == 0))
    left = lots[touched - 1, 0] - lots[touched, 0]
    touched, left = touched[left > 0], left[left > 0]

    swept = np.flatnonzero(may & (fallen > 0))
    first = min(MOST_SWEPT, lots.shape[1])
    is_swept = np.arange(first) < fallen[swept][:, None]
    row, level = np.nonzero(is_swept & (lots[swept - 1, :first] > 0))
    swept = swept[row]
    event = np.concatenate([touched, swept])
    depth = np.concatenate([np.zeros(len(touched), np.int64), level])
    price = best[event - 1] - side * depth
    return event, depth, price, np.concatenate([left, lots[swept - 1, level]])


def _lots(
    listing: Listing,
    best: Ints,
    side: int,
    is_here: NDArray[np.bool_],
    seed: int,
    levels: int,
    density: float,
) -> Ints:
    """Return the size in lots of each level; the best one also changes with each event here."""
    prices = best[:, None] - side * np.arange(levels)
    place = _mixed(prices.astype(np.uint64) * np.uint64(2) + np.uint64(side == BID), seed)
    phase = (place % np.uint64(RENEWAL)).astype(np.int64)
    renewal = (np.arange(len(best))[:, None] + phase) // RENEWAL
    drawn = _mixed(place + renewal.astype(np.uint64), seed + 1)
    renewed_at = np.clip(renewal * RENEWAL - phase, 0, None)
    distance = np.abs(best[renewed_at] - prices)
    usual = _SKEWED[(drawn >> np.uint64(20)).astype(np.int64) % len(_SKEWED)]
    scale = listing.touch_lots * np.exp(-np.minimum(distance, 2 * DECAY) / DECAY)
    lots = np.maximum(usual * scale, 1).astype(np.int64)
    is_there = (drawn % np.uint64(1 << 16)).astype(np.int64) < density * (1 << 16)
    is_there[:, 0] = True
    turn = _mixed(place[:, 0] + np.cumsum(is_here).astype(np.uint64), seed + 2)
    queue = _EXPONENTIAL[(turn >> np.uint64(20)).astype(np.int64) % len(_EXPONENTIAL)]
    lots[:, 0] += (queue * listing.touch_lots * 0.2).astype(np.int64)
    return np.where(is_there, lots, 0)


def _shifted(lots: Ints, shift: Ints, offsets: Ints) -> Ints:
    """Return the sizes at the prices of other offsets: `offsets + shift`, 0 outside."""
    place = offsets + shift[:, None]
    inside = (place >= 0) & (place < lots.shape[1])
    return np.where(inside, np.take_along_axis(lots, np.where(inside, place, 0), axis=1), 0)


def _held(rng: np.random.Generator, values: NDArray[_Number], chance: float) -> NDArray[_Number]:
    """Return values of which each is held until, with this chance at each event, the next one."""
    renewed = rng.random(len(values)) < chance
    index = np.maximum.accumulate(np.where(renewed, np.arange(len(values)), 0))
    return values[index]


def _mixed(values: Hashes, seed: int) -> Hashes:
    """Return a hash of each value (the finalizer of SplitMix64)."""
    mixed = values + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
