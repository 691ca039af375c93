"""A lake in a local folder."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from ticklake.lake.errors import LakeError
from ticklake.lake.storage.base import ANYTHING, Entry
from ticklake.lake.storage.staging import (
    is_same_file,
    scratch_folder,
    scratch_root,
    sweep_scratch,
)

STAGING = "_staging"
GLOB = set("*?[")
LOCK_SECONDS = 30.0
NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""No object has such a path."""


class LocalStorage:
    """Objects are files below a folder, published by fsync and rename on the same file system."""

    tag_is_content = False

    def __init__(self, root: str) -> None:
        self.fence: Callable[[], AbstractContextManager[None]] = nullcontext
        self.root = os.path.abspath(os.path.expanduser(root))
        if set(self.root) & GLOB:
            raise LakeError(
                f"DuckDB takes * ? [ in {self.root!r} for a pattern. Choose another folder."
            )

    def url(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def entries(self, prefix: str) -> Iterator[Entry]:
        folders = [prefix.strip("/")]
        while folders:
            folder = folders.pop()
            try:
                listing = os.scandir(self.url(folder))
            except OSError as error:
                if error.errno not in NOT_THERE:
                    raise
                continue
            with listing:
                for item in listing:
                    path = f"{folder}/{item.name}" if folder else item.name
                    if item.is_dir():
                        if path != STAGING:
                            folders.append(path)
                        continue
                    try:
                        yield _entry(path, item.stat())
                    except FileNotFoundError:  # removed since the listing
                        continue

    def find(self, path: str) -> Entry | None:
        try:
            status = os.stat(self.url(path))
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise
            return None
        return _entry(path, status) if stat.S_ISREG(status.st_mode) else None

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()

    def open(self, path: str) -> BinaryIO:
        try:
            return open(self.url(path), "rb")
        except OSError as error:  # on S3 there is no object either
            if error.errno not in (*NOT_THERE, errno.EISDIR):
                raise
            raise FileNotFoundError(self.url(path)) from None

    def local_file(self, path: str, folder: Path) -> Path:
        file = Path(self.url(path))
        if not file.is_file():
            raise FileNotFoundError(file)
        return file

    def read_end(self, path: str, length: int) -> bytes:
        with self.open(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - length))
            return file.read()

    def write(self, path: str, data: bytes, *, replaces: str | None = ANYTHING) -> Entry:
        with self.staging() as folder:
            staged = folder / "object"
            staged.write_bytes(data)
            return self.publish(staged, path)

    def publish(self, staged: Path, path: str, *, replaces: str | None = ANYTHING) -> Entry:
        target = Path(self.url(path))
        _make_durable(staged)
        with self.fence():
            _into_folder(target, lambda: os.replace(staged, target))
            return _entry(path, target.stat())

    def create(self, path: str, data: bytes) -> bool:
        target = Path(self.url(path))
        with self.staging() as folder:
            staged = folder / "object"
            staged.write_bytes(data)
            _make_durable(staged)
            try:  # unlike a rename, a link refuses to replace
                with self.fence():
                    _into_folder(target, lambda: os.link(staged, target))
            except FileExistsError:
                return False
        return True

    def delete(self, path: str) -> None:
        target = Path(self.url(path))
        if self.find(path) is None:
            return
        with self.fence():
            target.unlink(missing_ok=True)
        folder = target.parent
        while folder != Path(self.root):
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:  # not empty
                break
            folder = folder.parent

    @contextmanager
    def lock(self, path: str, *, shared: bool, remove: bool = False) -> Iterator[None]:
        file = Path(self.url(path))
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                _make_folder(file.parent)
                handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # the still empty folder was tidied away in between
                continue
            try:
                self._flock(handle, file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, deadline)
                if not is_same_file(handle, file):  # removed before it was locked
                    continue
                yield
                if remove:
                    self.delete(path)
                return
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)  # also for a forked process that has it too
                os.close(handle)

    def _flock(self, handle: int, file: Path, kind: int, deadline: float) -> None:
        while True:
            try:
                return fcntl.flock(handle, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LakeError(
                        f"{file} has been locked for {LOCK_SECONDS:.0f} s by a process that is "
                        "about to write and does not go on, as one that is stopped. End it or let "
                        "it go on, then run again."
                    ) from None
                time.sleep(0.01)

    def staging(self) -> AbstractContextManager[Path]:
        _make_folder(Path(self.root))
        return scratch_folder(Path(self.root) / STAGING)

    def sweep(self, prefixes: tuple[str, ...] = ()) -> int:
        return sweep_scratch(Path(self.root) / STAGING) + sweep_scratch(scratch_root())


def _entry(path: str, status: os.stat_result) -> Entry:
    tag = f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
    return Entry(path, status.st_size, tag)


def _make_durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _into_folder(target: Path, place: Callable[[], None]) -> None:
    """Make the folder of `target`, put the file there, and make both names durable.

    Tries again when another process tidied the still empty folder away in between.
    """
    for attempt in range(10):
        try:
            _make_folder(target.parent)
            place()
            _make_durable(target.parent)
            return
        except FileNotFoundError:
            if attempt == 9:
                raise


def _make_folder(folder: Path) -> None:
    """Create a folder and make its name durable in each parent that gains an entry."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        # Not exist_ok, which fails when the folder is there first and then tidied away.
        with suppress(FileExistsError):
            made.mkdir()
        _make_durable(made.parent)
