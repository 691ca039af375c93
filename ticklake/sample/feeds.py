"""Book and trades of a listing over some days: busy hours, and few events between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ticklake.sample.derivatives import HOUR_US
from ticklake.sample.listings import Listing
from ticklake.sample.prices import PricePath, generator
from ticklake.sample.simulation import (
    FAULTS,
    Book,
    Trades,
    event_times,
    simulate_book,
    trades_of,
)

DAY_US: Final = 24 * HOUR_US
MINUTE_US: Final = 60 * 10**6


@dataclass(frozen=True, slots=True)
class Period:
    """The days of a sample, and how much happens in them."""

    begin_us: int
    days: int
    seed: int
    scale: float = 1.0

    @property
    def end_us(self) -> int:
        """The first instant after the last day."""
        return self.begin_us + self.days * DAY_US

    def day_begins(self) -> list[int]:
        """Return the first instant of each day (us)."""
        return [self.begin_us + day * DAY_US for day in range(self.days)]

    def midnight_hours(self) -> list[int]:
        """Return the beginnings of the first hour of each day and of the hour before it."""
        first = self.day_begins()
        return sorted([*first, *(begin - HOUR_US for begin in first[1:])])

    def paths(self) -> dict[str, PricePath]:
        """Return the price path of each asset."""
        start, seconds = self.begin_us // 10**6, self.days * 86_400
        return {
            asset: PricePath.make(asset, self.seed, start, seconds)
            for asset in ("BTC", "ETH", "SOL")
        }


@dataclass(frozen=True, slots=True)
class Feed:
    """What happened on a listing."""

    book: Book
    trades: Trades
    busy: tuple[tuple[int, int], ...]
    """The busy spans (us), the end not included."""
    sessions: tuple[range, ...]
    """The events of each."""

    @property
    def listing(self) -> Listing:
        """What it is the feed of."""
        return self.book.listing


def make_feed(
    listing: Listing,
    path: PricePath,
    period: Period,
    *,
    busy: Sequence[tuple[int, int]],
    events: int,
    quiet_per_minute: float,
    first_id: int,
    resolution_us: int = 1_000,
) -> Feed:
    """Simulate a listing: so many events (times the scale) in each busy span, with all faults."""
    rng = generator(period.seed, listing.exchange, listing.symbol)
    count = max(100, round(events * period.scale))
    spans = [event_times(rng, begin, end, count, resolution_us) for begin, end in busy]
    quiet_count = round(
        (period.end_us - period.begin_us) / MINUTE_US * quiet_per_minute * period.scale
    )
    if quiet_count:  # spread out, so that few minutes see nothing
        gap = (period.end_us - period.begin_us) / quiet_count
        places = (np.arange(quiet_count) + rng.random(quiet_count)) * gap
        quiet = (period.begin_us + places.astype(np.int64)) // resolution_us * resolution_us
        for begin, end in busy:
            quiet = quiet[(quiet < begin) | (quiet >= end)]
        spans.append(quiet)
    ts_us = np.sort(np.concatenate(spans))
    sessions = tuple(
        range(int(np.searchsorted(ts_us, begin)), int(np.searchsorted(ts_us, end)))
        for begin, end in busy
    )
    faults = [
        session.start + (number + 1) * len(session) // (len(FAULTS) + 2)
        for session in sessions
        for number in range(len(FAULTS))
    ]
    book = simulate_book(listing, path, ts_us, rng, faults_at=faults)
    return Feed(book, trades_of(book, rng, first_id), tuple(busy), sessions)
