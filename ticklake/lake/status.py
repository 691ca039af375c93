"""What each table of a lake holds, told from listings, meta files and their cache."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from ticklake.lake.catalog import TableListing
from ticklake.lake.paths import CALENDAR, Key, project
from ticklake.lake.planning import Selection
from ticklake.lake.storage import Storage
from ticklake.lake.tables import LakeTable, Published


@dataclass
class Holding:
    """The partitions of a table that agree on all columns but the date."""

    table: str
    values: dict[str, str]
    """The columns they agree on: exchange, symbol, ..."""
    partitions: int = 0
    rows: int | None = None
    """None for raw segments: nobody counted."""
    size: int = 0
    first_ns: int | None = None
    """Time of the first event, nanoseconds since 1970; None where the table has no time."""
    last_ns: int | None = None
    dates: list[str] = field(default_factory=list)
    """Days (or months) that there are, in order."""
    damaged: int = 0

    @property
    def holes(self) -> list[str]:
        """Days (or months) missing between the first and the last, as `2026-01-03..05`."""
        return missing(self.dates)


def holdings(storage: Storage, table: TableListing, selection: Selection) -> list[Holding]:
    """Return what a table holds, by all its partition columns but the date.

    Costs no request for a partition whose meta file the cache knows. Reads no data.
    """
    published: Mapping[Key, Published] = {}
    if not table.is_raw:
        published = LakeTable(storage, table.location, table.columns, table.entries).published
    kept = [column for column in table.columns if column not in CALENDAR]
    calendar = [column for column in table.columns if column in CALENDAR]
    found: dict[Key, Holding] = {}
    for key, files in table.partitions().items():
        if not selection.contains(table.columns, key):
            continue
        group = project(table.columns, key, kept)
        values = dict(zip(kept, group, strict=True))
        holding = found.setdefault(group, Holding(table.name, values))
        holding.partitions += 1
        holding.size += sum(file.size for file in files.values())
        holding.dates += project(table.columns, key, calendar)
        item = published.get(key)
        if item is None:
            continue
        holding.damaged += item.damage is not None
        holding.rows = (holding.rows or 0) + item.row_count
        if item.ts_event_min is not None and item.ts_event_max is not None:
            first, last = int(item.ts_event_min), int(item.ts_event_max)
            holding.first_ns = min(first, first if holding.first_ns is None else holding.first_ns)
            holding.last_ns = max(last, last if holding.last_ns is None else holding.last_ns)
    for holding in found.values():
        holding.dates = sorted(set(holding.dates))
    return list(found.values())


def missing(dates: Iterable[str]) -> list[str]:
    """Return the days, or months, that are missing between the first and the last of some.

    Neighbours are written as one: `2026-01-03..05`, `2026-01-30..02-02`, `2025-12-31..2026-01-01`.
    """
    ordered = sorted(dates)
    return [
        _range(_next(before), _next(after, -1))
        for before, after in pairwise(ordered)
        if _next(before) < after
    ]


def _next(day: str, step: int = 1) -> str:
    if len(day) == len("2026-01"):
        months = int(day[:4]) * 12 + int(day[5:]) - 1 + step
        return f"{months // 12:04}-{months % 12 + 1:02}"
    return (date.fromisoformat(day) + timedelta(days=step)).isoformat()


def _range(first: str, last: str) -> str:
    if first == last:
        return first
    shared = 0  # whole parts alone are left out: the year, then the month
    for length in (len("2026-"), len("2026-01-")):
        if first[:length] == last[:length] and length < len(last):
            shared = length
    return f"{first}..{last[shared:]}"
