"""Carrying out a plan: tasks are handed out, and what they staged is published."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

from ticklake.lake.errors import LakeError
from ticklake.lake.executor import workers
from ticklake.lake.paths import Key, partition_path, project
from ticklake.lake.planning import Plan, Unit
from ticklake.lake.progress import PROGRESS
from ticklake.lake.publishing import Origin, drop, publish
from ticklake.lake.quarantine import Problem
from ticklake.lake.report import Report
from ticklake.lake.specs import ModelSpec
from ticklake.lake.storage import Storage
from ticklake.lake.tables import LakeTable, partition_paths
from ticklake.lake.tasks import Recipe, Task
from ticklake.lake.writing import Staged

BATCH_BYTES = 64 << 20  # compressed input of the units that are computed in one query
BATCH_IN_ORDER = 8 << 20
"""The same for rows that come in order: alone they stream to their file, in a batch they are sorted
in memory, which only pays if partitions are too small to be worth a query each."""
BATCH_UNITS = 500
TASK_BATCHES = 16


class RawCheck(Protocol):
    """Finds the raw segments that keep a unit from being computed, and plans without them."""

    def unreadable(self, unit: Unit) -> Mapping[str, Problem]:
        """Return what is wrong with segments of a unit, by path."""
        ...

    def plan_without(self, problems: Mapping[str, Problem], units: Collection[Key]) -> Plan:
        """Set segments aside; return a new plan for some units."""
        ...


def build(
    recipe: Recipe,
    table: LakeTable,
    plan: Plan,
    code: str,
    after_partition: Callable[[], None] = lambda: None,
    source: Storage | None = None,
    raw: RawCheck | None = None,
) -> Report:
    """Carry out a plan. A unit that cannot be computed does not stop the others.

    Inputs are read from `source`, by default where the table is. If raw segments are the reason,
    `raw` sets them aside, and the unit is computed without them. The report names the units that
    failed; everything else is published.
    """
    report = Report(unchanged=plan.unchanged, stale_outside=plan.stale_outside)
    report.failures |= {unit.key: why for unit, why in plan.blocked}
    drop(table, plan.dropped)
    report.dropped += len(plan.dropped)
    with table.storage.staging() as folder:
        builder = _Builder(
            recipe, table, code, folder, report, after_partition, source or table.storage
        )
        try:
            todo = plan
            while todo.dirty:
                failed = builder.build([unit for unit, _ in todo.dirty])
                problems: dict[str, Problem] = {}
                waiting: set[Key] = set()
                for unit, why in failed:
                    unreadable = raw.unreadable(unit) if raw else {}
                    if unreadable:
                        problems |= unreadable
                        waiting.add(unit.key)
                    else:
                        report.failures[unit.key] = why
                if raw is None or not problems:
                    break
                todo = raw.plan_without(problems, waiting)
        finally:
            table.save_cache()
    return report


def failed_units(model: ModelSpec, plan: Plan, report: Report) -> str:
    """Return which units of a table could not be built, and why."""
    lines = [f"{partition_path(model.unit_by, key)}: {why}" for key, why in report.failures.items()]
    more = f"\n... and {len(lines) - 5} more" if len(lines) > 5 else ""
    return (
        f"{len(lines)} of {len(plan.dirty) + len(plan.blocked)} units of {model.name} could not be "
        "built; the others are published.\n" + "\n".join(lines[:5]) + more
    )


class _Builder:
    """Builds units of one table."""

    def __init__(
        self,
        recipe: Recipe,
        table: LakeTable,
        code: str,
        folder: Path,
        report: Report,
        after_partition: Callable[[], None],
        source: Storage,
    ) -> None:
        self._recipe, self._model, self._table, self._code = recipe, recipe.model, table, code
        self._folder, self._report, self._source = folder, report, source
        self._after_partition = after_partition
        self._task_count = 0
        self._before: dict[Key, list[Key]] = {}
        """The partitions that each unit had."""
        for key in table.published:
            unit = project(self._model.partition_by, key, self._model.unit_by)
            self._before.setdefault(unit, []).append(key)

    def build(self, units: Sequence[Unit]) -> list[tuple[Unit, str]]:
        """Build units; return those that could not be computed, and why."""
        failed = []
        left = len(units)
        PROGRESS.expect(left)
        batches = list(_batches(units, self._recipe))
        tasks = map(self._task, _grouped(batches, 2 * workers().count))
        is_threaded = self._recipe.language == "sql"
        try:
            for task, outcome in workers().run(tasks, is_threaded=is_threaded):
                if outcome.error:
                    raise LakeError(outcome.error)
                for unit in task.units:
                    if unit.key in outcome.failures:
                        failed.append((unit, outcome.failures[unit.key]))
                    else:
                        self._publish(unit, outcome.staged[unit.key])
                files = [staged for found in outcome.staged.values() for staged in found]
                PROGRESS.add(len(task.units), sum(staged.row_count for staged in files))
                left -= len(task.units)
        finally:
            PROGRESS.add(left, 0)
        return failed

    def _task(self, batches: Sequence[Sequence[Unit]]) -> Task:
        self._task_count += 1
        folder = str(self._folder / str(self._task_count))
        return Task(self._recipe, tuple(map(tuple, batches)), self._source.root, folder)

    def _publish(self, unit: Unit, files: Sequence[Staged]) -> None:
        """Publish the partitions of a unit, then drop those it no longer has."""
        model, table, report = self._model, self._table, self._report
        origin = Origin(
            fingerprint=unit.fingerprint,
            code=self._code,
            unit_partitions=len(files),
            source_files=tuple(
                path for parts in unit.inputs.values() for path in partition_paths(parts)
            ),
            order_by=model.order_by,
            time_column=model.time_column,
            quarantined=sum(part.quarantined for parts in unit.inputs.values() for part in parts),
        )
        for staged in files:
            is_new = publish(table, staged, origin)
            report.built += is_new
            report.confirmed += not is_new
            report.rows += staged.row_count
            self._after_partition()
        kept = {staged.key for staged in files}
        vanished = [key for key in self._before.get(unit.key, ()) if key not in kept]
        drop(table, vanished)
        report.dropped += len(vanished)
        unit_path = partition_path(model.unit_by, unit.key)
        if files:
            table.empty_units.pop(unit_path, None)
        else:
            table.empty_units[unit_path] = unit.fingerprint


def _batches(units: Sequence[Unit], recipe: Recipe) -> Iterator[list[Unit]]:
    """Cut the dirty units into batches of one date (or month) and of bounded size.

    A Python model computes one unit at a time.
    """
    model = recipe.model
    time_keys = [column for column in model.unit_by if column in ("date", "month")]
    most_bytes = BATCH_IN_ORDER if model.keeps_order else BATCH_BYTES
    most_units = BATCH_UNITS if recipe.language == "sql" else 1

    def day(unit: Unit) -> Key:
        return project(model.unit_by, unit.key, time_keys)

    for _, group in groupby(sorted(units, key=day), day):
        batch: list[Unit] = []
        size = 0
        for unit in group:
            if batch and (size + unit.size > most_bytes or len(batch) >= most_units):
                yield batch
                batch, size = [], 0
            batch.append(unit)
            size += unit.size
        yield batch


def _grouped(batches: Sequence[list[Unit]], least: int) -> Iterator[list[list[Unit]]]:
    """Put small batches together into tasks, `least` of them: each opens a DuckDB, for 15 ms."""
    most = max(1, min(TASK_BATCHES, len(batches) // least))
    group: list[list[Unit]] = []
    size = 0
    for batch in batches:
        own = sum(unit.size for unit in batch)
        if group and (len(group) >= most or size + own > BATCH_IN_ORDER):
            yield group
            group, size = [], 0
        group.append(batch)
        size += own
    if group:
        yield group
