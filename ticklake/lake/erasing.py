"""Erasing a wallet or a symbol: from raw segments, from quarantine, and from what is built of them.

The erasure is remembered first, so that a landing that runs meanwhile leaves it out. Then goes what
was built of affected segments, the last tables first, and only then the segments are written anew:
whatever is still there leads to what is still to do. So one that was killed anywhere is finished by
doing it again, for which the hash of a wallet is enough (`ticklake erasures apply`).

The ledger is told the new segments before they replace the old ones. Killed in between, the
segments are not those of the ledger: `verify` says so, and a landing lands the object again,
without what was erased.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from ticklake.lake.catalog import find_tables
from ticklake.lake.erased_rows import (
    Found,
    look,
    may_hold,
    reject_without_erased,
    staged_segment,
    write_without,
)
from ticklake.lake.erasures import REASON, Erasure, Erasures, read_erasures, remember
from ticklake.lake.lease import LEASES_OF_OBJECTS, writing, writing_in_turn
from ticklake.lake.paths import LAYERS, RAW
from ticklake.lake.quarantine import describe_again, things_set_aside
from ticklake.lake.raw import (
    LedgerEntry,
    Segment,
    StagedSegment,
    amend_ledger,
    read_ledger,
    read_ledgers,
    unfinished,
)
from ticklake.lake.storage import LocalStorage, Storage
from ticklake.lake.tables import DATA, META, READERS, is_segment

REJECTED = "rejected.jsonl"
LOOKERS = 4
"""Segments that are looked at side by side: each holds a row group in memory."""
UNREADABLE = (pa.ArrowException, OSError, ValueError)


@dataclass(slots=True)
class Affected:
    """What an erasure changes."""

    segments: dict[str, Found] = field(default_factory=dict)
    """Raw segments with erased rows or mentions, by path."""
    built: list[tuple[str, int]] = field(default_factory=list)
    """Folders of the partitions that are built of them, with their rows; inputs come first."""
    set_aside: dict[str, Found] = field(default_factory=dict)
    """Segments in quarantine, by the path of the file."""
    rejects: dict[str, int] = field(default_factory=dict)
    """Files of rejected lines, and how many lines of them lose their content."""
    opaque: list[str] = field(default_factory=list)
    """Files in quarantine that cannot be edited: they may hold what is erased."""
    unreadable: list[str] = field(default_factory=list)
    """Raw segments that cannot be read."""

    def __bool__(self) -> bool:
        return bool(self.segments or self.built or self.set_aside or self.rejects)

    def by_channel(self) -> dict[str, tuple[int, Found]]:
        """Return the number of segments of each raw channel, and what they have."""
        counts: Counter[str] = Counter()
        found: dict[str, Found] = {}
        for path, item in self.segments.items():
            name = ".".join(path.split("/")[:2])
            counts[name] += 1
            found[name] = found.get(name, Found()) + item
        return {name: (counts[name], found[name]) for name in sorted(found)}

    def by_table(self) -> dict[str, tuple[int, int]]:
        """Return the number of partitions of each built table, and their rows."""
        partitions: Counter[str] = Counter()
        rows: Counter[str] = Counter()
        for folder, count in self.built:
            name = ".".join(folder.split("/")[:2])
            partitions[name] += 1
            rows[name] += count
        return {name: (partitions[name], rows[name]) for name in sorted(partitions)}


def find_affected(storage: Storage, erasures: Erasures) -> Affected:
    """Look at every raw segment, at quarantine, and at what is built. Changes nothing."""
    affected = Affected()
    if not erasures:
        return affected
    paths = sorted(
        entry.path
        for table in find_tables(storage, layers=(RAW,))
        for entry in table.entries
        if is_segment(entry.path.rpartition("/")[2]) and may_hold(entry.path, erasures)
    )

    def looked(path: str) -> Found | None:
        try:
            return _look(storage, path, path, erasures)
        except UNREADABLE:
            return None

    with ThreadPoolExecutor(LOOKERS) as pool:
        for path, found in zip(paths, pool.map(looked, paths), strict=True):
            if found is None:
                affected.unreadable.append(path)
            elif found:
                affected.segments[path] = found
    affected.built = _built_of(storage, set(affected.segments))
    _look_into_quarantine(storage, erasures, affected)
    return affected


def erase(storage: Storage, new: Erasure | None = None) -> Affected:
    """Remember an erasure, then carry out all that are remembered; returns what was changed.

    Raises LakeError if another writer holds the lake.
    """
    with writing(storage, "ticklake delete") as lake:
        if new is not None:
            remember(lake, new)
        erasures = read_erasures(lake)
        affected = find_affected(lake, erasures)
        for folder, _ in reversed(affected.built):
            for name in (DATA, META):
                lake.delete(f"{folder}/{name}")
        landing = unfinished(lake)
        for key, paths in _by_object(affected.segments, read_ledgers(lake)).items():
            _rewrite(lake, key, paths, erasures, keeps_ledger=key in landing)
        _clean_quarantine(lake, erasures, affected)
        lake.sweep()  # what killed runs have left behind may hold it too
    return affected


def erased_again(storage: Storage, path: str, erasures: Erasures) -> Found:
    """Say what a raw segment has that was erased. Nothing for a segment that cannot be read."""
    if not may_hold(path, erasures):
        return Found()
    try:
        return _look(storage, path, path, erasures)
    except UNREADABLE:
        return Found()


def _look(storage: Storage, file: str, path: str, erasures: Erasures) -> Found:
    if isinstance(storage, LocalStorage):  # read in place, if need be read-only
        return look(Path(storage.url(file)), path, erasures)
    with storage.staging() as folder:
        return look(storage.local_file(file, folder), path, erasures)


def _built_of(storage: Storage, changed: set[str]) -> list[tuple[str, int]]:
    """Return the partitions that are built of some files, directly or not; inputs come first."""
    if not changed:
        return []
    folders = [
        entry.path.rpartition("/")[0]
        for table in find_tables(storage, layers=LAYERS)
        for entry in table.entries
        if entry.path.endswith(f"/{META}")
    ]
    with ThreadPoolExecutor(READERS) as pool:
        metas = dict(
            zip(folders, pool.map(lambda path: _origin(storage, path), folders), strict=True)
        )
    readers: dict[str, list[str]] = {}
    for folder, (sources, _) in metas.items():
        for source in sources:
            readers.setdefault(source, []).append(folder)
    found: dict[str, int] = {}
    waiting = sorted(changed)
    while waiting:
        following = []
        for path in waiting:
            for folder in readers.get(path, ()):
                if folder not in found:
                    found[folder] = metas[folder][1]
                    following.append(f"{folder}/{DATA}")
        waiting = following
    return list(found.items())


def _origin(storage: Storage, folder: str) -> tuple[list[str], int]:
    try:
        meta = json.loads(storage.read(f"{folder}/{META}"))
        return [str(path) for path in meta["source_files"]], int(meta["row_count"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return [], 0  # damaged: the next build replaces it


def _look_into_quarantine(storage: Storage, erasures: Erasures, affected: Affected) -> None:
    for thing in things_set_aside(storage).values():
        for file in thing.files:
            if file.endswith(f"/{REJECTED}"):
                with storage.open(file) as lines:
                    count = sum(reject_without_erased(line, erasures) != line for line in lines)
                if count:
                    affected.rejects[file] = count
            elif thing.is_segment:
                try:
                    found = _look(storage, file, thing.path, erasures)
                except UNREADABLE:
                    affected.opaque.append(thing.path)
                    continue
                if found:
                    affected.set_aside[file] = found
            else:
                affected.opaque.append(thing.path)


def _clean_quarantine(storage: Storage, erasures: Erasures, affected: Affected) -> None:
    for file in affected.rejects:
        with storage.staging() as folder:
            left = folder / REJECTED
            with storage.open(file) as lines, left.open("wb") as kept:
                kept.writelines(reject_without_erased(line, erasures) for line in lines)
            storage.publish(left, file)
    for file in affected.set_aside:
        thing = file.removeprefix("quarantine/").rpartition("/")[0]
        with storage.staging() as folder:
            target = folder / "left"
            rows = write_without(storage.local_file(file, folder), target, thing, erasures)
            if not rows:
                storage.delete(file)
                storage.delete(f"quarantine/{thing}/error.json")
                continue
            item = staged_segment("", target, rows)
            storage.publish(target, file)
        describe_again(storage, thing, size=item.size, sha256=item.sha256)


def _by_object(
    paths: Iterable[str], ledger: Mapping[tuple[str, str], LedgerEntry]
) -> dict[tuple[str, str] | str, list[str]]:
    """Group segments by the object in the ledger that they are of; others are alone."""
    owners = {segment.path: key for key, entry in ledger.items() for segment in entry.segments}
    groups: dict[tuple[str, str] | str, list[str]] = {}
    for path in sorted(paths):
        groups.setdefault(owners.get(path, path), []).append(path)
    return groups


def _rewrite(
    storage: Storage,
    key: tuple[str, str] | str,
    paths: Sequence[str],
    erasures: Erasures,
    *,
    keeps_ledger: bool,
) -> None:
    """Write the segments of an object anew, and what the ledger says of them before.

    The ledger says nothing yet of a landing that did not finish: the object is landed again.
    """
    with _landing_waits(storage, key), storage.staging() as folder:
        staged: dict[str, StagedSegment | None] = {}
        for number, path in enumerate(paths):
            target = folder / f"{number}.left"
            rows = write_without(storage.local_file(path, folder), target, path, erasures)
            there = path.rpartition("/")[0]
            staged[path] = staged_segment(there, target, rows) if rows else None
        if not isinstance(key, str) and not keeps_ledger:
            entry = read_ledger(storage, *key)
            if entry is not None and entry.tag:  # without a tag it is landed again anyway
                amend_ledger(storage, *key, _renewed(entry, staged))
        for path, item in staged.items():
            if item is None:
                storage.delete(path)
            else:
                storage.publish(item.file, path)


def _landing_waits(storage: Storage, key: tuple[str, str] | str) -> AbstractContextManager[object]:
    """Keep landing away from an object of the ledger."""
    if isinstance(key, str):
        return nullcontext()
    return writing_in_turn(storage, "ticklake delete", "/".join((LEASES_OF_OBJECTS, *key)))


def _renewed(entry: LedgerEntry, staged: Mapping[str, StagedSegment | None]) -> LedgerEntry:
    """Return an entry with other segments. It is the same when it has them already."""
    segments = []
    for segment in entry.segments:
        item = staged.get(segment.path, segment)
        if item is not None:
            segments.append(Segment(segment.path, item.rows, item.size, item.sha256))
    rows = sum(segment.rows for segment in segments)
    unwanted = Counter(entry.unwanted)
    if rows < entry.rows:
        unwanted[REASON] += entry.rows - rows
    return replace(entry, segments=segments, rows=rows, unwanted=dict(sorted(unwanted.items())))
