"""Computing what a plan found dirty: a date at a time, in batches of bounded size."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.lake.connection import one_thread, quoted
from ticklake.lake.errors import LakeError
from ticklake.lake.file_format import ROW_GROUP
from ticklake.lake.inputs import input_files, no_rows, set_files, set_units
from ticklake.lake.paths import Key, partition_path, project
from ticklake.lake.planning import Plan, Unit
from ticklake.lake.publishing import Origin, drop, publish
from ticklake.lake.quarantine import Problem
from ticklake.lake.report import Report
from ticklake.lake.specs import ModelSpec
from ticklake.lake.storage import LocalStorage, Storage
from ticklake.lake.tables import LakeTable, partition_paths
from ticklake.lake.writing import Staged, write_in_order, write_sorted

BATCH_BYTES = 64 << 20  # compressed input of the units that are computed in one query
BATCH_IN_ORDER = 8 << 20
"""The same for rows that come in order: alone they stream to their file, in a batch they are sorted
in memory, which only pays where partitions are too small to be worth a query each."""
AHEAD, AHEAD_ALONE = "64MB", "1MB"
"""What DuckDB may compute of rows in order before they are asked for: a row group for the second
thread, which is in its way with less; alone, what the processor's cache holds."""
BATCH_UNITS = 500
RESULT = "lake_batch"
RETURNED = "lake_returned"
WRONG_FOR_ALL = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
)
"""Errors that lie in the model or the machine: building the other units would only repeat them."""


Compute = Callable[
    [duckdb.DuckDBPyConnection, Sequence[Unit], Mapping[str, list[str]]],
    str | pa.RecordBatchReader,
]
"""Given a batch and the files of each input, return the SQL of the result, or its rows."""


class RawCheck(Protocol):
    """Finds the raw segments that keep a unit from being computed, and plans without them."""

    def unreadable(self, unit: Unit) -> Mapping[str, Problem]:
        """Return what is wrong with segments of a unit, by path."""
        ...

    def plan_without(self, problems: Mapping[str, Problem], units: Collection[Key]) -> Plan:
        """Set segments aside; return a new plan for some units."""
        ...


def build(
    connection: duckdb.DuckDBPyConnection,
    model: ModelSpec,
    table: LakeTable,
    plan: Plan,
    compute: Compute,
    code: str,
    after_partition: Callable[[], None] = lambda: None,
    source: Storage | None = None,
    raw: RawCheck | None = None,
) -> Report:
    """Carry out a plan. A unit that cannot be computed does not stop the others.

    Inputs are read from `source`, by default where the table is. Where raw segments are the reason,
    `raw` sets them aside, and the unit is computed without them. The report names the units that
    failed; everything else is published.
    """
    report = Report(unchanged=plan.unchanged, stale_outside=plan.stale_outside)
    report.failures |= {unit.key: why for unit, why in plan.blocked}
    drop(table, plan.dropped)
    report.dropped += len(plan.dropped)
    with table.storage.staging() as folder:
        worker = _Worker(
            connection, model, table, compute, code, folder, report, after_partition,
            source or table.storage, raw,
        )  # fmt: skip
        try:
            todo = plan
            while todo.dirty:
                worker.unreadable, worker.waiting = {}, set()
                for batch in _batches([unit for unit, _ in todo.dirty], model):
                    worker.run(batch)
                if raw is None or not worker.unreadable:
                    break
                todo = raw.plan_without(worker.unreadable, worker.waiting)
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


class _Worker:
    """Builds the batches of one table."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        model: ModelSpec,
        table: LakeTable,
        compute: Compute,
        code: str,
        folder: Path,
        report: Report,
        after_partition: Callable[[], None],
        source: Storage,
        raw: RawCheck | None,
    ) -> None:
        self._source = source
        self._connection, self._model, self._table = connection, model, table
        self._compute, self._code, self._folder = compute, code, folder
        self._report, self._raw, self._after_partition = report, raw, after_partition
        self.unreadable: dict[str, Problem] = {}
        """Raw segments that are the reason why the units in `waiting` could not be computed."""
        self.waiting: set[Key] = set()
        self._columns: list[str] = []

    def run(self, units: Sequence[Unit]) -> None:
        """Build a batch; where that fails, build its units one by one to find the one at fault."""
        is_alone = len(units) == 1 and self._streams  # what encodes has the other cores
        try:
            with one_thread(self._connection) if is_alone else nullcontext():
                self._run(units)
        except LakeError:
            raise
        except WRONG_FOR_ALL as error:
            raise LakeError(f"Model {self._model.name} cannot be built: {error}") from error
        except Exception as error:
            if len(units) > 1:
                for unit in units:
                    self.run([unit])
                return
            unreadable = self._raw.unreadable(units[0]) if self._raw else {}
            if unreadable:
                self.unreadable |= unreadable
                self.waiting.add(units[0].key)
                return
            self._report.failures[units[0].key] = str(error)

    def _run(self, units: Sequence[Unit]) -> None:
        model, connection = self._model, self._connection
        files = input_files(connection, model.inputs, units, self._source.url, self._folder)
        set_files(connection, files)
        set_units(connection, model.unit_by, units)
        closed = [_group_path(model.unit_by, unit.key) for unit in units if unit.is_closed]
        connection.execute(
            f"set variable closed_units = [{', '.join(map(quoted, closed))}]::varchar[]"
        )
        result = self._compute(connection, units, files)
        if isinstance(result, pa.RecordBatchReader):
            if model.keeps_order:
                self._run_in_order(units[0], result)
                return
            connection.register(RETURNED, result)
            query = f"select * from {RETURNED}"
        else:
            query = result
        self._check_contract(query)
        if len(units) == 1 and model.unit_by == model.partition_by:
            (unit,) = units
            source = f"from ({query}) where {self._guard(unit)}"
            staged = self._write(source, 0, is_sorted=model.keeps_order)
            self._publish(unit, {unit.key: staged})
            return
        with self._materialized(query):
            found = self._partitions(units)
            for unit in units:
                staged_files = {
                    key: self._write(f"from {RESULT} where {self._is(key)}", number)
                    for number, key in enumerate(found.get(unit.key, ()))
                }
                self._publish(unit, staged_files)

    def _run_in_order(self, unit: Unit, rows: pa.RecordBatchReader) -> None:
        """Write rows as a Python model returns them: DuckDB only says what types they have."""
        self._connection.register(RETURNED, rows.schema.empty_table())
        self._check_contract(f"select * from {RETURNED}")
        schema = self._connection.sql(self._select(f"from {RETURNED}")).to_arrow_table().schema
        batches = (own.select(self._columns) for own in map(self._own_rows(unit), rows))
        staged = write_in_order(schema, batches, self._model.order_by, self._folder / "0.parquet")
        self._publish(unit, {unit.key: staged})

    def _own_rows(self, unit: Unit) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Return what keeps the rows of a unit, as `_guard` does in SQL."""
        key = dict(zip(self._model.partition_by, unit.key, strict=True))

        def own_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
            if self._looks_back:
                is_context = pc.less(batch["date"], _like(key["date"], batch["date"]))
                if pc.any(is_context).as_py():
                    batch = batch.filter(pc.invert(is_context))
            for column, value in key.items():
                is_own = pc.equal(batch[column], _like(value, batch[column]))
                if pc.all(is_own, skip_nulls=False, min_count=0).as_py() is not True:
                    raise ValueError(_stray("another partition"))
            return batch

        return own_rows

    def _check_contract(self, query: str) -> None:
        """Compare the result's columns with the YAML before anything of it is published."""
        model = self._model
        found = {
            name: kind
            for name, kind, *_ in self._connection.execute(f"describe {query}").fetchall()
        }
        wanted = _canonical(self._connection, model.columns) if model.columns else found
        lines = [
            f"  {name}: {wanted.get(name, 'not in the YAML')} declared, "
            f"{found.get(name, 'missing')} in the result"
            for name in [*wanted, *(set(found) - set(wanted))]
            if wanted.get(name) != found.get(name)
        ]
        lines += [
            f"  {name}: Parquet has no {kind}; cast what sum() returns to decimal(38, 0)"
            for name, kind in found.items()
            if "HUGEINT" in kind
        ]
        missing_keys = set(model.partition_by) - set(found)
        if lines or missing_keys:
            lines += [
                f"  {name}: a partition column, missing in the result" for name in missing_keys
            ]
            raise LakeError(
                f"Model {model.name} does not return what its YAML declares; nothing was "
                "published.\n" + "\n".join(lines)
            )
        self._columns = [name for name in wanted if name not in model.partition_by]

    def _write(self, source: str, number: int, is_sorted: bool = False) -> Staged:
        """Write ordered rows to a staged file.

        The rows of a batch have lost their order, so those of `keeps_order` are sorted after all.
        They are written alike: the bytes do not depend on the batch.
        """
        order_by = self._model.order_by
        file = self._folder / f"{number}.parquet"
        rows = self._select(source)
        if not self._model.keeps_order:
            return write_sorted(self._connection, rows, order_by, file)
        if not is_sorted:
            rows += f" order by {', '.join(order_by)}"
        ahead = AHEAD_ALONE if is_sorted and self._streams else AHEAD
        self._connection.execute(f"set streaming_buffer_size = '{ahead}'")
        reader = self._connection.execute(rows).to_arrow_reader(ROW_GROUP)
        return write_in_order(reader.schema, reader, order_by, file)

    def _select(self, source: str) -> str:
        """Return SQL for the columns that go into a file."""
        listed = ", ".join(f'"{name}"' for name in self._columns)
        return f"select {listed} {source}"

    def _publish(self, unit: Unit, staged_files: Mapping[Key, Staged]) -> None:
        """Publish the partitions of a unit, then drop those it no longer has."""
        model, table, report = self._model, self._table, self._report
        origin = Origin(
            fingerprint=unit.fingerprint,
            code=self._code,
            unit_partitions=len(staged_files),
            source_files=tuple(
                path for parts in unit.inputs.values() for path in partition_paths(parts)
            ),
            order_by=model.order_by,
            time_column=model.time_column,
            quarantined=sum(part.quarantined for parts in unit.inputs.values() for part in parts),
        )
        for key, staged in staged_files.items():
            is_new = publish(table, key, staged, origin)
            report.built += is_new
            report.confirmed += not is_new
            report.rows += staged.row_count
            self._after_partition()
        vanished = [
            key
            for key in table.published
            if key not in staged_files
            and project(model.partition_by, key, model.unit_by) == unit.key
        ]
        drop(table, vanished)
        report.dropped += len(vanished)
        unit_path = partition_path(model.unit_by, unit.key)
        if staged_files:
            table.empty_units.pop(unit_path, None)
        else:
            table.empty_units[unit_path] = unit.fingerprint

    @contextmanager
    def _materialized(self, query: str) -> Iterator[None]:
        keys = ", ".join(self._model.partition_by)
        self._connection.execute(
            f"create or replace temp table {RESULT} as select * from ({query}) order by {keys}"
        )
        try:
            yield
        finally:
            self._connection.execute(f"drop table if exists {RESULT}")

    def _partitions(self, units: Sequence[Unit]) -> dict[Key, list[Key]]:
        """Return the partitions in the result by unit. Rows of look-back days are context only."""
        model = self._model
        days = {dict(zip(model.unit_by, unit.key, strict=True)).get("date", "") for unit in units}
        keys = ", ".join(f"cast({column} as varchar)" for column in model.partition_by)
        rows = self._connection.execute(f"select distinct {keys} from {RESULT}").fetchall()
        expected = {unit.key for unit in units}
        found: dict[Key, list[Key]] = {}
        for row in sorted(rows, key=lambda row: tuple(map(str, row))):
            if None in row or "" in row:
                named = dict(zip(model.partition_by, row, strict=True))
                raise ValueError(f"a row without a value for a partition column: {named}")
            unit_key = project(model.partition_by, row, model.unit_by)
            if unit_key in expected:
                found.setdefault(unit_key, []).append(row)
            elif not (
                self._looks_back
                and dict(zip(model.unit_by, unit_key, strict=True))["date"] < min(days)
            ):
                raise ValueError(_stray(partition_path(model.unit_by, unit_key)))
        if model.unit_by == model.partition_by:  # no row: a valid empty partition
            for key in expected:
                found.setdefault(key, [key])
        return found

    @property
    def _streams(self) -> bool:
        """Whether rows pass through DuckDB as they are read.

        What is read from raw is sorted first, and over a network there are bytes to wait for: both
        are work for every thread.
        """
        model = self._model
        reads_raw = any(item.is_raw for item in model.inputs)
        return model.keeps_order and not reads_raw and isinstance(self._source, LocalStorage)

    @property
    def _looks_back(self) -> bool:
        return any(item.lookback for item in self._model.inputs)

    def _is(self, key: Key) -> str:
        pairs = zip(self._model.partition_by, key, strict=True)
        return " and ".join(f'"{column}" = {quoted(value)}' for column, value in pairs)

    def _guard(self, unit: Unit) -> str:
        """Return a predicate for the rows of a unit that fails on a row of another."""
        message = quoted(_stray("another partition"))
        context = ""
        if self._looks_back:
            day = dict(zip(self._model.unit_by, unit.key, strict=True))["date"]
            context = f"when date < {quoted(day)} then false"
        return f"case when {self._is(unit.key)} then true {context} else error({message}) end"


def _like(value: str, column: pa.Array) -> pa.Scalar:
    """Return the value of a key as a column has it."""
    return pa.scalar(value).cast(column.type)


def _stray(where: str) -> str:
    return (
        f"the model returned a row for {where}, which is not computed from these inputs. "
        "Take the partition columns from the inputs unchanged."
    )


def _batches(units: Sequence[Unit], model: ModelSpec) -> Iterator[list[Unit]]:
    """Cut the dirty units into batches of one date (or month) and of bounded size."""
    time_keys = [column for column in model.unit_by if column in ("date", "month")]
    most = BATCH_IN_ORDER if model.keeps_order else BATCH_BYTES

    def day(unit: Unit) -> Key:
        return project(model.unit_by, unit.key, time_keys)

    for _, group in groupby(sorted(units, key=day), day):
        batch: list[Unit] = []
        size = 0
        for unit in group:
            is_full = size + unit.size > most or len(batch) >= BATCH_UNITS
            if batch and (is_full or model.one_unit_at_a_time):
                yield batch
                batch, size = [], 0
            batch.append(unit)
            size += unit.size
        yield batch


def _group_path(unit_by: Sequence[str], key: Key) -> str:
    """Return the path of a unit without its date, unescaped, as `lake_is_closed` names it."""
    pairs = zip(unit_by, key, strict=True)
    return "/".join(f"{column}={value}" for column, value in pairs if column != "date")


def _canonical(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the columns with DuckDB's own spelling of their types."""
    described = connection.execute(f"describe {no_rows(columns)}").fetchall()
    return {name: kind for name, kind, *_ in described}
