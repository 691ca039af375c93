"""What is in the lake: the partitions of a table and a fingerprint of the content of each.

A listing costs one call a thousand objects; looking into an object costs a call each. So what was
learned about an object is remembered in `_cache/` under its size and tag, and holds for as long as
the listing shows the same size and tag. The cache saves time and nothing else: it may be deleted.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ticklake.lake.errors import READ_ONLY, ReadOnlyError
from ticklake.lake.paths import Key, partition_key, partition_path, segment_key
from ticklake.lake.storage import Entry, Storage

DATA = "data.parquet"
META = "meta.json"
DAMAGE = "damage"
"""What `ticklake verify` writes into `meta.json` where a listing would not show the damage."""
CACHE = "_cache"
CACHE_FORMAT = 2
READERS = 16


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition as an input: its data files in order, and a fingerprint of their content."""

    key: Key
    paths: tuple[str, ...]
    size: int
    fingerprint: str
    damage: str | None = None
    """What is wrong with it, if anything: then it cannot be read."""
    quarantined: int = 0
    """Segments of it that were set aside; which ones and why is part of the fingerprint."""


@dataclass(frozen=True, slots=True)
class Published:
    """One partition of a table that ticklake builds, as its `meta.json` describes it.

    `damage` says what is wrong with it, if anything: then only a rebuild helps.
    """

    key: Key
    size: int = 0
    sha256: str = ""
    row_count: int = 0
    inputs: str = ""
    code: str = ""
    unit_partitions: int = 0
    ts_event_min: str | None = None
    """Nanoseconds since 1970, as in `meta.json`; None without rows or without a time column."""
    ts_event_max: str | None = None
    damage: str | None = None


CACHED = {
    "size": (int,),
    "sha256": (str,),
    "row_count": (int,),
    "inputs": (str,),
    "code": (str,),
    "unit_partitions": (int,),
    "ts_event_min": (str, type(None)),
    "ts_event_max": (str, type(None)),
}
"""What the cache holds of a partition, and the types that it may have."""
LOG = logging.getLogger(__name__)


class Cache:
    """A JSON object in `_cache/` that is written back only when it changed."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._path = f"{CACHE}/{name}.json"
        self._before: dict[str, Any] = {}
        try:
            stored = json.loads(storage.read(self._path))
            if stored["format"] == CACHE_FORMAT:
                self._before = dict(stored["entries"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            LOG.warning("%s is not a cache of ticklake: it is made again.", storage.url(self._path))
        self.entries: dict[str, Any] = dict(self._before)

    def save(self) -> None:
        """Write the entries back if they differ from what was read."""
        if self.entries != self._before:
            content = {"format": CACHE_FORMAT, "entries": self.entries}
            save_if_possible(
                self._storage, self._path, json.dumps(content, sort_keys=True).encode()
            )
            self._before = dict(self.entries)


def save_if_possible(storage: Storage, path: str, content: bytes) -> None:
    """Write an object that only saves time. A lake that cannot be written does without it."""
    try:
        storage.write(path, content)
    except ReadOnlyError:
        pass
    except OSError as error:
        if error.errno not in READ_ONLY:
            LOG.warning(
                "%s cannot be written (%s), so the next run takes longer. Remove what is there.",
                storage.url(path),
                error.strerror or error,
            )


class RawTable:
    """Segments that loaders and other collectors land: any Parquet file in a partition folder."""

    def __init__(self, storage: Storage, location: str, columns: Sequence[str]) -> None:
        self.storage, self.location, self.columns = storage, location, tuple(columns)

    def partitions(
        self, set_aside: Mapping[str, str] | None = None, hidden: Collection[str] = ()
    ) -> dict[Key, Partition]:
        """Return every partition that has a segment, be it in quarantine.

        `set_aside` has the segments in quarantine: their path in `raw/`, and their type of error.
        `hidden` are the segments of landings that did not finish: they count as not there.
        """
        cache = Cache(self.storage, self.location)
        segments: dict[Key, list[Entry]] = {}
        strays = []
        for entry in self.storage.entries(self.location):
            key = self.key_of(entry.path)
            if key is None and entry.path.endswith(".parquet"):
                strays.append(entry.path)
            elif key is not None and entry.path not in hidden:
                segments.setdefault(key, []).append(entry)
        if strays:
            _warn_of_strays(self.location, ", ".join(self.columns), len(strays), strays[0])
        missing: dict[Key, list[tuple[str, str]]] = {}
        present = {entry.path for entries in segments.values() for entry in entries}
        for path, error_type in sorted((set_aside or {}).items()):
            key = self.key_of(path)
            if key is not None and path not in present:
                missing.setdefault(key, []).append((self._label(path), error_type))
                segments.setdefault(key, [])
        known, cache.entries = cache.entries, {}
        found = {}
        for key, entries in segments.items():
            entries.sort(key=lambda entry: (entry.path.rpartition("/")[2], entry.path))
            content = []
            for entry in entries:
                digest = self._digest(entry, known)
                content.append((self._label(entry.path), digest))
                if not self.storage.tag_is_content:
                    cache.entries[entry.path] = [entry.size, entry.tag, digest]
            aside = missing.get(key, [])
            found[key] = Partition(
                key,
                tuple(entry.path for entry in entries),
                sum(entry.size for entry in entries),
                fingerprint([content, aside] if aside else content),
                quarantined=len(aside),
            )
        cache.save()
        return found

    def key_of(self, path: str) -> Key | None:
        """Return the partition that a segment lies in, or None where a path is no segment's."""
        folder, _, name = path.removeprefix(f"{self.location}/").rpartition("/")
        if not is_segment(name):
            return None
        return segment_key(self.location, self.columns, folder)

    def _label(self, path: str) -> str:
        """Return the name of a segment in its partition, with the symbol if its path has one."""
        *folders, name = path.removeprefix(f"{self.location}/").split("/")
        others = [part for part in folders if part.partition("=")[0] not in self.columns]
        return "/".join([*others, name])

    def _digest(self, entry: Entry, known: Mapping[str, Any]) -> str:
        if self.storage.tag_is_content:
            return f"{entry.tag}:{entry.size}"
        match known.get(entry.path):
            case [entry.size, entry.tag, str(digest)]:
                return digest
        return sha256_of(self.storage, entry.path)


class LakeTable:
    """A table that ticklake builds: one `data.parquet` and one `meta.json` a partition."""

    def __init__(
        self,
        storage: Storage,
        location: str,
        columns: Sequence[str],
        entries: Iterable[Entry] | None = None,
    ) -> None:
        """Look at what is there; `entries` is its listing, where the caller has it already."""
        self.storage, self.location, self.columns = storage, location, tuple(columns)
        self._cache = Cache(storage, location)
        self._tags: dict[str, str] = {}
        self._misnamed: dict[Key, list[str]] = {}
        self.left_over: list[str] = []
        """Folders that lie by other columns, as a version wrote that had other ones."""
        self.published = self._scan(storage.entries(location) if entries is None else entries)
        self._partitions: dict[Key, Partition] | None = None

    def folder(self, key: Key) -> str:
        """Return the path of a partition's folder."""
        return f"{self.location}/{partition_path(self.columns, key)}"

    def partitions(self) -> Mapping[Key, Partition]:
        """Return all partitions as an input of other tables; the same object until one changes."""
        if self._partitions is None:
            self._partitions = {
                key: Partition(
                    key, (f"{self.folder(key)}/{DATA}",), item.size, item.sha256, item.damage
                )
                for key, item in self.published.items()
            }
        return self._partitions

    def tag(self, key: Key, name: str) -> str | None:
        """Return the tag of a partition's file as it was last seen; None if there was none."""
        return self._tags.get(f"{self.folder(key)}/{name}")

    def is_unchanged(self, key: Key, data: Entry) -> bool:
        """Say whether an object is still the one that was looked at."""
        cached = self._cache.entries.get(self.folder(key))
        return bool(cached and cached["marks"][:2] == [data.size, data.tag])

    def remember(self, item: Published, data: Entry, meta: Entry) -> None:
        """Take note of a partition that was just published."""
        self._partitions = None
        self.published[item.key] = item
        self._cache.entries[self.folder(item.key)] = _cached(item, data, meta)
        self._tags |= {entry.path: entry.tag for entry in (data, meta)}

    def remove_misnamed(self, key: Key) -> None:
        """Remove what an earlier version left of a partition in a folder with another spelling."""
        for folder in self._misnamed.pop(key, ()):
            for name in (DATA, META):
                self.storage.delete(f"{folder}/{name}")

    def remove_left_over(self) -> None:
        """Remove the partitions by other columns: the table has been built again by its own."""
        while self.left_over:
            for name in (DATA, META):
                self.storage.delete(f"{self.left_over[-1]}/{name}")
            self.left_over.pop()

    def forget(self, key: Key) -> None:
        """Take note of a partition that was just removed."""
        self._partitions = None
        self.published.pop(key, None)
        self._cache.entries.pop(self.folder(key), None)
        for name in (DATA, META):
            self._tags.pop(f"{self.folder(key)}/{name}", None)

    @property
    def empty_units(self) -> dict[str, str]:
        """Units that are known to yield no partition: their path, and the fingerprint they had."""
        empty: dict[str, str] = self._cache.entries.setdefault("empty units", {})
        return empty

    def save_cache(self) -> None:
        """Remember what is known about the partitions for the next run."""
        if not self._cache.entries.get("empty units"):
            self._cache.entries.pop("empty units", None)
        self._cache.save()

    def _scan(self, entries: Iterable[Entry]) -> dict[Key, Published]:
        folders: dict[str, dict[str, Entry]] = {}
        for entry in entries:
            folder, _, name = entry.path.rpartition("/")
            if name in (DATA, META):
                folders.setdefault(folder, {})[name] = entry
        found: dict[Key, Published] = {}
        unknown: list[tuple[Key, str, dict[str, Entry]]] = []
        known = self._cache.entries
        self._cache.entries = {}
        if isinstance(known.get("empty units"), dict):
            self._cache.entries["empty units"] = dict(known["empty units"])
        for folder, objects in folders.items():
            key = partition_key(self.columns, folder.removeprefix(f"{self.location}/"))
            if key is None:
                if is_partition(folder.removeprefix(f"{self.location}/")):
                    self.left_over.append(folder)
                continue
            if folder != self.folder(key):
                self._misnamed.setdefault(key, []).append(folder)
                continue
            self._tags |= {entry.path: entry.tag for entry in objects.values()}
            item = _from_cache(key, objects, known.get(folder)) if len(objects) == 2 else None
            if item is not None:
                found[key] = item
                self._cache.entries[folder] = known[folder]
            else:
                unknown.append((key, folder, objects))
        with ThreadPoolExecutor(READERS) as pool:
            looked = pool.map(lambda item: self._look(*item), unknown)
            for (key, folder, objects), item in zip(unknown, looked, strict=True):
                found[key] = item
                if item.damage is None:
                    self._cache.entries[folder] = _cached(item, objects[DATA], objects[META])
        for key, others in self._misnamed.items():
            found[key] = Published(key, damage=f"it is in {others[0]}, as earlier versions wrote")
        return found

    def _look(self, key: Key, folder: str, objects: Mapping[str, Entry]) -> Published:
        """Read a partition's meta file and compare the data with it."""
        if DATA not in objects:
            return Published(key, damage="data.parquet is missing")
        if META not in objects:
            return Published(key, damage="meta.json is missing")
        data = objects[DATA]
        try:
            meta = json.loads(self.storage.read(f"{folder}/{META}"))
            item = Published(
                key,
                size=int(meta["size"]),
                sha256=meta["sha256"],
                row_count=int(meta["row_count"]),
                inputs=meta["inputs"],
                code=meta["code"],
                unit_partitions=int(meta["unit_partitions"]),
                ts_event_min=meta["ts_event_min"],
                ts_event_max=meta["ts_event_max"],
                damage=meta.get(DAMAGE),
            )
            written_as = meta.get("tag")
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return Published(key, damage="meta.json cannot be read")
        if item.damage:
            return item
        if data.size != item.size:
            return replace(item, damage=f"data.parquet has {data.size} bytes, not {item.size}")
        if data.tag != written_as and sha256_of(self.storage, data.path) != item.sha256:
            return replace(item, damage="data.parquet does not have the hash in meta.json")
        return item


def is_segment(name: str) -> bool:
    """Say whether a file in a raw partition is read as a segment."""
    return name.endswith(".parquet") and not name.startswith((".", "_"))


def is_partition(folder: str) -> bool:
    """Say whether a path below a table is that of a partition, whatever its columns are."""
    return all("=" in part for part in folder.split("/"))


@cache  # raw tables are looked at again when a segment was set aside
def _warn_of_strays(location: str, columns: str, count: int, first: str) -> None:
    LOG.warning(
        "Nothing reads %d Parquet files in %s, such as %s: their folders are not partitions by %s, "
        "or their names begin with _ or a point. `ticklake verify` names them all.",
        count,
        location,
        first,
        columns,
    )


def sha256_of(storage: Storage, path: str) -> str:
    """Return the SHA-256 of an object, read as a stream."""
    digest = hashlib.sha256()
    with storage.open(path) as stream:
        while data := stream.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def fingerprint(content: Any) -> str:
    """Return the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def partition_paths(partitions: Iterable[Partition]) -> Iterator[str]:
    """Yield the data files of some partitions, in order."""
    for partition in partitions:
        yield from partition.paths


def _from_cache(key: Key, objects: Mapping[str, Entry], cached: Any) -> Published | None:
    """Return what the cache says of a partition, if that is about these objects."""
    try:
        if cached["marks"] != _marks(objects):
            return None
        values = cached["is"]
        if any(type(values[name]) not in kinds for name, kinds in CACHED.items()):
            return None
        return Published(key, **values)
    except (KeyError, TypeError):
        return None


def _marks(objects: Mapping[str, Entry]) -> list[Any]:
    return [value for name in (DATA, META) for value in (objects[name].size, objects[name].tag)]


def _cached(item: Published, data: Entry, meta: Entry) -> dict[str, Any]:
    values = {name: getattr(item, name) for name in CACHED}
    return {"marks": _marks({DATA: data, META: meta}), "is": values}
