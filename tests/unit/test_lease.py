"""The lease of the one writer, where its threads meet."""

import json
import threading
import time
from pathlib import Path

import pytest

from ticklake.lake import lease
from ticklake.lake.lease import Lease
from ticklake.lake.storage import Entry, LocalStorage


class SlowStorage(LocalStorage):
    """Takes a while for the first write, as a network may."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.began, self.ended = threading.Event(), threading.Event()

    def write(self, path: str, content: bytes) -> Entry:
        if self.began.is_set():
            return super().write(path, content)
        self.began.set()
        time.sleep(0.2)
        entry = super().write(path, content)
        self.ended.set()
        return entry


def test_a_renewal_on_its_way_does_not_take_a_lease_that_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.01)
    storage = SlowStorage(str(tmp_path))
    held = Lease(storage, "test")
    held.acquire()
    assert storage.began.wait(5)
    held.release()
    assert storage.ended.wait(5)
    (entry,) = storage.entries("_lease")
    assert json.loads(storage.read(entry.path))["released"]
    another = Lease(storage, "another")
    another.acquire()
    another.release()
