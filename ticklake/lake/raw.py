"""Landing in the lake: raw segments, the ledger of what came from where, and quarantine.

A source object becomes one segment for each partition that it holds rows of. Segments are named
after the object, so landing it again replaces them.

A build sees all segments of an object or none. Before the first segment changes, a mark in
`raw/_landing/` names all segments that the object has or will have. Then the segments are written,
those that are no longer wanted are deleted, the ledger records what has landed, and the mark is
removed. A build leaves out the segments of a mark, unless the ledger says what the mark announced.
So a landing that fails or is killed leaves nothing visible, and is simply done again. Segments that
no mark names are read, whoever wrote them.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from ticklake.lake.errors import LakeError
from ticklake.lake.storage import Storage
from ticklake.lake.tables import sha256_of

LEDGER: Final = "raw/_ledger"
LANDING: Final = "raw/_landing"
ABSENT: Final = "raw/_absent"
QUARANTINE: Final = "quarantine"
READERS: Final = 16
LONGEST_NAME: Final = 200
"""Bytes of the name of an object. A file system takes 255, and `.parquet` or the like follows."""
SHORT_NAME: Final = 100
"""Bytes that stay readable of a name that cannot be used."""
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\]")
T = TypeVar("T")


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
    id_ranges: dict[str, list[int]] = field(default_factory=dict)
    """The smallest and the largest trade id of each day, if the source numbers its trades."""


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
    entry = dataclasses.replace(entry, segments=segments)
    before = {segment.path for segment in earlier.segments} if earlier else set()
    before |= _announced(storage, source, name)
    wanted = {segment.path for segment in segments}
    new = [
        (item.file, segment.path)
        for item, segment in zip(staged, segments, strict=True)
        if not _is_there(storage, segment)
    ]
    gone = sorted(before - wanted)
    if new or gone:
        mark = {"entry": _digest(_content(entry)), "segments": sorted(before | wanted)}
        storage.write(_path(LANDING, source, name), _json(mark))
    for file, path in new:
        storage.publish(file, path)
    for path in gone:
        storage.delete(path)
    write_ledger(storage, source, name, entry)
    storage.delete(_path(LANDING, source, name))
    return entry


def unfinished(storage: Storage, source: str | None = None) -> dict[tuple[str, str], list[str]]:
    """Return the segments of each object whose landing did not finish, by source and name.

    With `source` only of objects of one source. Costs one listing, as a rule an empty one.
    """
    folder = LANDING if source is None else f"{LANDING}/{source}"
    keys = [_key(found.path, LANDING) for found in storage.entries(folder)]
    found = {}
    for key in sorted(keys):
        mark = _mark(storage, *key)
        if mark is not None and not _has_finished(storage, *key, mark):
            found[key] = list(mark["segments"])
    return found


def _announced(storage: Storage, source: str, name: str) -> set[str]:
    """Return the segments that an earlier landing of an object may have left unfinished."""
    mark = _mark(storage, source, name)
    return set(mark["segments"]) if mark else set()


def _mark(storage: Storage, source: str, name: str) -> dict[str, Any] | None:
    path = _path(LANDING, source, name)
    try:
        mark = json.loads(storage.read(path))
        return {"entry": str(mark["entry"]), "segments": list(map(str, mark["segments"]))}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise LakeError(
            f"{storage.url(path)} is damaged. It names the segments of a landing that did not "
            f"finish. Delete the files {name}.parquet below {storage.url('raw')}, then this file, "
            "and land the object again."
        ) from None


def _has_finished(storage: Storage, source: str, name: str, mark: Mapping[str, Any]) -> bool:
    """Say whether the ledger records what a mark announced: then only the mark was left over."""
    try:
        return bool(_digest(storage.read(_path(LEDGER, source, name))) == mark["entry"])
    except FileNotFoundError:
        return False


def _is_there(storage: Storage, segment: Segment) -> bool:
    present = storage.find(segment.path)
    return (
        present is not None
        and present.size == segment.size
        and sha256_of(storage, segment.path) == segment.sha256
    )


def read_ledger(storage: Storage, source: str, name: str) -> LedgerEntry | None:
    """Return what the ledger says of an object, None where it says nothing that can be read."""
    try:
        content = json.loads(storage.read(_path(LEDGER, source, name)))
        segments = [_known(Segment, segment) for segment in content["segments"]]
        return _known(LedgerEntry, content | {"segments": segments})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def read_ledgers(storage: Storage) -> dict[tuple[str, str], LedgerEntry]:
    """Return what the ledger says of every object that was landed, by source and name."""
    keys = []
    for found in storage.entries(LEDGER):
        if found.path.endswith(".json"):
            keys.append(_key(found.path, LEDGER))
    keys.sort()
    with ThreadPoolExecutor(READERS) as pool:
        entries = pool.map(lambda key: read_ledger(storage, *key), keys)
        return {key: entry for key, entry in zip(keys, entries, strict=True) if entry}


def unreadable_entries(storage: Storage) -> list[str]:
    """Return the paths of ledger entries that ticklake cannot read."""
    paths = sorted(entry.path for entry in storage.entries(LEDGER))
    return [
        path
        for path in paths
        if path.endswith(".json") and read_ledger(storage, *_key(path, LEDGER)) is None
    ]


def ledger_names(storage: Storage) -> dict[str, list[str]]:
    """Return the sources that have an entry of a name, for each name. Reads no entry."""
    found: dict[str, list[str]] = {}
    for entry in storage.entries(LEDGER):
        if entry.path.endswith(".json"):
            source, name = _key(entry.path, LEDGER)
            found.setdefault(name, []).append(source)
    return found


def write_ledger(storage: Storage, source: str, name: str, entry: LedgerEntry) -> None:
    """Record a landing. Comes last: before it, nothing counts as landed."""
    storage.write(_path(LEDGER, source, name), _content(entry))


def amend_ledger(storage: Storage, source: str, name: str, entry: LedgerEntry) -> None:
    """Record that what an object has landed was changed since, by something else than a landing.

    A mark that a landing left over when it had finished announces the entry of before: it goes.
    """
    mark = _mark(storage, source, name)
    if mark is not None and _has_finished(storage, source, name, mark):
        storage.delete(_path(LANDING, source, name))
    write_ledger(storage, source, name, entry)


def forget_ledger(storage: Storage, source: str, name: str) -> None:
    """Let an object count as never landed."""
    storage.delete(_path(LEDGER, source, name))


def withdraw(storage: Storage, source: str, name: str) -> None:
    """Remove all that an object has landed, from quarantine too, and forget that it was.

    A build sees all of it or nothing: a mark hides the segments while they go.
    """
    entry = read_ledger(storage, source, name)
    if entry and entry.segments:
        mark = {"entry": "withdrawn", "segments": [segment.path for segment in entry.segments]}
        storage.write(_path(LANDING, source, name), _json(mark))
        for segment in entry.segments:
            storage.delete(segment.path)
    release(storage, f"{source}/{name}")
    forget_ledger(storage, source, name)
    storage.delete(_path(LANDING, source, name))


def safe_name(name: str) -> str:
    """Return a name for the segments, the ledger entry and the quarantine of an object.

    A name that every store takes and that no reader of folders hides stays as it is. Of another
    one, the readable part stays, with a hash.
    """
    readable = _UNSAFE.sub("-", name).lstrip("._").rstrip(". ")
    if readable == name and len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
    short = readable.encode()[:SHORT_NAME].decode(errors="ignore")
    return f"{short or 'object'}-{digest}"


def remember_absent(
    storage: Storage, source: str, *, absent: Iterable[str], present: Iterable[str]
) -> None:
    """Record which objects of an archive were asked for and are not there, until they are."""
    known = set(absent_objects(storage, source))
    now = sorted((known | set(absent)) - set(present))
    if now:
        content = _json({"absent": now})
        if now != sorted(known):
            storage.write(f"{ABSENT}/{source}.json", content)
    elif known:
        storage.delete(f"{ABSENT}/{source}.json")


def absent_objects(storage: Storage, source: str) -> list[str]:
    """Return the objects that an archive lacked when they were last asked for, in order."""
    try:
        content = json.loads(storage.read(f"{ABSENT}/{source}.json"))
        return sorted(map(str, content["absent"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def archives_with_holes(storage: Storage) -> dict[str, list[str]]:
    """Return the objects that each archive lacked, by the name of its loader."""
    paths = sorted(entry.path for entry in storage.entries(ABSENT))
    names = [path.removeprefix(f"{ABSENT}/").removesuffix(".json") for path in paths]
    return {name: absent_objects(storage, name) for name in names}


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


def _path(kind: str, source: str, name: str) -> str:
    return f"{kind}/{source}/{name}.json"


def _key(path: str, kind: str) -> tuple[str, str]:
    source, _, name = path.removeprefix(f"{kind}/").removesuffix(".json").partition("/")
    return source, name


def _known(kind: type[T], content: Mapping[str, Any]) -> T:
    """Make an object of the fields that it has; another version of ours may have written more."""
    names = {item.name for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in content.items() if name in names})


def _content(entry: LedgerEntry) -> bytes:
    return _json(dataclasses.asdict(entry))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(content: Mapping[str, Any]) -> bytes:
    """Return JSON. Half a surrogate pair, from a file name that is not UTF-8, is escaped."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"
