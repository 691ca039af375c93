"""Landing in the lake: raw segments, the ledger of what came from where, and quarantine.

A source object becomes one segment for each partition that it holds rows of. Segments are named
after the object, so landing it again replaces them. The ledger is told first which segments are
coming, then they are written, then those of an earlier landing that are no longer wanted are
deleted, then the ledger is told that all is done: a landing killed anywhere is simply done again.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ticklake.lake.storage import Storage
from ticklake.lake.tables import sha256_of

LEDGER: Final = "raw/_ledger"
QUARANTINE: Final = "quarantine"
READERS: Final = 16


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
    reader: str = ""
    """What else decided what was landed: the parameters of the parser."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Number of quarantined lines and rows by type of error."""
    extra: dict[str, int] = field(default_factory=dict)
    """Number of rows by name of a field that has no column."""
    unwanted: dict[str, int] = field(default_factory=dict)
    """Number of lines and rows that are not data, or were not asked for, by reason."""


@dataclass(frozen=True, slots=True)
class StagedSegment:
    """A finished segment that is not published yet."""

    folder: str
    file: Path
    rows: int
    size: int
    sha256: str


def replace_segments(
    storage: Storage,
    source: str,
    name: str,
    staged: Sequence[StagedSegment],
    entry: LedgerEntry,
    earlier: LedgerEntry | None,
) -> LedgerEntry:
    """Publish the segments of an object, delete those it had and has no more, write the ledger.

    A segment that is there already, byte for byte, is left untouched. Returns the ledger entry.
    """
    segments = [
        Segment(f"{item.folder}/{name}.parquet", item.rows, item.size, item.sha256)
        for item in staged
    ]
    wanted = {segment.path for segment in segments}
    known = {segment.path: segment for segment in earlier.segments} if earlier else {}
    if not wanted <= known.keys():
        # Without a tag nothing counts as landed, but whatever may be there now can be found again.
        coming = [Segment(path, 0, 0, "") for path in sorted(wanted - known.keys())]
        write_ledger(
            storage,
            source,
            name,
            dataclasses.replace(entry, tag="", segments=[*known.values(), *coming]),
        )
    for item, segment in zip(staged, segments, strict=True):
        present = storage.find(segment.path)
        if (
            present is None
            or present.size != segment.size
            or sha256_of(storage, segment.path) != segment.sha256
        ):
            storage.publish(item.file, segment.path)
    for path in sorted(known.keys() - wanted):
        storage.delete(path)
    entry = dataclasses.replace(entry, segments=segments)
    write_ledger(storage, source, name, entry)
    return entry


def read_ledger(storage: Storage, source: str, name: str) -> LedgerEntry | None:
    """Return what the ledger says of an object, None where it says nothing that can be read."""
    try:
        content = json.loads(storage.read(_ledger_path(source, name)))
        content["segments"] = [Segment(**segment) for segment in content["segments"]]
        return LedgerEntry(**content)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def read_ledgers(storage: Storage) -> dict[tuple[str, str], LedgerEntry]:
    """Return what the ledger says of every object that was landed, by source and name."""
    keys = []
    for found in storage.entries(LEDGER):
        if found.path.endswith(".json"):
            path = found.path.removeprefix(f"{LEDGER}/").removesuffix(".json")
            source, _, name = path.partition("/")
            keys.append((source, name))
    keys.sort()
    with ThreadPoolExecutor(READERS) as pool:
        entries = pool.map(lambda key: read_ledger(storage, *key), keys)
        return {key: entry for key, entry in zip(keys, entries, strict=True) if entry}


def ledger_names(storage: Storage) -> dict[str, list[str]]:
    """Return the sources that have an entry of a name, for each name. Reads no entry."""
    found: dict[str, list[str]] = {}
    for entry in storage.entries(LEDGER):
        if entry.path.endswith(".json"):
            path = entry.path.removeprefix(f"{LEDGER}/").removesuffix(".json")
            source, _, name = path.partition("/")
            found.setdefault(name, []).append(source)
    return found


def write_ledger(storage: Storage, source: str, name: str, entry: LedgerEntry) -> None:
    """Record a landing. Comes last: before it, nothing counts as landed."""
    storage.write(_ledger_path(source, name), _json(dataclasses.asdict(entry)))


def forget_ledger(storage: Storage, source: str, name: str) -> None:
    """Let an object count as never landed."""
    storage.delete(_ledger_path(source, name))


def withdraw(storage: Storage, source: str, name: str) -> None:
    """Remove all that an object has landed, from quarantine too, and forget that it was."""
    entry = read_ledger(storage, source, name)
    for segment in entry.segments if entry else ():
        storage.delete(segment.path)
    release(storage, f"{source}/{name}")
    forget_ledger(storage, source, name)


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


def _ledger_path(source: str, name: str) -> str:
    return f"{LEDGER}/{source}/{name}.json"


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
