"""Choosing among the files of the archive, so that no row is landed twice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

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
from loaders.source import Source
from ticklake.lake.errors import LakeError
from ticklake.lake.raw import LEDGER
from ticklake.lake.storage import Storage, open_storage

LOADER: Final = "binance"
LOOK_BACK_YEARS: Final = 10
AT_ONCE: Final = 12
"""Months that are looked up at once to find the latest one."""


@dataclass(slots=True)
class Plan:
    """What to land, and what is to be said of it."""

    request: Request
    notes: list[str] = field(default_factory=list)


def plan(
    root: str,
    location: str,
    series: Sequence[Series],
    days: tuple[date, date] | None,
    workers: int = 1,
    force: bool = False,
) -> Plan:
    """Return the request for some days, both included, or without any for the latest month.

    Raises LakeError where rows would be landed twice.
    """
    source = opened(location)
    landed = _landed(open_storage(root))
    if days is None:
        wanted = {item: [_latest(item, source)] for item in series}
    else:
        wanted = dict.fromkeys(series, spans(*days))
    chosen, notes = choose(wanted, source, landed)
    _refuse_doubles(chosen, landed)
    items = [
        Item(location, one.path(period), one.name(period), FileParser(one))
        for one, period in chosen
    ]
    again = _hint(series, wanted, source)
    return Plan(Request(root, LOADER, items, None, workers, force, again), notes)


def choose(
    wanted: dict[Series, list[Span]], source: Source, landed: dict[Series, set[str]]
) -> tuple[list[tuple[Series, str]], list[str]]:
    """Return the files for each span, and notes for people.

    A month of which anything is landed stays as it is, by day or as a whole. Else a whole month
    comes from its monthly file where there is one; so do some days of which one has no file.
    """
    open_spans = []
    files: dict[tuple[Series, Span], Sequence[str]] = {}
    for one, parts in wanted.items():
        for span in parts:
            periods = landed.get(one, set())
            if span.month in periods:
                files[one, span] = [span.month]
            elif any(day in periods for day in days_of(span.month)):
                files[one, span] = span.days
            else:
                open_spans.append((one, span))
    monthly = source.survey({one.path(span.month) for one, span in open_spans})
    by_day = []
    for one, span in open_spans:
        if span.is_whole and one.path(span.month) in monthly:
            files[one, span] = [span.month]
        else:
            by_day.append((one, span))
    daily = source.survey({one.path(day) for one, span in by_day for day in span.days})
    notes = []
    for one, span in by_day:
        there = sum(one.path(day) in daily for day in span.days)
        has_month = one.path(span.month) in monthly
        needs_month = has_month and there < len(span.days)
        if needs_month or (span.is_whole and not there):
            files[one, span] = [span.month]
        else:
            files[one, span] = span.days
        if needs_month:
            notes.append(
                f"{one.symbol}: not all days asked for in {span.month} have a daily file, "
                "so the whole month lands."
            )
    chosen = [
        (one, period)
        for one, parts in wanted.items()
        for span in parts
        for period in files[one, span]
    ]
    return chosen, notes


def _latest(one: Series, source: Source) -> Span:
    """Return the newest month with a monthly file, or last month where there is none at all."""
    months = months_back(today(), LOOK_BACK_YEARS * 12)
    for begin in range(0, len(months), AT_ONCE):
        some = months[begin : begin + AT_ONCE]
        found = source.survey([one.path(month) for month in some])
        month = next((month for month in some if one.path(month) in found), None)
        if month is not None:
            return Span(month, tuple(days_of(month)))
    return Span(months[1], tuple(days_of(months[1])))


def _landed(storage: Storage) -> dict[Series, set[str]]:
    """Return the periods of each series that the ledger knows."""
    landed: dict[Series, set[str]] = {}
    for entry in storage.entries(f"{LEDGER}/{LOADER}"):
        name = entry.path.rpartition("/")[2].removesuffix(".json")
        known = parse_name(name)
        if known is not None:
            landed.setdefault(known[0], set()).add(known[1])
    return landed


def _refuse_doubles(chosen: Iterable[tuple[Series, str]], landed: dict[Series, set[str]]) -> None:
    """Raise LakeError where another series has rows of the same events in the same partitions."""
    for one, period in chosen:
        for other, periods in _rivals(one, landed):
            days = set(days_of(period))
            both = sorted(item for item in periods if not days.isdisjoint(days_of(item)))
            if not both:
                continue
            known = both[0] if len(both) == 1 else f"{both[0]} to {both[-1]}"
            first, last = days_of(both[0])[0], days_of(both[-1])[-1]
            raise LakeError(
                f"{_called(one)} of {one.symbol} for {period} would repeat what is landed: the "
                f"lake has {_called(other)} of {one.exchange} {one.symbol} for {known}. "
                f"Go on with {_options(other)}, or first `ticklake delete "
                f"--table raw.{CHANNELS[other.data]} --exchange {one.exchange} "
                f"--symbol {one.symbol} --from {_digits(first)} --to {_digits(last)}`."
            )


def _rivals(one: Series, landed: dict[Series, set[str]]) -> Iterator[tuple[Series, set[str]]]:
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


def _hint(series: Sequence[Series], wanted: dict[Series, list[Span]], source: Source) -> str:
    """Return the command that lands the same again."""
    days = sorted(day for parts in wanted.values() for span in parts for day in span.days)
    symbols = ",".join(one.symbol for one in series)
    return (
        f"ticklake land binance --market {series[0].market} {_options(series[0])} "
        f"--symbols {symbols} --start {_digits(days[0])} --end {_digits(days[-1])} "
        f"--source {source.location}"
    )


def today() -> date:
    """Return the day that the latest month is looked for from: the only use of a clock."""
    return datetime.now(UTC).date()
