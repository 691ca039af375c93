"""Publishing one partition: check the staged file, then the data, then what describes it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ticklake.lake.errors import LakeError
from ticklake.lake.paths import Key
from ticklake.lake.tables import DATA, META, LakeTable, Published
from ticklake.lake.writing import Staged

SCHEMA_VERSION = 1
NANOSECONDS = {"nanoseconds": 1, "microseconds": 1_000, "milliseconds": 1_000_000}


@dataclass(frozen=True)
class Origin:
    """What a partition was made from, for its `meta.json`."""

    fingerprint: str
    code: str
    unit_partitions: int
    source_files: tuple[str, ...]
    order_by: tuple[str, ...]
    time_column: str | None
    quarantined: int = 0


def publish(table: LakeTable, key: Key, staged: Staged, origin: Origin) -> bool:
    """Publish a finished Parquet file as a partition; say whether its bytes are new.

    `data.parquet` goes first and `meta.json` second: a crash in between leaves a partition that
    does not match its meta, which the next build repairs. Bytes that are there stay untouched.
    """
    first, last = _check(staged.file, staged.row_count, origin.time_column)
    size = staged.file.stat().st_size
    table.remove_misnamed(key)
    folder = table.folder(key)
    existing = table.published.get(key)
    data = None
    if existing and existing.damage is None and existing.sha256 == staged.sha256:
        data = table.storage.find(f"{folder}/{DATA}")
        if data is not None and not table.is_unchanged(key, data):
            data = None
    is_new = data is None
    if data is None:
        data = table.storage.publish(staged.file, f"{folder}/{DATA}", replaces=table.tag(key, DATA))
    meta: dict[str, Any] = {
        "row_count": staged.row_count,
        "schema_version": SCHEMA_VERSION,
        "ts_event_min": first,
        "ts_event_max": last,
        "sha256": staged.sha256,
        "size": size,
        "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "source_files": list(origin.source_files),
        "inputs": origin.fingerprint,
        "code": origin.code,
        "unit_partitions": origin.unit_partitions,
        "quarantined": origin.quarantined,
        "order_by": list(origin.order_by),
        "time_column": origin.time_column,
        "tag": data.tag,
    }
    content = json.dumps(meta, indent=1).encode()
    entry = table.storage.write(f"{folder}/{META}", content, replaces=table.tag(key, META))
    item = Published(
        key,
        size=size,
        sha256=staged.sha256,
        row_count=staged.row_count,
        inputs=origin.fingerprint,
        code=origin.code,
        unit_partitions=origin.unit_partitions,
        ts_event_min=first,
        ts_event_max=last,
    )
    table.remember(item, data, entry)
    return is_new


def drop(table: LakeTable, keys: Sequence[Key]) -> None:
    """Remove partitions. A crash half way leaves a meta without data, which counts as damage."""
    for key in keys:
        table.remove_misnamed(key)
        for name in (DATA, META):
            table.storage.delete(f"{table.folder(key)}/{name}")
        table.forget(key)


def _check(staged: Path, row_count: int, time_column: str | None) -> tuple[str | None, str | None]:
    """Re-open the file as a reader would; return the time range in nanoseconds as strings."""
    with pq.ParquetFile(staged) as file:
        metadata, names = file.metadata, file.schema.names
        if metadata.num_rows != row_count:
            raise LakeError(
                f"{staged} has {metadata.num_rows} rows after writing, not {row_count}: "
                "nothing was published. Check the disk, then build again."
            )
        if time_column not in names or not row_count:
            return None, None
        index = names.index(time_column)
        unit = json.loads(file.schema.column(index).logical_type.to_json())["timeUnit"]
        groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
        ranges = [group.column(index).statistics for group in groups]
        return (
            str(min(item.min_raw for item in ranges) * NANOSECONDS[unit]),
            str(max(item.max_raw for item in ranges) * NANOSECONDS[unit]),
        )
