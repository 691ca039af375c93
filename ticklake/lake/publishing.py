"""Publishing one partition: first the data, then what describes it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ticklake.lake.paths import Key
from ticklake.lake.tables import DATA, META, LakeTable, Published
from ticklake.lake.writing import Staged

SCHEMA_VERSION = 1


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


def publish(table: LakeTable, staged: Staged, origin: Origin) -> bool:
    """Publish a finished Parquet file as a partition; say whether its bytes are new.

    `data.parquet` goes first and `meta.json` second: a crash in between leaves a partition that
    does not match its meta, which the next build repairs. Bytes that are there stay untouched.
    """
    key = staged.key
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
        "ts_event_min": staged.ts_first,
        "ts_event_max": staged.ts_last,
        "sha256": staged.sha256,
        "size": staged.size,
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
        size=staged.size,
        sha256=staged.sha256,
        row_count=staged.row_count,
        inputs=origin.fingerprint,
        code=origin.code,
        unit_partitions=origin.unit_partitions,
        ts_event_min=staged.ts_first,
        ts_event_max=staged.ts_last,
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
