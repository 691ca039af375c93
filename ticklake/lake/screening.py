"""Looking at raw segments before they are used.

What a footer says is known before a unit is computed. So is whether the rows of a segment keep the
rules of their channel: `ticklake land` has applied them to the segments that its ledger describes,
and those of other collectors are read once, the columns that the rules look at. What is wrong
inside a page shows when a query fails: then the segments of that unit are decoded one by one.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ticklake.lake.inputs import read_columns, write_template
from ticklake.lake.planning import Unit
from ticklake.lake.quarantine import Problem
from ticklake.lake.raw import ledger_names, read_ledger
from ticklake.lake.specs import InputSpec
from ticklake.lake.storage import Storage
from ticklake.lake.tables import READERS, Cache, partition_paths

if TYPE_CHECKING:  # it is not imported where there is nothing to look at
    import pyarrow as pa


class Screening:
    """What one invocation knows of the raw segments it has looked at."""

    def __init__(self, storage: Storage, scratch: Path) -> None:
        self._storage, self._scratch = storage, scratch
        self._looked_at: set[str] = set()
        self._declared: dict[str, pa.Schema] = {}
        self._ledgers: Mapping[str, Sequence[str]] | None = None
        self._described: dict[str, set[str]] = {}
        """The segments of ledger entries by the name of the entry, which its segments have too."""
        self.problems: dict[str, Problem] = {}
        """Segments that cannot be used and still lie in `raw/`, by path."""

    def look(self, inputs: Sequence[InputSpec], units: Iterable[Unit]) -> dict[str, Problem]:
        """Return the segments of some units that cannot be used, as far as is known by now.

        It looks at the footers of new ones, and at the rows of those that no ledger describes.
        """
        found: dict[str, Problem] = {}
        for item, paths in _raw_paths(inputs, units):
            new = [path for path in paths if path not in self._looked_at]
            if new:
                from ticklake.lake.segment_checks import check_footers

                problems = check_footers(self._storage, new, self._schema(item))
                self.problems |= problems
                self.problems |= self._rows(item, [path for path in new if path not in problems])
                self._looked_at.update(new)
            found |= {path: self.problems[path] for path in paths if path in self.problems}
        return found

    def pages(self, inputs: Sequence[InputSpec], unit: Unit) -> dict[str, Problem]:
        """Decode the segments of a unit that could not be computed; return those at fault."""
        from ticklake.lake.segment_checks import check_pages

        found = {}
        for item, paths in _raw_paths(inputs, [unit]):
            rows = read_columns(item, "$file")
            columns = [name for name in item.columns if name not in item.partition_by]
            for path in paths:
                problem = check_pages(self._storage, path, rows, columns)
                if problem:
                    found[path] = problem
        self.problems |= found
        return found

    def _rows(self, item: InputSpec, paths: Sequence[str]) -> dict[str, Problem]:
        """Return which segments of other collectors have a row that breaks a rule.

        A verdict is remembered in `_cache/rows/` with the size and tag of the segment.
        """
        from ticklake.lake.row_checks import RULES, check_rows
        from ticklake.lake.row_rules import has_rules

        channel = item.location.rpartition("/")[2]
        foreign = self._foreign(paths) if has_rules(channel) else []
        if not foreign:
            return {}
        cache = Cache(self._storage, f"rows/{item.location}")
        entries = {path: self._storage.find(path) for path in foreign}
        marks = {path: [RULES, it.size, it.tag] for path, it in entries.items() if it is not None}
        new = [path for path, mark in marks.items() if cache.entries.get(path) != mark]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            verdicts = pool.map(lambda path: check_rows(self._storage, path, item, channel), new)
            found = dict(zip(new, verdicts, strict=True))
        cache.entries |= {path: marks[path] for path, verdict in found.items() if verdict is None}
        cache.save()
        return {path: verdict for path, verdict in found.items() if verdict is not None}

    def _foreign(self, paths: Sequence[str]) -> list[str]:
        """Return the segments that no ledger entry describes."""
        if self._ledgers is None:
            self._ledgers = ledger_names(self._storage)
        names = {path.rpartition("/")[2].removesuffix(".parquet") for path in paths}
        wanted = [
            (source, name)
            for name in sorted(names - self._described.keys())
            for source in self._ledgers.get(name, ())
        ]
        with ThreadPoolExecutor(READERS) as pool:
            read = pool.map(lambda key: read_ledger(self._storage, *key), wanted)
            for (_, name), entry in zip(wanted, read, strict=True):
                segments = entry.segments if entry is not None and entry.tag else []
                self._described.setdefault(name, set()).update(item.path for item in segments)
        return [
            path
            for path in paths
            if path not in self._described.get(path.rpartition("/")[2].removesuffix(".parquet"), ())
        ]

    def moved(self, paths: Iterable[str]) -> None:
        """Take note of segments that are no longer in `raw/`."""
        for path in paths:
            self.problems.pop(path, None)
            self._looked_at.discard(path)

    def _schema(self, item: InputSpec) -> "pa.Schema":
        """Return the declared columns as a Parquet file that DuckDB wrote has them.

        Those that a segment has to have are not nullable.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if item.location not in self._declared:
            with duckdb.connect() as connection:
                template = write_template(connection, item, self._scratch)
            schema = pq.read_metadata(template).schema.to_arrow_schema()
            self._declared[item.location] = pa.schema(
                _with_required(field, item.required) for field in schema
            )
        return self._declared[item.location]


def _with_required(field: "pa.Field", required: Collection[str], path: str = "") -> "pa.Field":
    """Return a field that is not nullable if it is required, and so with those inside of it.

    A field of a struct, or of the structs in a list, is called `bids.price`.
    """
    import pyarrow as pa

    path += field.name
    kind = field.type
    inner = kind.value_type if pa.types.is_list(kind) else kind
    if pa.types.is_struct(inner):
        inner = pa.struct([_with_required(each, required, f"{path}.") for each in inner])
        kind = pa.list_(inner) if pa.types.is_list(kind) else inner
    return pa.field(field.name, kind, nullable=path not in required)


def _raw_paths(
    inputs: Sequence[InputSpec], units: Iterable[Unit]
) -> Iterable[tuple[InputSpec, list[str]]]:
    """Yield each raw input with the segments that some units read of it."""
    listed = list(units)
    for item in inputs:
        if item.is_raw:
            parts = {part.key: part for unit in listed for part in unit.inputs[item.name]}
            yield item, list(partition_paths(parts.values()))
