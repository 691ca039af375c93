"""Whether the rows of a raw segment keep the rules of their channel."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.lake import row_rules
from ticklake.lake.inputs import number_columns, read_columns
from ticklake.lake.paths import path_values, segment_key
from ticklake.lake.quarantine import Problem
from ticklake.lake.row_rules import columns_of, find_faults
from ticklake.lake.specs import InputSpec
from ticklake.lake.storage import Storage

BATCH_ROWS: Final = 122_880
RULES: Final = hashlib.sha256(Path(row_rules.__file__).read_bytes()).hexdigest()[:16]
"""Changes when the rules do, so that a verdict by other rules is not taken for one by these."""


def check_rows(storage: Storage, path: str, item: InputSpec, channel: str) -> Problem | None:
    """Return what is wrong with the first bad row of a segment, None for a segment without any.

    Rows are read in their declared types, as models read them, but text in place of numbers stays
    text. A segment that cannot be read has no problem here: the query of a model will fail, and
    then its pages are looked at.
    """
    folder = path.removeprefix(f"{item.location}/").rpartition("/")[0]
    is_placed = segment_key(item.location, item.partition_by, folder) is not None
    partition = path_values(path) if is_placed else {}
    names = [name for name in columns_of(channel) if name in item.columns and name not in partition]
    first: tuple[int, row_rules.Fault] | None = None
    rows = bad = 0
    with storage.staging() as staging, duckdb.connect(config={"threads": 1}) as connection:
        file = storage.local_file(path, staging)
        connection.execute("set timezone = 'UTC'")
        try:
            reader = connection.execute(
                f"select {_listed(file, item, names)} from {read_columns(item, '$file')}",
                {"file": str(file)},
            ).to_arrow_reader(BATCH_ROWS)
            for batch in reader:
                faults = find_faults(channel, pa.Table.from_batches([batch]), partition)
                if faults and first is None:
                    first = rows + faults[0].row, faults[0]
                bad += len(faults)
                rows += batch.num_rows
        except (duckdb.OutOfMemoryException, duckdb.InterruptException):
            raise
        except (duckdb.Error, pa.ArrowException):
            return None
    if first is None:
        return None
    row, fault = first
    return Problem(
        fault.error_type,
        f"{bad} of {rows} rows cannot be used. The first is row {row} (from 0): {fault.message}",
        row,
    )


def _listed(file: Path, item: InputSpec, names: Sequence[str]) -> str:
    """Return SQL for some columns as a segment has them."""
    columns = pq.read_metadata(file).schema.to_arrow_schema()
    texts = {column.name.lower() for column in columns if pa.types.is_string(column.type)}
    listed = []
    for name in names:
        if name in number_columns(item):
            member = "text" if name.lower() in texts else "number"
            listed.append(f"""union_extract("{name}", '{member}') as "{name}\"""")
        else:
            listed.append(f'"{name}"')
    return ", ".join(listed)
