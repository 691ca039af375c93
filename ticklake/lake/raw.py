"""Landing in the lake: raw segments, the ledger of what came from where, and quarantine.

A source object becomes one segment for each event date that it holds. Segments are named after the
object, so landing it again replaces them. They are written first, then those of an earlier landing
that are no longer wanted are deleted, then the ledger is written: a landing that is killed anywhere
is simply done again.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from ticklake.lake.storage import Storage

LEDGER: Final = "raw/_ledger"
QUARANTINE: Final = "quarantine"


@dataclass(frozen=True, slots=True)
class Segment:
    """One Parquet file in `raw/`."""

    path: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What was landed from one source object. Holds no clock: landing again writes the same."""

    source: str
    object: str
    size: int
    tag: str
    """The source's mark of the bytes: an ETag, or a modification time."""
    symbols: list[str] | None
    """The symbols that were asked for, None for all of them."""
    rows: int
    segments: list[Segment]
    rejected: dict[str, int] = field(default_factory=dict)
    """Number of quarantined lines and rows by type of error."""
    extra: dict[str, int] = field(default_factory=dict)
    """Number of rows by name of a field that has no column."""


@dataclass(frozen=True, slots=True)
class StagedSegment:
    """A finished segment that is not published yet."""

    day: date
    file: Path
    rows: int
    size: int
    sha256: str


def publish_segments(
    storage: Storage, table: str, name: str, staged: Iterable[StagedSegment]
) -> list[Segment]:
    """Put segments below `table`. One that is there already, byte for byte, is left untouched."""
    segments = []
    for item in staged:
        path = segment_path(table, name, item.day)
        present = storage.find(path)
        if present is None or present.size != item.size or _sha256(storage, path) != item.sha256:
            storage.publish(item.file, path)
        segments.append(Segment(path, item.rows, item.size, item.sha256))
    return segments


def remove_stale_segments(
    storage: Storage,
    table: str,
    name: str,
    day: date,
    wanted: Iterable[Segment],
    earlier: LedgerEntry | None,
) -> int:
    """Delete segments of an object that its landing did not write again; return how many.

    Besides those that the ledger knows, the days around the object's own are looked at: a landing
    that was killed before its ledger entry may have left some there.
    """
    around = (day + timedelta(days=offset) for offset in (-1, 0, 1))
    known = {segment_path(table, name, each) for each in around}
    if earlier is not None:
        known |= {segment.path for segment in earlier.segments}
    stale = known - {segment.path for segment in wanted}
    present = sorted(path for path in stale if storage.find(path) is not None)
    for path in present:
        storage.delete(path)
    return len(present)


def segment_path(table: str, name: str, day: date) -> str:
    """Return where a segment of a date lies."""
    return f"{table}/date={day.isoformat()}/{name}.parquet"


def read_ledger(storage: Storage, source: str, name: str) -> LedgerEntry | None:
    """Return what the ledger says of an object, None where it says nothing that can be read."""
    try:
        content = json.loads(storage.read(_ledger_path(source, name)))
        content["segments"] = [Segment(**segment) for segment in content["segments"]]
        return LedgerEntry(**content)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write_ledger(storage: Storage, source: str, name: str, entry: LedgerEntry) -> None:
    """Record a landing. Comes last: before it, nothing counts as landed."""
    storage.write(_ledger_path(source, name), _json(dataclasses.asdict(entry)))


def quarantine(
    storage: Storage, thing: str, files: Mapping[str, Path], error: Mapping[str, Any]
) -> str:
    """Put files, which are used up, and the `error.json` that explains them into quarantine.

    They replace whatever is there of the same thing. Returns the folder.
    """
    folder = f"{QUARANTINE}/{thing}"
    for name, file in files.items():
        storage.publish(file, f"{folder}/{name}")
    storage.write(f"{folder}/error.json", _json(error))
    _remove_others(storage, folder, {*files, "error.json"})
    return folder


def release(storage: Storage, thing: str) -> None:
    """Remove from quarantine what has landed since."""
    _remove_others(storage, f"{QUARANTINE}/{thing}", set())


def _remove_others(storage: Storage, folder: str, names: set[str]) -> None:
    wanted = {f"{folder}/{name}" for name in names}
    for entry in list(storage.entries(folder)):
        if entry.path not in wanted:
            storage.delete(entry.path)


def _sha256(storage: Storage, path: str) -> str:
    digest = hashlib.sha256()
    with storage.open(path) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _ledger_path(source: str, name: str) -> str:
    return f"{LEDGER}/{source}/{name}.json"


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
