"""Checking published partitions against what `meta.json` says of them, by reading every byte."""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.lake.catalog import TableListing
from ticklake.lake.connection import prepare_cursor, quoted
from ticklake.lake.errors import LakeError
from ticklake.lake.lease import writing
from ticklake.lake.paths import Key, partition_path
from ticklake.lake.planning import Selection
from ticklake.lake.storage import Entry, LocalStorage, Storage
from ticklake.lake.tables import DAMAGE, DATA, META, LakeTable, Published, is_partition

REBUILD = "`dbt build` builds it again"
DELETE = "nothing reads it, delete it"
DROPPED = "the next `dbt build` drops it"
WRONG_HASH = "data.parquet does not have the hash in meta.json"
ATTEMPTS = 3
"""A build may replace a partition while it is looked at: then it is looked at again."""
READERS = 4
BLOCK = 1 << 20
ORDER = re.compile(
    r"(?P<value>.+?)(?:\s+(?P<direction>asc|desc))?(?:\s+nulls\s+(?P<nulls>first|last))?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong: where, what, and what to do."""

    path: str
    what: str
    advice: str = REBUILD

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.advice}"


@dataclass(frozen=True, slots=True)
class Checked:
    """One partition that was looked at."""

    path: str
    size: int = 0
    rows: int = 0
    problems: tuple[Problem, ...] = ()


def selected(table: TableListing, selection: Selection) -> dict[Key, dict[str, Entry]]:
    """Return the partitions of a table that lie in a selection."""
    return {
        key: files
        for key, files in table.partitions().items()
        if selection.contains(table.columns, key)
    }


def check_partitions(
    storage: Storage, table: TableListing, partitions: Mapping[Key, Mapping[str, Entry]]
) -> Iterator[Checked]:
    """Read partitions and compare each with its `meta.json`, in their order.

    Memory does not grow with a partition: its bytes and then its rows pass by as streams. From S3
    a partition is fetched once, into the scratch folder.
    """
    is_here = isinstance(storage, LocalStorage)  # then it is read in place, if need be read-only
    with (
        nullcontext() if is_here else storage.staging() as scratch,
        duckdb.connect() as connection,
        ThreadPoolExecutor(READERS) as pool,
    ):
        checker = _Checker(storage, connection, scratch)

        def check(item: tuple[Key, Mapping[str, Entry]]) -> Checked:
            key, files = item
            path = f"{table.location}/{partition_path(table.columns, key)}"
            return checker.check(path, dict(zip(table.columns, key, strict=True)), files)

        yield from pool.map(check, partitions.items())


def check_units(
    storage: Storage, table: TableListing, partitions: Mapping[Key, object]
) -> list[Problem]:
    """Find units of which a partition is lost: those that are left say how many there were."""
    if not partitions:
        return []
    published = LakeTable(storage, table.location, table.columns, table.entries).published
    units: dict[str, list[Published]] = {}
    for item in published.values():
        units.setdefault(item.inputs, []).append(item)
    unreadable = len(units.pop("", ()))  # damage of their own; perhaps the ones not found here
    return [
        Problem(
            f"{table.location}/{partition_path(table.columns, unit[0].key)}",
            f"its unit has {len(unit)} of {unit[0].unit_partitions} partitions",
        )
        for unit in units.values()
        if any(item.key in partitions for item in unit)
        and abs(unit[0].unit_partitions - len(unit)) > unreadable
    ]


def check_strays(table: TableListing) -> list[Problem]:
    """Find files that belong to no partition."""
    problems = []
    for entry in table.strays():
        folder, _, name = entry.path.removeprefix(f"{table.location}/").rpartition("/")
        if not table.is_raw and name in (DATA, META) and is_partition(folder):
            what = "lies by other columns than the table, as an earlier version wrote it"
            problems.append(Problem(entry.path, what, DROPPED))
        else:
            problems.append(Problem(entry.path, "is no file of a partition of this table", DELETE))
    return problems


def mark_damaged(storage: Storage, problems: Iterable[Problem]) -> None:
    """Write into `meta.json` what was found, where it is readable: the next build has to see it.

    Bytes that rot under the same size and time look sound to a listing. Raises LakeError where
    another writer holds the lake.
    """
    with writing(storage, "ticklake verify") as lake:
        for problem in problems:
            path = f"{problem.path}/{META}"
            try:
                meta = json.loads(lake.read(path))
            except (FileNotFoundError, ValueError):
                continue  # a listing shows that
            if isinstance(meta, dict):
                meta[DAMAGE] = problem.what
                lake.write(path, json.dumps(meta, indent=1).encode())


def sort_key(order_by: Sequence[str]) -> str:
    """Return SQL for bytes that compare as rows do under an `order by` of these entries."""
    arguments = []
    for entry in order_by:
        match = ORDER.fullmatch(entry.strip())
        if match is None:
            raise LakeError(f"{entry!r} is no entry of an order by.")
        direction, nulls = match["direction"] or "asc", match["nulls"] or "last"
        arguments.append(f"{match['value']}, '{direction} nulls {nulls}'")
    return f"create_sort_key({', '.join(arguments)})"


class _Checker:
    """Checks partitions, several at a time."""

    def __init__(
        self, storage: Storage, connection: duckdb.DuckDBPyConnection, scratch: Path | None
    ) -> None:
        self._storage, self._connection, self._scratch = storage, connection, scratch

    def check(self, path: str, values: Mapping[str, str], files: Mapping[str, Entry]) -> Checked:
        """Check one partition; `values` are those of its partition columns."""
        for name in (DATA, META):
            if name not in files:
                return Checked(path, problems=(Problem(path, f"{name} is missing"),))
        size, rows, what = 0, 0, None
        for _ in range(ATTEMPTS):
            try:
                before = self._storage.read(f"{path}/{META}")
                size, rows, what = self._compare(path, values, before)
                if what is None or self._storage.read(f"{path}/{META}") == before:
                    break
            except FileNotFoundError:
                what = "a file of it went away meanwhile"
        return Checked(path, size, rows, (Problem(path, what),) if what else ())

    def _compare(
        self, path: str, values: Mapping[str, str], content: bytes
    ) -> tuple[int, int, str | None]:
        """Return bytes and rows read, and what is wrong."""
        try:
            meta = json.loads(content)
            size, rows = int(meta["size"]), int(meta["row_count"])
            sha256, order_by = str(meta["sha256"]), [str(entry) for entry in meta["order_by"]]
            times = (meta["ts_event_min"], meta["ts_event_max"])
            time_column = meta.get("time_column", "ts_event")
        except (ValueError, KeyError, TypeError):
            return 0, 0, "meta.json cannot be read"
        if meta.get(DAMAGE):
            return 0, 0, str(meta[DAMAGE])
        data = f"{path}/{DATA}"
        copy = self._scratch / uuid.uuid4().hex if self._scratch else None
        file = copy or Path(self._storage.url(data))
        try:
            found_size, found_sha256 = self._fetch(data, copy)
            if found_size != size:
                return found_size, 0, f"data.parquet has {found_size} bytes, not {size}"
            if found_sha256 != sha256:
                return found_size, 0, WRONG_HASH
            what = self._read(file, values, rows, order_by, times, time_column)
            return found_size, rows, what
        except FileNotFoundError:
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            return size, 0, f"data.parquet cannot be read: {str(error).splitlines()[0]}"
        finally:
            if copy is not None:
                copy.unlink(missing_ok=True)

    def _fetch(self, path: str, copy: Path | None) -> tuple[int, str]:
        """Return size and SHA-256 of an object, writing what is read to a file where asked."""
        digest, size = hashlib.sha256(), 0
        with self._storage.open(path) as stream, open(copy or os.devnull, "wb") as file:
            while data := stream.read(BLOCK):
                digest.update(data)
                size += len(data)
                if copy is not None:
                    file.write(data)
        return size, digest.hexdigest()

    def _read(
        self,
        file: Path,
        values: Mapping[str, str],
        rows: int,
        order_by: Sequence[str],
        times: tuple[str | None, str | None],
        time_column: str | None,
    ) -> str | None:
        """Compare the rows of a file with what is said of them; return what is wrong."""
        with pq.ParquetFile(file) as parquet:
            if parquet.metadata.num_rows != rows:
                return f"data.parquet has {parquet.metadata.num_rows} rows, not {rows}"
            names = parquet.schema_arrow.names
        time = f'epoch_ns("{time_column}")' if time_column in names else "null"
        key = sort_key(order_by) if order_by else "null"
        constants = "".join(
            f', {quoted(value)} as "{name}"' for name, value in values.items() if name not in names
        )
        # `lag` over everything streams: one row is held, not the partition.
        query = f"""
            select
                count(*),
                cast(min(time) as varchar),
                cast(max(time) as varchar),
                min(row) filter (where key < previous)
            from (
                select time, row, key, lag(key) over () as previous
                from (
                    select {time} as time, file_row_number as row, {key} as key
                    from (
                        select *{constants}
                        from read_parquet(
                            {quoted(str(file))}, file_row_number = true, hive_partitioning = false
                        )
                    )
                )
            )"""
        cursor = self._connection.cursor()
        prepare_cursor(cursor)
        count, *found, disorder = cursor.execute(query).fetchone() or (0, None, None, None)
        if count != rows:
            return f"data.parquet yields {count} rows, not {rows}"
        if time_column in names and tuple(found) != times:
            return f"its times go from {found[0]} to {found[1]}, not from {times[0]} to {times[1]}"
        if disorder is not None:
            return (
                f"rows {disorder - 1} and {disorder} (from 0) are not in the order of "
                f"{', '.join(order_by)}"
            )
        return None
