"""The whole build on 1, 2 and 4 workers: 10M fills in 5 days, and two busy days of one symbol.

python -m benchmarks whole
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks.building import run_dbt
from benchmarks.features import write_day
from benchmarks.measure import HEADER, Cost
from benchmarks.raw_fills import write_hour

FIRST = date(2025, 8, 1)
DAYS, COINS, FILLS, HOURS = 5, 200, 10_000_000, 24
BOOKS, TRADES, BUSY_DAYS = 1_000_000, 2_000_000, 2


@dataclass(frozen=True)
class Run:
    """A whole build from nothing but raw segments."""

    workers: int
    parse: Cost
    """What dbt takes to start and to read the project that it has parsed before."""
    build: Cost
    hashes: dict[str, str]
    """The SHA-256 of each `data.parquet`."""

    @property
    def seconds(self) -> float:
        """Wall time without dbt's start."""
        return self.build.wall - self.parse.wall


def main() -> None:
    """Measure the build for each number of workers, and compare what it wrote."""
    with raw_lake() as root:
        runs = [build(root, workers) for workers in worker_counts()]
    print(
        f"\nWhole build: {FILLS:,} fills in {DAYS} days of {COINS} coins, "
        f"{BUSY_DAYS} days of {BOOKS:,} books and {TRADES:,} trades\n{HEADER}"
    )
    for run in runs:
        print(run.build.row(f"dbt run, {_workers(run.workers)}"))
        print(run.parse.row("of which dbt itself (dbt parse)"))
    one = runs[0]
    for run in runs[1:]:
        print(
            f"{_workers(run.workers)}: {one.build.wall / run.build.wall:.2f} times faster than 1, "
            f"{one.seconds / run.seconds:.2f} times without dbt's start"
        )
    print(compared(runs))


def worker_counts() -> list[int]:
    """Return the numbers of workers to measure on this machine."""
    return [1, 2, 4] if len(os.sched_getaffinity(0)) >= 4 else [1, 2]


@contextmanager
def raw_lake(scale: float = 1.0) -> Iterator[Path]:
    """Make a folder with raw segments in `lake`; a `scale` below 1 makes fewer rows of them.

    The kernels are compiled: a first build of few rows is behind it.
    """
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        _write(root / "lake", 0.001)
        run_dbt(root, "seed")
        run_dbt(root, "run")
        shutil.rmtree(root / "lake")
        _write(root / "lake", scale)
        yield root


def build(root: Path, workers: int) -> Run:
    """Build everything from the raw segments of a lake in which nothing else stays."""
    remove_all_but_raw(root)
    env = {"TICKLAKE_WORKERS": str(workers)}
    run_dbt(root, "parse", **env)  # another number of workers: dbt parses everything again
    parse = run_dbt(root, "parse", **env)
    cost = run_dbt(root, "run", **env)
    return Run(workers, parse, cost, _hashes(root / "lake"))


def remove_all_but_raw(root: Path) -> None:
    """Remove every table that was built, and what builds keep beside them."""
    for folder in (root / "lake").iterdir():
        if folder.name != "raw":
            shutil.rmtree(folder)


def compared(runs: list[Run]) -> str:
    """Return a line that says whether all builds wrote the same bytes."""
    one = runs[0].hashes
    differ = {
        path
        for run in runs[1:]
        for path in one.keys() | run.hashes.keys()
        if one.get(path) != run.hashes.get(path)
    }
    counts = ", ".join(str(run.workers) for run in runs)
    if differ:
        return f"DIFFERENT BYTES with {counts} workers: {', '.join(sorted(differ))}"
    return f"all {len(one)} files are the same with {counts} workers"


def _write(lake: Path, scale: float) -> None:
    rows = max(2, round(FILLS * scale) // DAYS // HOURS // 2 * 2)
    for day in range(DAYS):
        for hour in range(HOURS):
            write_hour(lake, str(FIRST + timedelta(days=day)), hour, rows, COINS)
    for day in range(BUSY_DAYS):
        write_day(lake, round(BOOKS * scale), round(TRADES * scale), day)


def _hashes(lake: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(lake.glob("*/*/**/data.parquet")):
        with path.open("rb") as file:
            hashes[str(path.relative_to(lake))] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"
