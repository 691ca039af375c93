"""One writer at a time: a lease in the lake, taken by creating an object that must not exist.

Leases are numbered. Whoever creates `<n + 1>.json` first succeeds the holder of `<n>`, so two
writers that find the same dead lease cannot both take it over. A lease that is given back is
deleted.

No two clocks are ever compared. The holder counts up a number in its lease every few seconds. Who
wants to succeed it watches the lease for `EXPIRES_AFTER` by its own monotonic clock, and takes over
if nothing changed. A process of this machine that is gone is succeeded at once.

A holder that was paused may wake after its lease was taken. So it looks at its lease again whenever
it is about to write: `Lease.fenced` returns a storage that does.
"""

import copy
import json
import logging
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ticklake.lake.errors import READ_ONLY, HeldError, LakeError, ReadOnlyError
from ticklake.lake.storage import Entry, Storage

FOLDER = "_lease"
LEASES_OF_OBJECTS = f"{FOLDER}/landing"
"""Below it, each source object whose segments are being written has a lease."""
LOCK = "lock"
RENEW_EVERY = 10.0  # seconds
EXPIRES_AFTER = 90.0
LOOK_EVERY = 1.0
PATIENCE = 900.0
LOG = logging.getLogger(__name__)


class Lease:
    """The right to write what a lease stands for, held from `acquire` to `release`.

    `folder` names it: `_lease` is the lease of builds. Leases of other things need a folder each.
    """

    def __init__(self, storage: Storage, purpose: str, folder: str = FOLDER) -> None:
        self._storage, self._folder = storage, folder
        self._holder = {
            "holder": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process": _process_mark(os.getpid()),
            "machine": _machine_mark(),
            "purpose": purpose,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._beats = 0
        self._path: str | None = None
        self._tag = ""
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self.lost: str | None = None
        """What happened to the lease, once another writer has taken it over."""

    def acquire(self) -> None:
        """Take the lease. Raises LakeError naming the holder if there is one.

        Returns at once if there is no holder, or if it was a process of this machine that is gone.
        Else this takes until the holder shows a sign of life, or until it has expired.
        """
        try:
            self._acquire()
        except OSError as error:
            kind = ReadOnlyError if error.errno in READ_ONLY else LakeError
            raise kind(
                f"{self._storage.root} cannot be written: {error.strerror or error} "
                f"({error.filename or self._folder})."
            ) from None

    def _acquire(self) -> None:
        dead: set[str] = set()
        while (newest := self._newest(dead)) is not None:
            current = _read(self._storage, newest.path)
            if current is None:
                LOG.warning("%s is not a lease and is removed.", self._storage.url(newest.path))
            elif not current.get("released"):  # as versions before this one left it
                if _state(current) == "running":
                    raise HeldError(self._refusal(current))
                if _state(current) != "gone" and not self._has_expired(newest, current):
                    continue  # it has been given back, or another one is there now
            dead.add(newest.path)
        number = 1 + max(
            (int(Path(entry.path).stem) for entry in _leases(self._storage, self._folder)),
            default=0,
        )
        path = f"{self._folder}/{number:012d}.json"
        with self._storage.lock(self._lock, shared=False):  # after writes that were let through
            if not self._storage.create(path, self._content()):
                current = _read(self._storage, path)
                if current is None and self._newest(dead) is None:
                    raise LakeError(
                        f"{self._storage.url(path)} is not a lease, and it is in the way. Remove "
                        "it, then run again."
                    )
                raise HeldError(self._refusal(current))
            others = self._newest({*dead, path})
            if others is not None:  # came since the first look
                self._storage.delete(path)
                raise HeldError(self._refusal(_read(self._storage, others.path)))
            for old in dead:
                self._storage.delete(old)
        self._path = path
        threading.Thread(target=self._keep, daemon=True).start()

    def release(self) -> None:
        """Give the lease back. Does nothing if it is not held, or lost."""
        self._stop.set()
        with self._writing:  # a renewal on its way would write the lease again
            path, self._path = self._path, None
            if path is None or self.lost:
                return
            with (
                suppress(LakeError, OSError),
                self._storage.lock(self._lock, shared=False, remove=True),
            ):
                if self._is_held(path):
                    self._storage.delete(path)

    def check(self) -> None:
        """Look whether the lease is still held. Raises LakeError if another writer has it."""
        path = self._path
        if path is None:
            raise LakeError("A lease that is not held lets nothing be written.")
        if self.lost is None and not self._is_held(path):
            self.lost = (
                f"{self._storage.url(path)} was taken over by another writer, so this one "
                "stops. What it has published is kept; run it again when the other is done."
            )
        if self.lost:
            raise LakeError(self.lost)

    @contextmanager
    def fence(self) -> Iterator[None]:
        """Let one write through if the lease is held. Raises LakeError if another writer has it.

        In a folder nobody can take the lease over before the write is done. A store without locks
        has the same certainty only with conditional writes: see `Storage.publish`.
        """
        with self._storage.lock(self._lock, shared=True):
            self.check()
            yield

    def fenced(self) -> Storage:
        """Return the storage with every write of it behind the fence."""
        storage = copy.copy(self._storage)
        storage.fence = self.fence
        return storage

    @property
    def _lock(self) -> str:
        return f"{self._folder}/{LOCK}"

    def _content(self) -> bytes:
        self._beats += 1
        return json.dumps({**self._holder, "beats": self._beats}, indent=1).encode()

    def _keep(self) -> None:
        while not self._stop.wait(RENEW_EVERY):
            # Tried again at the next beat, long before the lease expires.
            with suppress(LakeError, OSError), self._writing:
                if self._path is None or self._stop.is_set():
                    return
                with self.fence():
                    self._tag = self._storage.write(self._path, self._content()).tag
            if self.lost:
                return

    def _newest(self, dead: set[str]) -> Entry | None:
        living = [item for item in _leases(self._storage, self._folder) if item.path not in dead]
        return living[-1] if living else None

    def _is_held(self, path: str) -> bool:
        newest = self._newest(set())
        if newest is None or newest.path != path:
            return False
        if newest.tag == self._tag:
            return True
        found = _read(self._storage, path)  # not renewed yet, or just being renewed
        return found is not None and found["holder"] == self._holder["holder"]

    def _has_expired(self, entry: Entry, holder: dict[str, Any]) -> bool:
        """Watch a lease; say whether it stayed as it is. Raises LakeError at a sign of life."""
        LOG.warning(
            "%s may still be written by %s: waiting up to %.0f s for a sign of life. If it no "
            "longer runs, `ticklake unlock` ends its lease now.",
            self._storage.root,
            _name(holder),
            EXPIRES_AFTER,
        )
        began = time.monotonic()
        while True:
            is_over = time.monotonic() - began >= EXPIRES_AFTER  # then look once more
            newest = self._newest(set())
            if newest is None or newest.path != entry.path:
                return False
            if newest.tag != entry.tag:
                raise HeldError(self._refusal(_read(self._storage, entry.path)))
            if is_over or _state(holder) == "gone":
                return True
            time.sleep(min(LOOK_EVERY, EXPIRES_AFTER))

    def _refusal(self, holder: dict[str, Any] | None) -> str:
        return (
            f"{self._storage.root} is being written by {_name(holder or {})}. "
            "Wait until it is done, then run again. "
            "If it no longer runs, `ticklake unlock` ends its lease."
        )


@contextmanager
def writing(storage: Storage, purpose: str, folder: str = FOLDER) -> Iterator[Storage]:
    """Hold a lease; yield the storage with every write behind its fence.

    Raises LakeError if another writer holds the lease, and at the first write after it was lost.
    """
    lease = Lease(storage, purpose, folder)
    lease.acquire()
    with _held(lease) as fenced:
        yield fenced


@contextmanager
def _held(lease: Lease) -> Iterator[Storage]:
    try:
        yield lease.fenced()
    finally:
        lease.release()


def writing_in_turn(
    storage: Storage, purpose: str, folder: str, patience: float = PATIENCE
) -> AbstractContextManager[Storage]:
    """Do as `writing` does, and wait up to `patience` seconds while another writer is at it."""
    began = time.monotonic()
    while True:
        lease = Lease(storage, purpose, folder)
        try:
            lease.acquire()
        except HeldError:
            if time.monotonic() - began >= patience:
                raise
            time.sleep(LOOK_EVERY)
        else:
            return _held(lease)


def break_leases(storage: Storage) -> list[str]:
    """Remove all leases of a lake, whoever holds them; return who that was."""
    found = [entry for entry in storage.entries(FOLDER) if IS_LEASE.search(entry.path)]
    holders = [_read(storage, entry.path) or {} for entry in found]
    for entry in found:
        storage.delete(entry.path)
    return [_name(holder) for holder in holders]


IS_LEASE = re.compile(r"/\d{12}\.json$")


def _leases(storage: Storage, folder: str) -> list[Entry]:
    """Return the leases of a folder, the newest last."""
    pattern = re.compile(re.escape(folder) + IS_LEASE.pattern)
    found = (entry for entry in storage.entries(folder) if pattern.match(entry.path))
    return sorted(found, key=lambda entry: entry.path)


def _read(storage: Storage, path: str) -> dict[str, Any] | None:
    """Return what a lease says; None if it is gone or is not one that ticklake wrote."""
    try:
        found = json.loads(storage.read(path))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and "holder" in found else None


def _state(lease: dict[str, Any]) -> str:
    """Return `running`, `stopped` or `gone` of a process of this machine, else `unknown`."""
    here = (socket.gethostname(), _machine_mark())
    pid = lease.get("pid")
    if (lease.get("host"), lease.get("machine")) != here or not isinstance(pid, int):
        return "unknown"
    if _process_mark(pid) != lease.get("process"):
        return "gone"
    with suppress(OSError):
        return "stopped" if _stat(pid)[0] in "Tt" else "running"
    return "running"


def _machine_mark() -> str:
    """Return what tells this boot of this machine or container from others of the same name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _process_mark(pid: int) -> str | None:
    """Return what tells a process from a later one of the same number; None when it is gone."""
    try:
        fields = _stat(pid)
        return None if fields[0] in "ZX" else fields[19]  # its start, in clock ticks since boot
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    try:  # no /proc here (macOS): the number alone has to do
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "alive"


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _name(lease: dict[str, Any]) -> str:
    if not lease:
        return "another process"
    return (
        f"{lease.get('purpose')} (process {lease.get('pid')} on {lease.get('host')}, "
        f"since {lease.get('since')})"
    )
