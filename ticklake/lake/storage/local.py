"""A lake in a local folder."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from ticklake.lake.errors import LakeError
from ticklake.lake.storage.base import Entry
from ticklake.lake.storage.staging import scratch_folder, sweep_scratch

STAGING = "_staging"
GLOB = set("*?[")


class LocalStorage:
    """Objects are files below a folder, published by fsync and rename on the same file system."""

    tag_is_content = False

    def __init__(self, root: str) -> None:
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
            except (FileNotFoundError, NotADirectoryError):
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
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _entry(path, status) if stat.S_ISREG(status.st_mode) else None

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()

    def open(self, path: str) -> BinaryIO:
        try:
            return open(self.url(path), "rb")
        except (IsADirectoryError, NotADirectoryError):  # on S3 there is no object either
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

    def write(self, path: str, data: bytes) -> Entry:
        with self.staging() as folder:
            staged = folder / "object"
            staged.write_bytes(data)
            return self.publish(staged, path)

    def publish(self, staged: Path, path: str) -> Entry:
        target = Path(self.url(path))
        _make_durable(staged)
        _into_folder(target, lambda: os.replace(staged, target))
        return _entry(path, target.stat())

    def create(self, path: str, data: bytes) -> bool:
        target = Path(self.url(path))
        with self.staging() as folder:
            staged = folder / "object"
            staged.write_bytes(data)
            _make_durable(staged)
            try:  # unlike a rename, a link refuses to replace
                _into_folder(target, lambda: os.link(staged, target))
            except FileExistsError:
                return False
        return True

    def delete(self, path: str) -> None:
        target = Path(self.url(path))
        if self.find(path) is None:
            return
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

    def staging(self) -> AbstractContextManager[Path]:
        _make_folder(Path(self.root))
        return scratch_folder(Path(self.root) / STAGING)

    def sweep(self, prefixes: tuple[str, ...] = ()) -> int:
        return sweep_scratch(Path(self.root) / STAGING)


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
