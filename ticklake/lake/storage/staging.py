"""Scratch folders that can be told from those of a killed run.

A folder belongs to a living process exactly as long as that process holds the lock on the file
`.lock` in it. The kernel drops the lock with the process, however it ends, so no clock and no
process number has to be trusted.
"""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


def scratch_root() -> Path:
    """Return where scratch folders are that need not be in the lake."""
    return Path(tempfile.gettempdir()) / f"ticklake-staging-{os.getuid()}"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a fresh folder below `parent`, locked for as long as it is in use."""
    folder, lock = _make_locked(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        _remove_if_empty(parent)


def sweep_scratch(parent: Path) -> int:
    """Remove the folders below `parent` whose process is gone; return how many there were."""
    removed = 0
    for folder in list(parent.iterdir()) if parent.is_dir() else ():
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
        except OSError:  # no folder of ours, or gone already
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
    _remove_if_empty(parent)
    return removed


def _make_locked(parent: Path) -> tuple[Path, int]:
    while True:
        folder = parent / uuid.uuid4().hex
        with suppress(FileNotFoundError):  # an empty parent may be tidied away meanwhile
            folder.mkdir(parents=True)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_same_file(lock, folder / LOCK):
                return folder, lock
            os.close(lock)  # swept between being made and being locked: try again


def is_same_file(handle: int, path: Path) -> bool:
    """Say whether a path still names the file that is open."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
