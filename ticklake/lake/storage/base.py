"""The storage interface."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

ANYTHING: Final = "*"
"""As `replaces`: whatever is there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as a listing shows it.

    `tag` is the store's own mark of the bytes: as long as `size` and `tag` stay the same, so do the
    bytes. On S3 it is the ETag; on a local disk it is made of inode and times, so equal bytes
    written twice have different tags (`Storage.tag_is_content` tells which).
    """

    path: str
    size: int
    tag: str


class Storage(Protocol):
    """A place for objects. Every write is atomic: a reader sees the old bytes or the new ones."""

    root: str
    tag_is_content: bool
    fence: Callable[[], AbstractContextManager[None]]
    """What every write and deletion is done in; it raises LakeError to prevent them."""

    def url(self, path: str) -> str:
        """Return what DuckDB reads for a path."""
        ...

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Yield every object below the folder `prefix`, in no promised order."""
        ...

    def find(self, path: str) -> Entry | None:
        """Return the entry of one object, or None where there is none."""
        ...

    def read(self, path: str) -> bytes:
        """Return the whole object. Raises FileNotFoundError."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Return a forward-only stream of the object. Raises FileNotFoundError."""
        ...

    def local_file(self, path: str, folder: Path) -> Path:
        """Return a local file with the object's bytes: a copy below `folder` where it is none.

        Raises FileNotFoundError.
        """
        ...

    def read_end(self, path: str, length: int) -> bytes:
        """Return the last `length` bytes, or all of fewer. Raises FileNotFoundError."""
        ...

    def write(self, path: str, data: bytes, *, replaces: str | None = ANYTHING) -> Entry:
        """Create or replace a small object; `replaces` is that of `publish`."""
        ...

    def publish(self, staged: Path, path: str, *, replaces: str | None = ANYTHING) -> Entry:
        """Create or replace an object with a finished local file, which is used up.

        `replaces` is the tag of the object that is expected there, None for no object. A store
        without locks looks at the fence again if it finds another one.
        """
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Create an object unless there is one: True for the one caller that made it."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object. One that is already gone is no error."""
        ...

    def lock(
        self, path: str, *, shared: bool, remove: bool = False
    ) -> AbstractContextManager[None]:
        """Hold a lock among all processes that use a folder; a store without locks does nothing.

        `remove` says that nobody needs the file `path` afterwards. Raises LakeError if the lock is
        not to be had for half a minute.
        """
        ...

    def staging(self) -> AbstractContextManager[Path]:
        """Yield a fresh local folder for files on their way to `publish`, removed at the end."""
        ...

    def sweep(self, prefixes: tuple[str, ...] = ()) -> int:
        """Remove what killed runs left behind and return how many things that were.

        `prefixes` are folders that the caller alone writes to: unfinished uploads below them are
        dropped at once, others only when they are a day old.
        """
        ...
