"""Landing source objects: what exists, what is new, and the processes that do it.

Every loader lists the objects it wants (`Item`), each with the parser that knows its bytes; the
rest is the same for all of them. The work in a process is `loaders.worker`. Imports little: the
command itself needs neither Arrow nor DuckDB.
"""

import ast
import hashlib
import json
import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol

from loaders.source import Source, SourceObject, open_source
from ticklake.lake import raw
from ticklake.lake.paths import spellings
from ticklake.lake.storage import Storage, open_storage

if TYPE_CHECKING:
    from loaders.worker import Sink

LEDGER_THREADS: Final = 16

_TEXT: Final = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
"""A string as Python represents it."""

State = Literal["landed", "skipped", "quarantined", "failed"]


class Parser(Protocol):
    """Knows the bytes of a kind of object. A frozen dataclass: it goes to worker processes.

    Its `repr` is part of the ledger: an object is landed again when its parser changed.
    """

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read an object and give its rows, and what is wrong with others, to the sink.

        Raises BrokenObjectError where the object as a whole cannot be used: then nothing of it is
        landed. Where tables are cut must depend on the object's bytes alone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One object to land."""

    source: str
    """The location that `path` lies below."""
    path: str
    name: str
    """Of its segments and its ledger entry; sorts by the time of its content."""
    parser: Parser


@dataclass(frozen=True, slots=True)
class Request:
    """What to land, where."""

    root: str
    loader: str
    """The name of the loader in the ledger and in quarantine."""
    items: Sequence[Item]
    symbols: Sequence[str] | None = None
    """The symbols to keep; None for all."""
    workers: int = 1
    force: bool = False
    hint: str = ""
    """The command that lands an object of this request again, for `ticklake quarantine`."""
    remembers_absent: bool = False
    """Whether objects that the source lacks are holes of an archive, which the lake remembers."""


@dataclass(frozen=True, slots=True)
class Job:
    """One object to land, with all that a worker process has to know."""

    root: str
    loader: str
    item: Item
    found: SourceObject
    symbols: Sequence[str] | None
    """The symbols to keep, those of an earlier landing included; None for all."""
    hint: str = ""
    note: str = ""
    """What to say of the object when it has landed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object."""

    path: str
    state: State
    size: int = 0
    rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    unwanted: dict[str, int] = field(default_factory=dict)
    message: str = ""
    stops: bool = False
    """Whether the objects after it would fail for the same reason, as on a full disk."""


Report = Callable[[Outcome, int, int], None]
"""Called for each object with its outcome, how many are done, and how many there are."""


@dataclass(slots=True)
class Summary:
    """What a run has done."""

    outcomes: list[Outcome] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Objects that should exist and do not."""
    not_tried: int = 0
    """Objects after one that failed for a reason which stops them all."""
    seconds: float = 0.0
    symbols: Sequence[str] | None = None
    """The symbols that were asked for, None for all."""

    def count(self, state: str) -> int:
        """Return the number of objects in a state."""
        return sum(outcome.state == state for outcome in self.outcomes)

    @property
    def rows(self) -> int:
        """Rows landed by this run."""
        return sum(outcome.rows for outcome in self._landed())

    @property
    def size(self) -> int:
        """Source bytes landed by this run."""
        return sum(outcome.size for outcome in self._landed())

    @property
    def rejected(self) -> Counter[str]:
        """Lines and rows that this run set aside, by type of error."""
        return sum((Counter(item.rejected) for item in self._landed()), Counter())

    @property
    def rejected_before(self) -> int:
        """Lines and rows of skipped objects that an earlier run set aside."""
        skipped = (item for item in self.outcomes if item.state == "skipped")
        return sum(sum(item.rejected.values()) for item in skipped)

    @property
    def extra(self) -> Counter[str]:
        """Rows by name of a field that has no column of its own."""
        return sum((Counter(item.extra) for item in self._landed()), Counter())

    @property
    def unwanted(self) -> Counter[str]:
        """Lines and rows that are not data, or that nobody asked for, by reason."""
        return sum((Counter(item.unwanted) for item in self._landed()), Counter())

    @property
    def lacks_symbols(self) -> bool:
        """Whether all objects could be read, and none of them has any symbol asked for."""
        bad = self.count("quarantined") or self.count("failed") or self.not_tried
        is_empty = not any(outcome.rows for outcome in self.outcomes)
        return self.symbols is not None and bool(self.outcomes) and not bad and is_empty

    @property
    def is_good(self) -> bool:
        """Whether nothing failed, nothing was set aside, and there was something to land."""
        bad = self.count("quarantined") or self.count("failed") or self.rejected
        return not bad and bool(self.outcomes) and not self.lacks_symbols

    def _landed(self) -> Iterator[Outcome]:
        return (outcome for outcome in self.outcomes if outcome.state == "landed")


def land(request: Request, report: Report) -> Summary:
    """Land all objects of a request that are not landed yet.

    Raises LakeError, before anything is written, where the lake or a source cannot be reached.
    """
    began = time.monotonic()
    storage = open_storage(request.root)
    storage.sweep()
    items = [replace(item, name=raw.safe_name(item.name)) for item in request.items]
    found = _survey(items)
    present = [item for item in items if item in found]
    missing = [item.path for item in items if item not in found]
    summary = Summary(missing=missing, symbols=request.symbols)

    jobs = []
    ledgers = _ledgers_of(storage, request.loader, present)
    for wanted, (item, entry, is_whole, note) in zip(present, ledgers, strict=True):
        job = _plan(request, item, found[wanted], entry, is_whole, note)
        if isinstance(job, Outcome):
            summary.outcomes.append(job)
            report(job, len(summary.outcomes), len(present))
        else:
            jobs.append(job)
    outcomes = _perform(jobs, request.workers)
    for outcome in outcomes:
        summary.outcomes.append(outcome)
        report(outcome, len(summary.outcomes), len(present))
        if outcome.stops:
            outcomes.close()
            summary.not_tried = len(present) - len(summary.outcomes)
            break
    if request.remembers_absent:
        raw.remember_absent(storage, request.loader, absent=missing, present=map(_path, present))
    summary.seconds = time.monotonic() - began
    return summary


def opened(location: str) -> Source:
    """Return the source at a location. An archive on S3 bills the reader; others ignore that."""
    return open_source(location, requester_pays=location.startswith("s3://"))


def _survey(items: Sequence[Item]) -> dict[Item, SourceObject]:
    by_source: dict[str, dict[str, Item]] = {}
    for item in items:
        by_source.setdefault(item.source, {})[item.path] = item
    return {
        wanted[path]: entry
        for location, wanted in by_source.items()
        for path, entry in opened(location).survey(wanted).items()
    }


def _plan(
    request: Request,
    item: Item,
    found: SourceObject,
    entry: raw.LedgerEntry | None,
    is_whole: bool,
    note: str,
) -> Job | Outcome:
    """Return the job for an object, or the outcome of skipping it.

    A landing never narrows what an earlier one has landed: the symbols of both are kept.
    """
    symbols = None if request.symbols is None else sorted(set(request.symbols))
    if entry is not None:
        if symbols is not None:
            symbols = None if entry.symbols is None else sorted({*symbols, *entry.symbols})
        landed = (entry.size, entry.tag, entry.symbols, entry.reader)
        same = landed == (found.size, found.tag, symbols, repr(item.parser))
        if same and is_whole and found.tag and not request.force:
            why = "already landed: the same size, tag, symbols and options"
            return Outcome(
                item.path, "skipped", found.size, entry.rows, entry.rejected, message=why
            )
    return Job(request.root, request.loader, item, found, symbols, request.hint, note)


def _path(item: Item) -> str:
    return item.path


def _ledgers_of(
    storage: Storage, loader: str, items: Sequence[Item]
) -> Iterator[tuple[Item, raw.LedgerEntry | None, bool, str]]:
    """Yield each object with its ledger entry, and whether all its segments are still there.

    An object that was landed before as something else (another exchange, symbol, channel or
    interval) gets a name of its own, so that both are kept; the last value says so.
    """
    first = _read_ledgers(storage, loader, items)
    is_same = [
        entry is not None and _is_landed_as(entry, item)
        for item, (entry, _) in zip(items, first, strict=True)
    ]
    marked = [
        replace(item, name=f"{item.name}-{_mark(item)}")
        for item, same in zip(items, is_same, strict=True)
        if not same
    ]
    second = dict(zip(marked, _read_ledgers(storage, loader, marked), strict=True))
    own = iter(marked)
    for item, (entry, is_whole), same in zip(items, first, is_same, strict=True):
        if same:
            yield item, entry, is_whole, _replaced(entry, item)
            continue
        other = next(own)
        ledger = second[other]
        if entry is None and ledger[0] is None:
            yield item, None, False, ""
        elif entry is None:  # what was landed under the plain name has been deleted
            yield other, *ledger, _replaced(ledger[0], item)
        else:
            before = _listed(_said(entry.reader))
            note = (
                f"it was landed before as {before}; both are kept. If it was landed by mistake, "
                "`ticklake delete` takes it out"
            )
            yield other, *ledger, note


def _said(reader: str) -> dict[str, str]:
    """Return what the options of a parser say that an object is, from its representation."""
    return {
        name: str(ast.literal_eval(found[1]))
        for name in ("channel", "exchange", "symbol", "interval")
        if (found := re.search(rf"\b{name}=({_TEXT})", reader))
    }


def _mark(item: Item) -> str:
    said = json.dumps(_said(repr(item.parser)), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def _is_landed_as(entry: raw.LedgerEntry, item: Item) -> bool:
    """Say whether an object was landed as what it is to be landed as now.

    What options leave open is what the columns say. They agree with options that are given, so an
    object is the same with and without them if all its segments are of these.
    """
    before, now = _said(entry.reader), _said(repr(item.parser))
    return all(
        before[name] == value
        if name in before
        else all(_has_value(segment.path, name, value) for segment in entry.segments)
        for name, value in now.items()
    )


def _has_value(path: str, column: str, value: str) -> bool:
    """Say whether a segment is in the partition of a value of a column.

    Where all symbols are in a partition the path does not tell. Then the columns did, and parsers
    refuse an object whose columns say something else than the option.
    """
    folders = {part for part in path.split("/") if part.startswith(f"{column}=")}
    return not folders or bool({f"{column}={value}", *spellings(column, value)} & folders)


def _replaced(entry: raw.LedgerEntry | None, item: Item) -> str:
    """Return what to say if an object was landed with other options: the last ones count."""
    if entry is None or not entry.rows or entry.reader == repr(item.parser):
        return ""
    return f"it replaces the {entry.rows:,} rows that other options or an earlier version landed"


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "its columns say"


def _read_ledgers(
    storage: Storage, loader: str, items: Sequence[Item]
) -> list[tuple[raw.LedgerEntry | None, bool]]:
    """Return the ledger entry of each object, and whether all its segments are still there.

    They are not if a later landing of the object began and did not finish.
    """
    begun = raw.unfinished(storage, loader)
    with ThreadPoolExecutor(LEDGER_THREADS) as pool:
        entries = list(pool.map(lambda item: raw.read_ledger(storage, loader, item.name), items))
        wanted = [segment for entry in entries if entry for segment in entry.segments]
        folders = sorted({segment.path.rpartition("/")[0] for segment in wanted})
        listings = pool.map(lambda folder: list(storage.entries(folder)), folders)
        sizes = {item.path: item.size for listing in listings for item in listing}
    return [
        (
            entry,
            (loader, item.name) not in begun
            and all(sizes.get(segment.path) == segment.size for segment in entry.segments),
        )
        if entry
        else (None, False)
        for item, entry in zip(items, entries, strict=True)
    ]


def _perform(jobs: Sequence[Job], workers: int) -> Generator[Outcome, None, None]:
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from map(perform, jobs)
        return
    # A fresh interpreter a process: a fork would copy the locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = {pool.submit(perform, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield _result(future, futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def perform(job: Job) -> Outcome:
    """Land one object, in whatever process this is called."""
    from loaders.worker import land_object

    return land_object(job)


def _result(future: Future[Outcome], job: Job) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        message = (
            "a worker process died, perhaps for want of memory. Run the command again, with fewer "
            "--workers; what is done is kept"
        )
        return Outcome(job.item.path, "failed", message=message)
