"""Where source objects come from: a local directory, an S3 bucket or a web server.

All three show the same layout. A location is an `s3://` or `https://` URL, or else a directory.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from ticklake.lake.errors import LakeError
from ticklake.lake.storage import open_storage


@dataclass(frozen=True, slots=True)
class SourceObject:
    """An object that exists: as long as size and tag stay the same, so do its bytes."""

    path: str
    size: int
    tag: str


class Source(Protocol):
    """A place to read objects from."""

    location: str
    """The location without anything secret in it."""

    def survey(self, paths: Iterable[str]) -> dict[str, SourceObject]:
        """Return those of the objects that exist."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Return a forward-only stream of an object. Raises FileNotFoundError."""
        ...

    def listing(self, folder: str) -> list[str]:
        """Return the paths of all objects below a folder. Raises LakeError where it cannot."""
        ...


def open_source(location: str, *, requester_pays: bool = False) -> Source:
    """Return the source for a location."""
    scheme = urlsplit(location).scheme
    if scheme == "s3":
        return S3Source(location, requester_pays=requester_pays)
    if scheme in ("http", "https"):
        from loaders.http import HttpSource  # takes a while to import

        return HttpSource(location)
    return LocalSource(location)


class LocalSource:
    """A directory, for example a mirror of a bucket."""

    def __init__(self, location: str) -> None:
        self.location = os.path.abspath(os.path.expanduser(location))

    def survey(self, paths: Iterable[str]) -> dict[str, SourceObject]:
        root = Path(self.location)
        if not root.is_dir():
            raise LakeError(
                f"There is no directory {root}. "
                "Give --source a directory, an s3:// or an https:// URL."
            )
        found = {}
        for path in paths:
            file = root / path
            if file.is_file():
                stat = file.stat()
                found[path] = SourceObject(path, stat.st_size, f"mtime-{stat.st_mtime_ns}")
        return found

    def open(self, path: str) -> BinaryIO:
        return (Path(self.location) / path).open("rb")

    def listing(self, folder: str) -> list[str]:
        root = Path(self.location)
        return sorted(
            file.relative_to(root).as_posix()
            for file in (root / folder).rglob("*")
            if file.is_file()
        )


class S3Source:
    """A bucket, read with the standard AWS credentials."""

    def __init__(self, location: str, *, requester_pays: bool = False) -> None:
        self.location = location.rstrip("/")
        self._storage = open_storage(self.location, requester_pays=requester_pays)

    def survey(self, paths: Iterable[str]) -> dict[str, SourceObject]:
        wanted = set(paths)
        found = {}
        for folder in sorted({path.rpartition("/")[0] for path in wanted}):
            for entry in self._storage.entries(folder):
                if entry.path in wanted:
                    found[entry.path] = SourceObject(entry.path, entry.size, entry.tag)
        return found

    def open(self, path: str) -> BinaryIO:
        return self._storage.open(path)

    def listing(self, folder: str) -> list[str]:
        return sorted(entry.path for entry in self._storage.entries(folder))
