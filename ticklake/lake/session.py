"""What one dbt invocation knows of the lake: scanned tables, the lease, results for Jinja."""

import atexit
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ticklake.lake.checks import Check, Tested
from ticklake.lake.determinism import Functions, functions_of
from ticklake.lake.errors import LakeError
from ticklake.lake.lease import Lease
from ticklake.lake.paths import LAYERS, Key
from ticklake.lake.planning import Input, Plan, Selection, Unit
from ticklake.lake.quarantine import Problem, forget, set_aside, things_set_aside
from ticklake.lake.raw import unfinished
from ticklake.lake.screening import Screening
from ticklake.lake.specs import InputSpec, ModelSpec
from ticklake.lake.storage import Storage, open_storage
from ticklake.lake.storage.staging import scratch_folder, scratch_root
from ticklake.lake.tables import LakeTable, Partition, RawTable, partition_paths

if TYPE_CHECKING:
    from ticklake.lake.comparing import Comparison


@dataclass
class Session:
    """State shared by the models and tests of one invocation."""

    storage: Storage
    database: duckdb.DuckDBPyConnection = field(init=False)
    """The connection to dbt's database that all of dbt's are cursors of."""
    plans: dict[str, tuple[ModelSpec, Plan]] = field(default_factory=dict)
    """Model name -> the model and its plan, in the order of the run."""
    comparisons: dict[str, "Comparison"] = field(default_factory=dict)
    """Model name -> what computing it again showed; only when that was asked for."""
    checks: dict[str, Check] = field(default_factory=dict)
    tested: dict[tuple[str, ...], Tested] = field(default_factory=dict)
    """Locations of tables -> their units, for the tests that read just these."""
    pending: dict[str, dict[Key, Partition]] = field(default_factory=dict)
    """Location -> partitions that a plan would build, or that this run could not build."""
    renewed: dict[str, Sequence[str]] = field(default_factory=dict)
    """Tables that this run has built or found up to date: location -> partition columns."""
    failed: list[str] = field(default_factory=list)
    """What to say of the units that could not be built, a model each."""
    asked: dict[str, frozenset[str]] = field(default_factory=dict)
    """`exchange` and `symbol` -> the names that vars narrow the run to."""
    seen: dict[str, set[str]] = field(default_factory=dict)
    """The same columns -> the names that inputs have, of columns that are in `asked`."""
    partitions_published: int = 0
    _tables: dict[str, LakeTable] = field(default_factory=dict)
    _raw: dict[str, dict[Key, Partition]] = field(default_factory=dict)
    _inputs: dict[tuple[str, int, tuple[str, ...]], Input] = field(default_factory=dict)
    _superseded: set[str] = field(default_factory=set)
    """Paths of segments that are in `raw/` as well as in quarantine."""
    _lease: Lease | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held by whoever plans: models and tests of a run come side by side."""
    _resources: ExitStack = field(default_factory=ExitStack)
    _scratch: Path | None = None

    def lake_table(self, location: str, columns: Sequence[str]) -> LakeTable:
        """Return a table that ticklake builds; it is scanned once an invocation."""
        with self.lock:
            if location not in self._tables:
                self._tables[location] = LakeTable(self.storage, location, columns)
            return self._tables[location]

    def input(self, spec: InputSpec) -> Input:
        """Return what is in the lake of one input."""
        if spec.is_raw:
            if spec.location not in self._raw:
                raw = RawTable(self.storage, spec.location, spec.partition_by)
                aside = things_set_aside(self.storage, spec.location)
                found = raw.partitions(
                    {path: item.error_type for path, item in aside.items()}, self.hidden
                )
                self._raw[spec.location] = found
                self._superseded |= aside.keys() & set(partition_paths(found.values()))
            partitions: Mapping[Key, Partition] = self._raw[spec.location]
        else:
            partitions = self.lake_table(spec.location, spec.partition_by).partitions()
            if pending := self.pending.get(spec.location):
                partitions = {**partitions, **pending}
        item = Input(spec.name, spec.partition_by, partitions, spec.lookback, spec.views)
        known = self._inputs.get((spec.name, spec.lookback, spec.views))
        if known is not None and known.partitions is partitions:
            return known  # with what it has in order already
        self._inputs[spec.name, spec.lookback, spec.views] = item
        return item

    def note(self, selection: Selection, inputs: Iterable[Input]) -> None:
        """Remember which exchanges and symbols a run is narrowed to, and which inputs have any."""
        names = {"exchange": selection.exchanges, "symbol": selection.symbols}
        self.asked |= {column: wanted for column, wanted in names.items() if wanted is not None}
        for item in inputs:
            for column in self.asked.keys() & set(item.columns):
                place = item.columns.index(column)
                self.seen.setdefault(column, set()).update(key[place] for key in item.partitions)

    def remove_left_over(self) -> None:
        """Remove the partitions that lie by other columns than their table, which is built anew."""
        for location, columns in self.renewed.items():
            if self.lake_table(location, columns).left_over:
                self.hold_lease()
                self.lake_table(location, columns).remove_left_over()

    def release(self, units: Iterable[Unit]) -> None:
        """Delete from quarantine what the segments superseded that these units were built from."""
        parts = (part for unit in units for found in unit.inputs.values() for part in found)
        done = self._superseded.intersection(partition_paths(parts))
        forget(self.storage, sorted(done))
        self._superseded -= done

    def set_aside(self, problems: Mapping[str, Problem]) -> None:
        """Move raw segments into quarantine; raw tables are then looked at anew."""
        set_aside(self.storage, problems)
        self.screening.moved(problems)
        self._raw.clear()
        self.tested.clear()

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The raw segments of landings that did not finish: nothing reads them."""
        return frozenset(path for paths in unfinished(self.storage).values() for path in paths)

    @cached_property
    def functions(self) -> Functions:
        """The functions of dbt's DuckDB file, as they were when a test asked first."""
        with self.database.cursor() as cursor:
            return functions_of(cursor)

    @cached_property
    def screening(self) -> Screening:
        """What is known of raw segments."""
        return Screening(self.storage, self.scratch)

    def hold_lease(self) -> bool:
        """Become the one writer, and stay it. Raises LakeError if another has taken over.

        Returns whether this call made it the writer. Then what was seen of the lake before may have
        changed since, so it is forgotten, and what killed runs left behind is removed.
        """
        with self.lock:
            if self._lease is not None:
                if self._lease.lost:
                    raise LakeError(self._lease.lost)
                return False
            lease = Lease(self.storage, "dbt")
            lease.acquire()
            self._lease, self.storage = lease, lease.fenced()
            for seen in (self._tables, self._raw, self._inputs, self.tested):
                seen.clear()
            self._superseded.clear()
            self.storage.sweep(LAYERS)
            return True

    @cached_property
    def memory(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB of its own: what dbt's connection asks for cannot be answered with it."""
        return duckdb.connect()

    @property
    def scratch(self) -> Path:
        """A local folder for small files that live as long as the session."""
        if self._scratch is None:
            self._scratch = self._resources.enter_context(scratch_folder(scratch_root()))
        return self._scratch

    def close(self) -> None:
        """Give back the lease and the scratch folder."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None
        self._resources.close()
        self._scratch = None


_current: tuple[str, str, Session] | None = None


def session_of(invocation: str, root: str) -> Session:
    """Return the session of a dbt invocation, closing that of an earlier one."""
    global _current
    if _current is None or _current[:2] != (invocation, root):
        close_session()
        _current = (invocation, root, Session(open_storage(root)))
    return _current[2]


def latest_session() -> Session | None:
    """Return the session of the last invocation in this process, if there was one."""
    return _current[2] if _current else None


def close_session() -> None:
    """Close the current session; its results stay readable."""
    if _current is not None:
        _current[2].close()


atexit.register(close_session)
