"""How the build scales: what is measured here, and a simulation of more workers than are here.

python -m benchmarks scaling

Writes docs/scaling.md. The simulation has a worker pool and one driver, as the build has: a model
begins when dbt has finished those it reads; the driver plans it, hands out its tasks, and publishes
what they staged, one thing at a time; a task keeps one worker.
"""

import heapq
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import whole
from benchmarks.building import run_dbt
from benchmarks.history import COINS, DAYS, compile_kernels, write_history
from benchmarks.measure import Cost

PAGE = Path(__file__).resolve().parents[1] / "docs/scaling.md"
WORKERS = (1, 2, 16, 64, 256)
MEASURED_DAYS = {20: 16, 5_000: 4}
"""Fills of a coin and day: days to measure. The archive is simulated with days of both sizes."""
TASK_UNITS = 16
"""The most small units that the build puts into one task."""


@dataclass(frozen=True)
class Model:
    """What a model takes, as measured with one worker."""

    reads: tuple[str, ...]
    units: int
    planning: float
    """Seconds in which the driver finds out what to do."""
    worker: float = 0.0
    """Seconds that a worker computes a unit."""
    driver: float = 0.0
    """Seconds that the driver then takes to publish it."""

    def of_days(self, factor: float) -> "Model":
        """Return the model with so many times as many units."""
        units = round(self.units * factor)
        return Model(self.reads, units, self.planning, self.worker, self.driver)


@dataclass
class Schedule:
    """What a simulated build took."""

    workers: int
    seconds: float = 0.0
    driver_busy: float = 0.0
    workers_busy: float = 0.0
    ends: dict[str, float] = field(default_factory=dict)
    """When each model was done."""
    last_read: dict[str, str | None] = field(default_factory=dict)
    """The model that each one waited for last."""

    @property
    def driver_share(self) -> float:
        """How much of the time the driver is at work."""
        return self.driver_busy / self.seconds

    @property
    def worker_share(self) -> float:
        """How much of the time a worker is at work."""
        return self.workers_busy / self.seconds / self.workers

    def chain(self) -> list[str]:
        """Return the models that waited for one another, up to the one that was done last."""
        name: str | None = max(self.ends, key=lambda model: self.ends[model])
        found = []
        while name is not None:
            found.append(name)
            name = self.last_read[name]
        return found[::-1]


def main() -> None:
    """Measure, simulate, and write the page."""
    with whole.raw_lake() as root:
        runs = [whole.build(root, workers) for workers in whole.worker_counts()]
    archives = {}
    for fills, days in MEASURED_DAYS.items():
        with _history(days, fills) as root:
            models, start = unit_times(root)
            measured = {}
            for workers in whole.worker_counts():
                measured[workers] = whole.build(root, workers).seconds
        archives[fills] = (days, models, start, measured)
    PAGE.write_text("\n".join(_page(runs, archives)) + "\n")
    print(PAGE.read_text())


def unit_times(root: Path) -> tuple[dict[str, Model], float]:
    """Build a lake with one worker; return what each model took, and dbt's start.

    The time of a model in a build with nothing to do is planning. The rest is for its units, and
    counts as the worker's: dbt does not tell what of it the driver took to publish them.
    """
    env = {"TICKLAKE_WORKERS": "1"}
    whole.remove_all_but_raw(root)
    run_dbt(root, "parse", **env)
    start = run_dbt(root, "parse", **env).wall
    run_dbt(root, "run", **env)
    built = _results(root)
    run_dbt(root, "run", **env)
    unchanged = _results(root)
    manifest = json.loads((root / "target/manifest.json").read_text())
    models = {}
    for name, (seconds, units) in built.items():
        planning, _ = unchanged[name]
        reads = tuple(parent for parent in manifest["parent_map"][name] if parent in built)
        each = max(0.0, seconds - planning) / units if units else 0.0
        models[name] = Model(reads, units, min(seconds, planning), worker=each)
    return models, start


def simulate(models: Mapping[str, Model], start: float, workers: int) -> Schedule:
    """Return the schedule of a build, event by event.

    An event is the end of a task on a worker. The driver does its work in the order in which it
    becomes known, and a worker that is free takes the task that was handed out first.
    """
    schedule = Schedule(workers)
    waiting = {name: set(model.reads) for name, model in models.items()}
    left = dict.fromkeys(models, 0)
    free = [0.0] * workers  # when each worker is free
    ends: list[tuple[float, int, str, int]] = []
    order = count()
    driver = start

    def begin(name: str, now: float) -> None:
        nonlocal driver
        model = models[name]
        driver = max(driver, now) + model.planning
        schedule.driver_busy += model.planning
        tasks = _tasks(model.units, workers)
        left[name] = len(tasks)
        for units in tasks:
            begins = max(heapq.heappop(free), driver)
            seconds = units * model.worker
            heapq.heappush(free, begins + seconds)
            heapq.heappush(ends, (begins + seconds, next(order), name, units))
            schedule.workers_busy += seconds
        if not tasks:
            finish(name, driver)

    def finish(name: str, now: float) -> None:
        schedule.ends[name] = now
        for other, reads in waiting.items():
            if name in reads:
                reads.remove(name)
                if not reads:
                    schedule.last_read[other] = name
                    begin(other, now)

    for name in [name for name, reads in waiting.items() if not reads]:
        schedule.last_read[name] = None
        begin(name, start)
    while ends:
        now, _, name, units = heapq.heappop(ends)
        driver = max(driver, now) + units * models[name].driver
        schedule.driver_busy += units * models[name].driver
        left[name] -= 1
        if not left[name]:
            finish(name, driver)
    schedule.seconds = max(schedule.ends.values())
    schedule.driver_busy += start
    return schedule


def limit(schedule: Schedule, models: Mapping[str, Model]) -> str:
    """Return a sentence that says what keeps a build from being faster."""
    if schedule.worker_share > 0.8:
        return f"the workers, who compute {schedule.worker_share:.0%} of the time: more would help"
    if schedule.driver_share > 0.5:
        return (
            f"the driver, which is one process and at work {schedule.driver_share:.0%} of the time"
        )
    chain = schedule.chain()
    longest = max(chain, key=lambda name: _alone(models[name]))
    return (
        f"the chain of models that read one another ({_names(chain)}): its longest step is a unit "
        f"of {_short(longest)}, {_alone(models[longest]):.1f} s with its planning, and the workers "
        f"compute {schedule.worker_share:.0%} of the time"
    )


def _page(
    runs: Sequence[whole.Run],
    archives: Mapping[int, tuple[int, Mapping[str, Model], float, Mapping[int, float]]],
) -> Iterator[str]:
    yield "# Scaling"
    yield ""
    yield "Written by `python -m benchmarks scaling`: measure again rather than edit."
    yield ""
    yield "## Measured"
    yield ""
    yield (
        f"The whole build: {whole.FILLS:,} fills in {whole.DAYS} days of {whole.COINS} coins, and "
        f"{whole.BUSY_DAYS} days of {whole.BOOKS:,} books and {whole.TRADES:,} trades."
    )
    yield ""
    yield "| workers | wall | of which dbt's start | CPU | peak of all processes | speed-up |"
    yield "|---|---|---|---|---|---|"
    for run in runs:
        yield _measured(run.workers, run.build, run.parse, runs[0].build)
    yield ""
    yield f"Bytes: {whole.compared(list(runs))}."
    yield ""
    yield "## Simulated"
    yield ""
    yield (
        f"The archive: {DAYS} days of {COINS} coins. The times of a unit and of the driver are "
        "measured here with one worker, on a few days. A small simulation plays the schedule with "
        "more workers, each as fast as this machine's."
    )
    for fills, (days, models, start, measured) in archives.items():
        whole_archive = {name: model.of_days(DAYS / days) for name, model in models.items()}
        yield ""
        yield f"### {fills:,} fills of a coin and day"
        yield ""
        yield "| workers | seconds | speed-up | driver at work | workers at work | what limits |"
        yield "|---|---|---|---|---|---|"
        one = simulate(whole_archive, start, 1)
        for workers in WORKERS:
            found = simulate(whole_archive, start, workers)
            yield (
                f"| {workers} | {found.seconds:,.0f} | {one.seconds / found.seconds:.1f} "
                f"| {found.driver_share:.0%} | {found.worker_share:.0%} "
                f"| {_what(found)} |"
            )
        most = simulate(whole_archive, start, WORKERS[-1])
        yield ""
        if not any(model.driver for model in models.values()):
            yield (
                "Publishing is counted as work of the workers, so that the driver is busier than "
                "this says."
            )
            yield ""
        yield f"With {WORKERS[-1]} workers the limit is {limit(most, whole_archive)}."
        known = ", ".join(
            f"{simulate(models, start, workers).seconds - start:.1f} s where {seconds:.1f} s were "
            f"measured with {workers}"
            for workers, seconds in measured.items()
        )
        yield ""
        yield (
            f"How far to trust it: of the {days} days that were measured it says, without dbt's "
            f"start, {known}."
        )


def _measured(workers: int, build: Cost, parse: Cost, one: Cost) -> str:
    return (
        f"| {workers} | {build.wall:.1f} s | {parse.wall:.1f} s | {build.cpu:.1f} s "
        f"| {build.peak_bytes / 2**20:,.0f} MB | {one.wall / build.wall:.2f} |"
    )


def _what(schedule: Schedule) -> str:
    if schedule.worker_share > 0.8:
        return "workers"
    return "driver" if schedule.driver_share > 0.5 else "chain of models"


def _tasks(units: int, workers: int) -> list[int]:
    """Return how many units each task of a model has, as the build cuts them."""
    size = max(1, min(TASK_UNITS, units // (2 * workers)))
    return [min(size, units - first) for first in range(0, units, size)]


def _alone(model: Model) -> float:
    """Return the least seconds that a model takes, with a worker for each unit."""
    return model.planning + (model.worker + model.driver if model.units else 0.0)


def _results(root: Path) -> dict[str, tuple[float, int]]:
    """Return the seconds of each model in the last build, and how many partitions it built."""
    found = json.loads((root / "target/run_results.json").read_text())["results"]
    results = {}
    for result in found:
        if result["unique_id"].startswith("model."):
            built = re.match(r"([\d,]+) built", result["message"])
            units = int(built[1].replace(",", "")) if built else 0
            results[result["unique_id"]] = (result["execution_time"], units)
    return results


@contextmanager
def _history(days: int, fills: int) -> Iterator[Path]:
    with TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        compile_kernels(root)
        write_history(root / "lake", days, fills)
        yield root


def _names(models: Sequence[str]) -> str:
    return ", ".join(map(_short, models))


def _short(name: str) -> str:
    return name.rsplit(".", 1)[-1]
