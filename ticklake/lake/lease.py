"""One writer at a time: a lease in the lake, taken by creating an object that must not exist.

Leases are numbered. Whoever creates `_lease/<n + 1>.json` first succeeds the holder of `<n>`, so
two writers that find the same lease expired cannot both take it over. The holder renews its lease;
one that was killed is succeeded at once by a process of the same machine, or after a while.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ticklake.lake.errors import LakeError
from ticklake.lake.storage import Storage

FOLDER = "_lease"
RENEW_EVERY = 20.0  # seconds
EXPIRES_AFTER = 120.0


class Lease:
    """The right to build, held from `acquire` to `release`."""

    def __init__(self, storage: Storage, purpose: str) -> None:
        self._storage = storage
        self._holder = {
            "holder": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process": _process_mark(os.getpid()),
            "machine": _machine_mark(),
            "purpose": purpose,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._path: str | None = None
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self.lost: str | None = None

    def acquire(self) -> None:
        """Take the lease. Raises LakeError naming the holder when there is one."""
        leases = _leases(self._storage)
        if leases:
            current = _read(self._storage, leases[-1])
            if current is not None and _is_held(current):
                raise LakeError(_refusal(self._storage, current))
        number = int(Path(leases[-1]).stem) + 1 if leases else 1
        path = f"{FOLDER}/{number:012d}.json"
        if not self._storage.create(path, self._content()):
            current = _read(self._storage, path) or {}
            raise LakeError(_refusal(self._storage, current))
        after = _leases(self._storage)
        if after[-1] != path:  # others came and went since the first look
            self._storage.delete(path)
            raise LakeError(_refusal(self._storage, _read(self._storage, after[-1]) or {}))
        for old in after[:-1]:
            self._storage.delete(old)
        self._path = path
        threading.Thread(target=self._keep, daemon=True).start()

    def release(self) -> None:
        """Give the lease back. Its number stays, so that the next one is higher."""
        if self._path is None:
            return
        self._stop.set()
        with self._writing, suppress(LakeError):  # a renewal on its way would take it again
            self._storage.write(self._path, self._content(released=True))
        self._path = None

    def _content(self, *, released: bool = False) -> bytes:
        lease = {**self._holder, "renewed": time.time(), "released": released}
        return json.dumps(lease, indent=1).encode()

    def _keep(self) -> None:
        while not self._stop.wait(RENEW_EVERY):
            path = self._path
            if path is None:
                return
            try:
                newest = _leases(self._storage)[-1:]
                if newest != [path]:
                    self.lost = (
                        f"{self._storage.url(path)} was taken over by another writer, so this one "
                        "stops. What it has published is kept; run it again when the other is done."
                    )
                    return
                with self._writing:
                    if not self._stop.is_set():
                        self._storage.write(path, self._content())
            except LakeError:
                continue  # tried again at the next beat, long before it expires


def break_lease(storage: Storage) -> str | None:
    """Remove the lease whoever holds it; return who that was, or None where there was none."""
    leases = _leases(storage)
    current = _read(storage, leases[-1]) if leases else None
    if current is None or current.get("released"):
        return None
    storage.write(leases[-1], json.dumps({**current, "released": True}).encode())
    return _name(current)


def _leases(storage: Storage) -> list[str]:
    return sorted(entry.path for entry in storage.entries(FOLDER))


def _read(storage: Storage, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(storage.read(path))
    except (FileNotFoundError, ValueError):
        return None
    return found


def _is_held(lease: dict[str, Any]) -> bool:
    if lease.get("released") or time.time() - float(lease["renewed"]) > EXPIRES_AFTER:
        return False
    if (lease["host"], lease["machine"]) == (socket.gethostname(), _machine_mark()):
        return bool(_process_mark(int(lease["pid"])) == lease["process"])
    return True


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
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[19]  # start time in clock ticks since boot
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


def _name(lease: dict[str, Any]) -> str:
    return (
        f"{lease.get('purpose')} (process {lease.get('pid')} on {lease.get('host')}, "
        f"since {lease.get('since')})"
    )


def _refusal(storage: Storage, lease: dict[str, Any]) -> str:
    return (
        f"{storage.root} is being written by {_name(lease)}. "
        "Wait until it is done, then run again. "
        f"If it no longer runs, its lease ends {EXPIRES_AFTER:.0f} s after its last sign of life; "
        "`ticklake unlock` ends it now."
    )
