"""Hour files of blocks, laid out as in the archive.

What the real files have, these have: an hour is cut by the time of writing, so each day's first
file begins with the last blocks of the day before; block numbers have holes; some blocks are empty,
and some are spread over two lines.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from ticklake.sample.feeds import Period
from ticklake.sample.files import SampleFile, write_file
from ticklake.sample.market import Market
from ticklake.sample.prices import PricePath

HOUR_NS: Final = 3_600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
BLOCK_NS: Final = 80_000_000  # about the time between two blocks of the chain
FIRST_BLOCK: Final = 681_644_295
TRADES_PER_BLOCK: Final = 4
FEWEST_BLOCKS: Final = 40
FIRST_DAY: Final = date(2025, 7, 28)
"""The archive is written by block since then."""


def write_sample(
    folder: Path,
    *,
    start: date,
    days: int,
    seed: int,
    fills_per_hour: int,
    hours: int | None = None,
) -> Iterator[SampleFile]:
    """Write the hour files of some days below `folder`, one at a time.

    `hours` stops after so many of them.
    """
    begin = datetime.combine(start, time(), UTC)
    rng = random.Random(f"ticklake-{seed}")
    paths = Period(round(begin.timestamp()) * 10**6, days, seed).paths()
    chain = _Chain(rng, begin, fills_per_hour, paths)
    for number in range(days * 24 if hours is None else hours):
        lines, fills = chain.next_hour()
        hour = begin + timedelta(hours=number)
        path = folder / f"node_fills_by_block/hourly/{hour:%Y%m%d}/{hour.hour}.lz4"
        yield write_file(path, "".join(lines).encode(), fills)


class _Chain:
    """Blocks in the order in which a node writes them down."""

    def __init__(
        self,
        rng: random.Random,
        begin: datetime,
        fills_per_hour: int,
        paths: Mapping[str, PricePath],
    ) -> None:
        self._rng = rng
        self._market = Market(rng, paths)
        self._blocks_per_hour = max(FEWEST_BLOCKS, fills_per_hour // (2 * TRADES_PER_BLOCK))
        self._trades_per_block = max(1.0, fills_per_hour / 2 / self._blocks_per_hour)
        self._hour_begins = round(begin.timestamp()) * 10**9
        self._block = FIRST_BLOCK
        self._last_block_time = self._hour_begins - BLOCK_NS
        self._written = 0
        self._late: list[int] = [self._hour_begins - 2_000_000]
        """Blocks of the hour before that are written down in this one."""

    def next_hour(self) -> tuple[list[str], int]:
        """Return the lines written in the next hour, and how many fills they hold."""
        ends = self._hour_begins + HOUR_NS
        moments = [
            self._hour_begins + round(self._rng.random() * (HOUR_NS - 10**9))
            for _ in range(self._blocks_per_hour)
        ]
        dust_at = None
        if self._hour_begins % DAY_NS == 0:
            dust_at = self._hour_begins + 147_649_848
            moments.append(dust_at)
        lines: list[str] = []
        fills = 0
        for moment in [*self._late, *sorted(moments)]:
            events = self._events(moment, with_dust=moment == dust_at)
            fills += len(events)
            lines += self._lines(moment, events)
        self._hour_begins = ends
        self._late = [ends - 2_000_000]
        return lines, fills

    def _events(self, moment: int, *, with_dust: bool) -> list[str]:
        chance = self._rng.random
        time_ms = moment // 10**6
        events = []
        if with_dust or chance() > 0.03:
            trades = int(self._rng.expovariate(1 / self._trades_per_block) + 0.5)
            for _ in range(max(trades, 1)):
                events += self._market.trade(time_ms)
        if with_dust:
            events += self._market.dust(time_ms)
        return events

    def _lines(self, moment: int, events: list[str]) -> Iterator[str]:
        # Most blocks have no fills and leave no line: that makes the holes.
        self._block += max(1, (moment - self._last_block_time) // BLOCK_NS)
        self._last_block_time = moment
        parts = [events]
        if len(events) > 3 and self._rng.random() < 0.02:
            middle = len(events) // 2
            parts = [events[:middle], events[middle:]]
        for part in parts:
            latency = 80_000_000 + round(self._rng.random() * 400_000_000)
            self._written = max(self._written + 1_000, moment + latency)
            yield (
                f'{{"local_time":"{_instant(self._written)}","block_time":"{_instant(moment)}",'
                f'"block_number":{self._block},"events":[{",".join(part)}]}}\n'
            )


def _instant(nanoseconds: int) -> str:
    seconds, fraction = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}"
