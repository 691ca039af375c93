"""Landing a range of days: what exists, what is new, and the processes that do it."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from datetime import date

from loaders.hyperliquid.archive import HourObject, objects_between
from loaders.hyperliquid.job import SOURCE_NAME, Job, Outcome, perform
from loaders.source import SourceObject, open_source
from ticklake.lake import raw
from ticklake.lake.storage import Storage, open_storage

LEDGER_THREADS = 16

Report = Callable[[Outcome, int, int], None]
"""Called for each object with its outcome, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to land, from where, to where."""

    root: str
    source: str
    start: date
    end: date
    coins: Sequence[str] | None = None
    workers: int = 1
    force: bool = False

    @property
    def requester_pays(self) -> bool:
        """The archive bills whoever reads it; other buckets ignore the header."""
        return self.source.startswith("s3://")


@dataclass(slots=True)
class Summary:
    """What a run has done."""

    outcomes: list[Outcome] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Objects that should exist and do not."""
    seconds: float = 0.0

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
        """Lines and fills that this run set aside, by type of error."""
        return sum((Counter(item.rejected) for item in self._landed()), Counter())

    @property
    def rejected_before(self) -> int:
        """Lines and fills of skipped objects that an earlier run set aside."""
        skipped = (item for item in self.outcomes if item.state == "skipped")
        return sum(sum(item.rejected.values()) for item in skipped)

    @property
    def extra(self) -> Counter[str]:
        """Fills by name of a field that has no column of its own."""
        return sum((Counter(item.extra) for item in self._landed()), Counter())

    @property
    def is_good(self) -> bool:
        """Whether nothing failed, nothing was set aside, and there was something to land."""
        bad = self.count("quarantined") or self.count("failed") or self.rejected
        return not bad and bool(self.outcomes)

    def _landed(self) -> Iterator[Outcome]:
        return (outcome for outcome in self.outcomes if outcome.state == "landed")


def land(request: Request, report: Report) -> Summary:
    """Land all objects of a range of days that are not landed yet.

    Raises LakeError, before anything is written, where the lake or the source cannot be reached.
    """
    began = time.monotonic()
    storage = open_storage(request.root)
    storage.sweep()
    hours = list(objects_between(request.start, request.end))
    source = open_source(request.source, requester_pays=request.requester_pays)
    found = source.survey([hour.path for hour in hours])
    summary = Summary(missing=[hour.path for hour in hours if hour.path not in found])
    present = [hour for hour in hours if hour.path in found]

    jobs = []
    for hour, (entry, is_whole) in zip(present, _read_ledgers(storage, present), strict=True):
        job = _plan(request, hour, found[hour.path], entry, is_whole)
        if isinstance(job, Outcome):
            summary.outcomes.append(job)
            report(job, len(summary.outcomes), len(present))
        else:
            jobs.append(job)
    for outcome in _perform(jobs, request.workers):
        summary.outcomes.append(outcome)
        report(outcome, len(summary.outcomes), len(present))
    summary.seconds = time.monotonic() - began
    return summary


def _plan(
    request: Request,
    hour: HourObject,
    found: SourceObject,
    entry: raw.LedgerEntry | None,
    is_whole: bool,
) -> Job | Outcome:
    """Return the job for an object, or the outcome of skipping it.

    A landing never narrows what an earlier one has landed: the coins of both are kept.
    """
    coins = None if request.coins is None else sorted(set(request.coins))
    if entry is not None:
        if coins is not None:
            coins = None if entry.symbols is None else sorted({*coins, *entry.symbols})
        same = (entry.size, entry.tag, entry.symbols) == (found.size, found.tag, coins)
        if same and is_whole and found.tag and not request.force:
            return Outcome(hour.path, "skipped", found.size, entry.rows, entry.rejected)
    return Job(request.root, request.source, request.requester_pays, hour, found, coins)


def _read_ledgers(
    storage: Storage, hours: Sequence[HourObject]
) -> list[tuple[raw.LedgerEntry | None, bool]]:
    """Return the ledger entry of each object, and whether all its segments are still there."""
    with ThreadPoolExecutor(LEDGER_THREADS) as pool:
        entries = list(
            pool.map(lambda hour: raw.read_ledger(storage, SOURCE_NAME, hour.name), hours)
        )
        wanted = [segment for entry in entries if entry for segment in entry.segments]
        folders = sorted({segment.path.rpartition("/")[0] for segment in wanted})
        listings = pool.map(lambda folder: list(storage.entries(folder)), folders)
        sizes = {item.path: item.size for listing in listings for item in listing}
    return [
        (entry, all(sizes.get(item.path) == item.size for item in entry.segments))
        if entry
        else (None, False)
        for entry in entries
    ]


def _perform(jobs: Sequence[Job], workers: int) -> Iterable[Outcome]:
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


def _result(future: Future[Outcome], job: Job) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        message = (
            "a worker process died, perhaps for want of memory. Run the command again, with fewer "
            "--workers; what is done is kept"
        )
        return Outcome(job.hour.path, "failed", message=message)
