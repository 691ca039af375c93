"""Choosing among the files of the archive, so that no row is landed twice."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import BinaryIO, Final, Literal

from loaders.binance.archive import (
    CHANNELS,
    Series,
    Span,
    days_of,
    months_back,
    parse_name,
    spans,
)
from loaders.binance.files import FileParser
from loaders.landing import Item, Request, opened
from loaders.source import Source, SourceObject
from ticklake.lake.errors import LakeError
from ticklake.lake.raw import LEDGER, read_ledger
from ticklake.lake.storage import Storage, open_storage

LOADER: Final = "binance"
LOOK_BACK_YEARS: Final = 10
AT_ONCE: Final = 12
"""Months that are looked up at once to find the latest one."""
FEW_IDS: Final = 0.01
"""The share of ids that a day may lack and count as whole: USD-M futures skip some."""


Cadence = Literal["daily", "monthly"] | None
"""Which files to take; None for whichever are complete."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The days of a month that are wanted of a series, and the files chosen for them."""

    series: Series
    span: Span
    periods: tuple[str, ...]

    @property
    def is_by_month(self) -> bool:
        """Whether the monthly file was chosen."""
        return self.periods == (self.span.month,)


@dataclass(slots=True)
class Plan:
    """What to land, and what is to be said of it."""

    root: str
    source: Source
    location: str
    wanted: list[Wanted]
    landed: dict[Series, set[str]]
    """The periods of each series that the ledger knew beforehand."""
    cadence: Cadence = None
    workers: int = 1
    force: bool = False
    notes: list[str] = field(default_factory=list)

    def request(self, chosen: Iterable[tuple[Series, str]]) -> Request:
        """Return the request for some files."""
        chosen = list(chosen)
        paths = find(self.source, chosen)
        items = [
            Item(
                self.location,
                paths.get((one, period), one.path(period)),
                one.name(period),
                FileParser(one),
            )
            for one, period in chosen
        ]
        return Request(
            self.root,
            LOADER,
            items,
            None,
            self.workers,
            self.force,
            self._again(),
            remembers_absent=True,
        )

    def _again(self) -> str:
        """Return the command that lands the same again."""
        days = sorted(day for item in self.wanted for day in item.span.days)
        series = list(dict.fromkeys(item.series for item in self.wanted))
        symbols = ",".join(one.symbol for one in series)
        return (
            f"ticklake land binance --market {series[0].market} {_options(series[0])} "
            f"--symbols {symbols} --start {_digits(days[0])} --end {_digits(days[-1])} "
            f"--source {self.source.location}{f' --{self.cadence}' if self.cadence else ''}"
        )


def plan(
    root: str,
    location: str,
    series: Sequence[Series],
    days: tuple[date, date] | None,
    workers: int = 1,
    force: bool = False,
    cadence: Cadence = None,
) -> Plan:
    """Return what to land for some days, both included, or without any for the latest month.

    Raises LakeError if rows would be landed twice.
    """
    source = _Remembering(opened(location))
    storage = open_storage(root)
    landed = periods_landed(storage)
    if days is None:
        spans_of = {item: [_latest(item, source)] for item in series}
    else:
        spans_of = dict.fromkeys(series, spans(*days))
    wanted, notes = choose(spans_of, source, landed, cadence)
    if cadence == "daily":
        _refuse_days_of_months(storage, wanted, landed)
    for item in wanted:
        for period in item.periods:
            clash = double_of(item.series, period, landed)
            if clash:
                raise LakeError(clash)
    return Plan(root, source, location, wanted, landed, cadence, workers, force, notes)


def choose(
    spans_of: Mapping[Series, Sequence[Span]],
    source: Source,
    landed: Mapping[Series, set[str]],
    cadence: Cadence = None,
) -> tuple[list[Wanted], list[str]]:
    """Return the files for each span, and notes for people.

    A month that is landed as a whole stays so. Otherwise a whole month of which nothing is landed
    comes from its monthly file if there is one; so do any days of which one has no daily file.
    """
    open_spans = []
    files: dict[tuple[Series, Span], tuple[str, ...]] = {}
    for one, parts in spans_of.items():
        for span in parts:
            periods = landed.get(one, set())
            if cadence == "daily":
                files[one, span] = span.days
            elif cadence == "monthly" or span.month in periods:
                files[one, span] = (span.month,)
            else:
                open_spans.append((one, span))
    monthly = find(source, [(one, span.month) for one, span in open_spans])
    by_day = []
    for one, span in open_spans:
        is_begun = any(day in landed.get(one, set()) for day in days_of(span.month))
        if span.is_whole and (one, span.month) in monthly and not is_begun:
            files[one, span] = (span.month,)
        else:
            by_day.append((one, span))
    daily = find(source, [(one, day) for one, span in by_day for day in span.days])
    notes = []
    for one, span in by_day:
        lacking = [
            day
            for day in span.days
            if (one, day) not in daily and day not in landed.get(one, set())
        ]
        needs_month = (one, span.month) in monthly and bool(lacking)
        is_nowhere = span.is_whole and len(lacking) == len(span.days)
        files[one, span] = (span.month,) if needs_month or is_nowhere else span.days
        if needs_month:
            notes.append(
                f"{one.symbol}: there is no daily file for {listed(lacking)}, so the whole month "
                f"{span.month} lands from its monthly file."
            )
    wanted = [
        Wanted(one, span, files[one, span]) for one, parts in spans_of.items() for span in parts
    ]
    return wanted, notes


class _Remembering:
    """A source that is asked only once whether an object exists."""

    def __init__(self, source: Source) -> None:
        self.location = source.location
        self._source = source
        self._known: dict[str, SourceObject | None] = {}

    def survey(self, paths: Iterable[str]) -> dict[str, SourceObject]:
        wanted = set(paths)
        new = wanted - self._known.keys()
        self._known |= dict.fromkeys(new)
        if new:
            self._known |= self._source.survey(new)
        found = ((path, self._known[path]) for path in wanted)
        return {path: item for path, item in found if item is not None}

    def open(self, path: str) -> BinaryIO:
        return self._source.open(path)

    def listing(self, folder: str) -> list[str]:
        return self._source.listing(folder)


def find(source: Source, wanted: Iterable[tuple[Series, str]]) -> dict[tuple[Series, str], str]:
    """Return the paths of those files that exist."""
    pairs = list(wanted)
    there = source.survey({one.path(period) for one, period in pairs})
    missing = [(one, period) for one, period in pairs if one.path(period) not in there]
    odd = {pair: pair[0].odd_paths(pair[1]) for pair in missing}
    found = source.survey({path for paths in odd.values() for path in paths})
    others = {
        pair: next((path for path in paths if path in found), None) for pair, paths in odd.items()
    }
    paths = {pair: others.get(pair, pair[0].path(pair[1])) for pair in pairs}
    return {pair: path for pair, path in paths.items() if path is not None}


def _latest(one: Series, source: Source) -> Span:
    """Return the newest month with a monthly file, or last month where there is none at all."""
    months = months_back(today(), LOOK_BACK_YEARS * 12)
    for begin in range(0, len(months), AT_ONCE):
        some = months[begin : begin + AT_ONCE]
        found = find(source, [(one, month) for month in some])
        month = next((month for month in some if (one, month) in found), None)
        if month is not None:
            return Span(month, tuple(days_of(month)))
    return Span(months[1], tuple(days_of(months[1])))


def periods_landed(storage: Storage) -> dict[Series, set[str]]:
    """Return the periods of each series that the ledger knows."""
    landed: dict[Series, set[str]] = {}
    for entry in storage.entries(f"{LEDGER}/{LOADER}"):
        name = entry.path.rpartition("/")[2].removesuffix(".json")
        known = parse_name(name)
        if known is not None:
            landed.setdefault(known[0], set()).add(known[1])
    return landed


def rows_held(storage: Storage, one: Series, period: str) -> Counter[str]:
    """Return the days that have rows of a landed file, and how many."""
    entry = read_ledger(storage, LOADER, one.name(period))
    days: Counter[str] = Counter()
    for segment in entry.segments if entry else ():
        if not segment.sha256:
            continue  # it was coming when a landing ended early
        folder = segment.path.split("/")[-2]
        name, _, value = folder.partition("=")
        if name == "date":
            days[value] += segment.rows
        else:
            days += _days_in(storage, segment.path)
    return days


def incomplete_days(storage: Storage, one: Series, month: str) -> list[str]:
    """Return the days of a landed month that certainly lack rows, in order.

    Candles have to be as many as a day has intervals. Trades are numbered: a day lacks some if the
    numbers that are missing within it, or between it and the day before or after it, are more than
    `FEW_IDS` of its trades. Nothing can be said of other files. Daily files that are landed beside
    the monthly one count.
    """
    held = rows_held(storage, one, month)
    entry = read_ledger(storage, LOADER, one.name(month))
    ranges = dict(entry.id_ranges) if entry else {}
    for day in _incomplete(one, held, ranges):
        daily = read_ledger(storage, LOADER, one.name(day))
        if daily is not None and daily.rows > held[day]:
            held[day] = daily.rows
            ranges |= daily.id_ranges
    return _incomplete(one, held, ranges)


def _incomplete(
    one: Series, held: Mapping[str, int], ranges: Mapping[str, Sequence[int]]
) -> list[str]:
    if one.rows_a_day is not None:
        return [day for day in sorted(held) if held[day] < one.rows_a_day]
    days = sorted(ranges.keys() & held.keys())
    missing = Counter({day: ranges[day][1] - ranges[day][0] + 1 - held[day] for day in days})
    for day, after in pairwise(days):
        if date.fromisoformat(after) - date.fromisoformat(day) == timedelta(1):
            between = max(ranges[after][0] - ranges[day][1] - 1, 0)
            missing[day] += between
            missing[after] += between
    return [day for day in days if missing[day] > FEW_IDS * held[day]]


def _days_in(storage: Storage, path: str) -> Counter[str]:
    """Return the days of the candles in a segment, and how many each has."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryFile() as file:
        with storage.open(path) as stream:
            shutil.copyfileobj(stream, file, 1 << 20)
        file.seek(0)
        times = pq.read_table(file, columns=["open_time"])["open_time"]
    counts = times.cast("date32").value_counts().to_pylist()
    return Counter({str(item["values"]): item["counts"] for item in counts})


def _refuse_days_of_months(
    storage: Storage, wanted: Sequence[Wanted], landed: Mapping[Series, set[str]]
) -> None:
    """Raise LakeError if days that are wanted by themselves are landed in a whole month."""
    for item in wanted:
        one, month = item.series, item.span.month
        if month not in landed.get(one, set()):
            continue
        new = set(item.span.days) - landed.get(one, set())
        twice = sorted(rows_held(storage, one, month).keys() & new)
        if twice:
            raise LakeError(
                f"{_called(one)} of {one.symbol} for {listed(twice)} are landed from the monthly "
                f"file of {month}: daily files would repeat them. Go on without --daily, or first "
                f"{_delete_command(one, days_of(month)[0], days_of(month)[-1])}."
            )


def double_of(one: Series, period: str, landed: Mapping[Series, set[str]]) -> str | None:
    """Return what to say if another series has rows of the same events in the same partitions."""
    for other, periods in _rivals(one, landed):
        days = set(days_of(period))
        both = sorted(item for item in periods if not days.isdisjoint(days_of(item)))
        if not both:
            continue
        known = both[0] if len(both) == 1 else f"{both[0]} to {both[-1]}"
        return (
            f"{_called(one)} of {one.symbol} for {period} would repeat what is landed: the "
            f"lake has {_called(other)} of {one.exchange} {one.symbol} for {known}. "
            f"Go on with {_options(other)}, or first "
            f"{_delete_command(other, days_of(both[0])[0], days_of(both[-1])[-1])}."
        )
    return None


def _delete_command(one: Series, first: str, last: str) -> str:
    return (
        f"`ticklake delete --table raw.{CHANNELS[one.data]} --exchange {one.exchange} "
        f"--symbol {one.symbol} --from {_digits(first)} --to {_digits(last)}`"
    )


def _rivals(one: Series, landed: Mapping[Series, set[str]]) -> Iterator[tuple[Series, set[str]]]:
    """Yield the landed series whose rows lie in the same partitions as those of another."""
    for other, periods in landed.items():
        if (
            other != one
            and (other.market, other.symbol) == (one.market, one.symbol)
            and CHANNELS[other.data] == CHANNELS[one.data]
            and one.data != "klines"  # an interval is a partition of its own
        ):
            yield other, periods


def _called(one: Series) -> str:
    return f"{one.data} {one.interval}" if one.interval else one.data


def _options(one: Series) -> str:
    options = f"--data {one.data}"
    return f"{options} --interval {one.interval}" if one.interval else options


def _digits(day: str) -> str:
    return day.replace("-", "")


def listed(days: Sequence[str]) -> str:
    """Return some days in few words."""
    if len(days) <= 3:
        return ", ".join(days)
    return f"{len(days)} days from {days[0]} to {days[-1]}"


def today() -> date:
    """Return the day that the latest month is looked for from: the only use of a clock."""
    return datetime.now(UTC).date()
