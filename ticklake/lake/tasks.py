"""Building units: what a worker does, in whatever process and on whatever machine it runs.

A task is a model and some of its units, with the files that they read. `run` computes the units in
a DuckDB of its own and stages a Parquet file for each of their partitions. It needs neither dbt nor
dbt's DuckDB file, and it publishes nothing: that is left to the process that handed the task out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.lake.connection import prepare, quoted
from ticklake.lake.errors import LakeError
from ticklake.lake.file_format import ROW_GROUP
from ticklake.lake.inputs import input_files, no_rows, set_files, set_units
from ticklake.lake.paths import Key, partition_path, project
from ticklake.lake.planning import Unit
from ticklake.lake.python_models import python_result
from ticklake.lake.specs import ModelSpec
from ticklake.lake.storage import Storage, open_storage
from ticklake.lake.writing import Staged, write_in_order, write_sorted

RESULT: Final = "lake_batch"
RETURNED: Final = "lake_returned"
MEMORY_EACH: Final = 600_000_000
"""Bytes that the DuckDB of a worker may use if nothing else is set."""
WRONG_FOR_ALL: Final = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.FatalException,
)
"""Errors that lie in the model: building the other units would only repeat them."""


@dataclass(frozen=True)
class Recipe:
    """How a model is computed."""

    model: ModelSpec
    language: str
    """`sql` or `python`."""
    source: str
    """Compiled SQL, or the text of a Python model as dbt compiled it."""
    path: str
    """The file of the model, for tracebacks."""
    seeds: Mapping[str, bytes] = field(default_factory=dict)
    """The seeds that it reads: `schema.name` -> an Arrow stream of the rows."""


@dataclass(frozen=True)
class Task:
    """Some units of a model."""

    recipe: Recipe
    batches: tuple[tuple[Unit, ...], ...]
    """The units of a batch are computed in one query. A Python model has one in each."""
    root: str
    """The lake that the inputs are in."""
    folder: str
    """A local folder of the task's own, for what it stages."""
    threads: int = 1
    memory: int = MEMORY_EACH
    """Bytes that DuckDB may use before it spills to disk."""

    @property
    def units(self) -> list[Unit]:
        """All units, in order."""
        return [unit for batch in self.batches for unit in batch]


@dataclass
class Outcome:
    """What became of a task."""

    staged: dict[Key, tuple[Staged, ...]] = field(default_factory=dict)
    """The partitions of each unit that could be computed."""
    failures: dict[Key, str] = field(default_factory=dict)
    """Why other units could not be computed."""
    error: str | None = None
    """What is wrong with the model as a whole. Then nothing was staged."""
    lacks_memory: bool = False
    """Whether `error` is that DuckDB had too little memory."""


def run(task: Task) -> Outcome:
    """Compute the units of a task, batch by batch."""
    folder = Path(task.folder)
    folder.mkdir(exist_ok=True)
    outcome = Outcome()
    storage = _storage(task.root)
    with duckdb.connect(
        config={
            "threads": task.threads,
            "memory_limit": f"{task.memory >> 10}KiB",
            "temp_directory": str(folder / "spilled"),
        }
    ) as connection:
        prepare(connection, storage)
        _load_seeds(connection, task.recipe.seeds)
        worker = _Worker(connection, task.recipe, storage, folder, outcome)
        try:
            for batch in task.batches:
                worker.run(batch)
        except LakeError as error:
            outcome = Outcome(error=str(error))
        except duckdb.OutOfMemoryException as error:
            outcome = Outcome(error=_wrong(task.recipe, error), lacks_memory=True)
        except WRONG_FOR_ALL as error:
            outcome = Outcome(error=_wrong(task.recipe, error))
    return outcome


def _wrong(recipe: Recipe, error: Exception) -> str:
    return f"Model {recipe.model.name} cannot be built: {error}"


@cache
def _storage(root: str) -> Storage:
    """Return a lake; its client is made once a process."""
    return open_storage(root)


def _load_seeds(connection: duckdb.DuckDBPyConnection, seeds: Mapping[str, bytes]) -> None:
    for place, content in seeds.items():
        schema, _ = place.split(".")
        rows = pa.ipc.open_stream(content).read_all()
        connection.execute(f'create schema if not exists "{schema}"')
        connection.register(RETURNED, rows)
        connection.execute(f"create table {place} as select * from {RETURNED}")
        connection.unregister(RETURNED)


class _Worker:
    """Computes units of one model."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        recipe: Recipe,
        storage: Storage,
        folder: Path,
        outcome: Outcome,
    ) -> None:
        self._connection, self._recipe, self._storage = connection, recipe, storage
        self._model, self._folder, self._outcome = recipe.model, folder, outcome
        self._columns: list[str] = []
        self._file_count = 0

    def run(self, units: Sequence[Unit]) -> None:
        """Compute some units together; if that fails, one by one to find the one at fault."""
        try:
            self._run(units)
        except (LakeError, duckdb.OutOfMemoryException, *WRONG_FOR_ALL):
            raise
        except Exception as error:
            if len(units) == 1:
                self._outcome.failures[units[0].key] = str(error)
                return
            for unit in units:
                self.run([unit])

    def _run(self, units: Sequence[Unit]) -> None:
        model, connection = self._model, self._connection
        files = input_files(connection, model.inputs, units, self._storage.url, self._folder)
        set_files(connection, files)
        set_units(connection, model.unit_by, units)
        closed = [_group_path(model.unit_by, unit.key) for unit in units if unit.is_closed]
        connection.execute(
            f"set variable closed_units = [{', '.join(map(quoted, closed))}]::varchar[]"
        )
        query = self._recipe.source
        if self._recipe.language == "python":
            (unit,) = units
            recipe = self._recipe
            rows = python_result(connection, model, recipe.source, recipe.path, unit, files)
            if model.keeps_order:
                self._run_in_order(unit, rows)
                return
            connection.register(RETURNED, rows)
            query = f"select * from {RETURNED}"
        self._check_contract(query)
        if len(units) == 1 and model.unit_by == model.partition_by:
            (unit,) = units
            source = f"from ({query}) where {self._guard(unit)}"
            self._staged(unit, [self._write(source, unit.key, is_sorted=model.keeps_order)])
            return
        with self._materialized(query):
            found = self._partitions(units)
            for unit in units:
                keys = found.get(unit.key, ())
                self._staged(
                    unit, [self._write(f"from {RESULT} where {self._is(key)}", key) for key in keys]
                )

    def _run_in_order(self, unit: Unit, rows: pa.RecordBatchReader) -> None:
        """Write rows as a Python model returns them: DuckDB only says what types they have."""
        self._connection.register(RETURNED, rows.schema.empty_table())
        self._check_contract(f"select * from {RETURNED}")
        schema = self._connection.sql(self._select(f"from {RETURNED}")).to_arrow_table().schema
        batches = (own.select(self._columns) for own in map(self._own_rows(unit), rows))
        self._staged(unit, [self._write_in_order(schema, batches, unit.key)])

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
        """Compare the result's columns with the YAML before anything of it is staged."""
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

    def _write(self, source: str, key: Key, is_sorted: bool = False) -> Staged:
        """Write ordered rows to a staged file.

        The rows of a batch have lost their order, so those of `keeps_order` are sorted after all.
        They are written alike: the bytes do not depend on the batch.
        """
        order_by = self._model.order_by
        rows = self._select(source)
        if not self._model.keeps_order:
            return write_sorted(
                self._connection, rows, order_by, self._next_file(), key, self._model.time_column
            )
        if not is_sorted:
            rows += f" order by {', '.join(order_by)}"
        reader = self._connection.execute(rows).to_arrow_reader(ROW_GROUP)
        return self._write_in_order(reader.schema, reader, key)

    def _write_in_order(
        self, schema: pa.Schema, batches: Iterator[pa.RecordBatch], key: Key
    ) -> Staged:
        model = self._model
        return write_in_order(
            schema, batches, model.order_by, self._next_file(), key, model.time_column
        )

    def _next_file(self) -> Path:
        self._file_count += 1
        return self._folder / f"{self._file_count}.parquet"

    def _select(self, source: str) -> str:
        """Return SQL for the columns that go into a file."""
        listed = ", ".join(f'"{name}"' for name in self._columns)
        return f"select {listed} {source}"

    def _staged(self, unit: Unit, files: Sequence[Staged]) -> None:
        self._outcome.staged[unit.key] = tuple(files)

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


def _group_path(unit_by: Sequence[str], key: Key) -> str:
    """Return the path of a unit without its date, unescaped, as `lake_is_closed` names it."""
    pairs = zip(unit_by, key, strict=True)
    return "/".join(f"{column}={value}" for column, value in pairs if column != "date")


def _canonical(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the columns with DuckDB's own spelling of their types."""
    described = connection.execute(f"describe {no_rows(columns)}").fetchall()
    return {name: kind for name, kind, *_ in described}
