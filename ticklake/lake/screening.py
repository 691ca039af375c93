"""Looking at raw segments before they are used.

What a footer tells is known before a unit is computed. What is wrong inside a page shows when a
query fails: then the segments of that unit are decoded one by one.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ticklake.lake.inputs import read_columns, write_template
from ticklake.lake.planning import Unit
from ticklake.lake.quarantine import Problem
from ticklake.lake.specs import InputSpec
from ticklake.lake.storage import Storage
from ticklake.lake.tables import partition_paths

if TYPE_CHECKING:  # it is not imported where there is nothing to look at
    import pyarrow as pa


class Screening:
    """What one invocation knows of the raw segments it has looked at."""

    def __init__(self, storage: Storage, scratch: Path) -> None:
        self._storage, self._scratch = storage, scratch
        self._looked_at: set[str] = set()
        self._declared: dict[str, pa.Schema] = {}
        self.problems: dict[str, Problem] = {}
        """Segments that cannot be used and still lie in `raw/`, by path."""

    def footers(self, inputs: Sequence[InputSpec], units: Iterable[Unit]) -> dict[str, Problem]:
        """Return the segments of some units that cannot be used, as far as is known by now."""
        found: dict[str, Problem] = {}
        for item, paths in _raw_paths(inputs, units):
            new = [path for path in paths if path not in self._looked_at]
            if new:
                from ticklake.lake.segment_checks import check_footers

                self.problems |= check_footers(self._storage, new, self._schema(item))
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
                field.with_nullable(field.name not in item.required) for field in schema
            )
        return self._declared[item.location]


def _raw_paths(
    inputs: Sequence[InputSpec], units: Iterable[Unit]
) -> Iterable[tuple[InputSpec, list[str]]]:
    """Yield each raw input with the segments that some units read of it."""
    listed = list(units)
    for item in inputs:
        if item.is_raw:
            parts = {part.key: part for unit in listed for part in unit.inputs[item.name]}
            yield item, list(partition_paths(parts.values()))
