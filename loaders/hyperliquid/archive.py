"""Which objects of the archive hold which hours.

Objects are named `<prefix>/hourly/<YYYYMMDD>/<H>.lz4`, with an hour that is not zero padded. The
node changed what it writes twice; see FILLS and BLOCKS for the dates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

FILLS: Final = "node_fills"
"""One line is `[user, fill]`."""
BLOCKS: Final = "node_fills_by_block"
"""One line is a block: an object with its times, its number and `"events": [[user, fill], ...]`."""

FIRST_HOUR: Final = datetime(2025, 5, 25, 14, tzinfo=UTC)
# Both prefixes hold a part of this hour.
CHANGE_OVER: Final = datetime(2025, 7, 27, 8, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HourObject:
    """One object of the archive."""

    prefix: str
    hour: datetime

    @property
    def path(self) -> str:
        """Where it lies below the root of the source."""
        return f"{self.prefix}/hourly/{self.hour:%Y%m%d}/{self.hour.hour}.lz4"

    @property
    def name(self) -> str:
        """A name that sorts by time, and the older prefix before the newer one."""
        return f"{self.prefix}-{self.hour:%Y%m%d-%H}"

    @property
    def by_block(self) -> bool:
        """Whether a line is a block of fills, and not one fill."""
        return self.prefix == BLOCKS


def objects_between(start: date, end: date) -> Iterator[HourObject]:
    """Yield the objects that should exist for the days from `start` to `end`, both included.

    Hours before the archive begins are left out.
    """
    hour = max(datetime.combine(start, time(), UTC), FIRST_HOUR)
    last = datetime.combine(end, time(23), UTC)
    while hour <= last:
        if hour <= CHANGE_OVER:
            yield HourObject(FILLS, hour)
        if hour >= CHANGE_OVER:
            yield HourObject(BLOCKS, hour)
        hour += timedelta(hours=1)
