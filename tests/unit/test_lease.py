"""The lease of the one writer: who gets it, and what stops a writer that has lost it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Lake
from ticklake.lake import lease
from ticklake.lake.errors import LakeError, ReadOnlyError
from ticklake.lake.lease import Lease, break_leases, writing
from ticklake.lake.storage import ANYTHING, Entry, LocalStorage, Storage

ELSEWHERE = {"holder": "a", "host": "another", "pid": 1, "purpose": "a build there", "beats": 1}
WRITER = """
import sys, time
from ticklake.lake import lease
from ticklake.lake.lease import Lease
from ticklake.lake.storage import LocalStorage

lease.RENEW_EVERY = 0.05
held = Lease(LocalStorage(sys.argv[1]), "a process of its own")
held.acquire()
lake = held.fenced()
print("holds it", flush=True)
while sys.stdin.readline():
    try:
        lake.write("object", b"from the process")
        print("wrote", flush=True)
    except Exception as error:
        print(error, flush=True)
"""


class SlowStorage(LocalStorage):
    """Takes a while for the first write, as a network may."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.began, self.ended = threading.Event(), threading.Event()

    def write(self, path: str, data: bytes, *, replaces: str | None = ANYTHING) -> Entry:
        if self.began.is_set():
            return super().write(path, data)
        self.began.set()
        time.sleep(0.2)
        entry = super().write(path, data)
        self.ended.set()
        return entry


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that expire within a second."""
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.05)
    monkeypatch.setattr(lease, "EXPIRES_AFTER", 0.4)
    monkeypatch.setattr(lease, "LOOK_EVERY", 0.02)


@contextmanager
def writer(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that holds the lease and writes an object for each line it is sent."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert answer(process) == "holds it"
            yield process
        finally:
            process.kill()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def ask_to_write(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("write\n")
    process.stdin.flush()


def put(storage: Storage, content: object, number: int = 1) -> None:
    storage.write(f"_lease/{number:012d}.json", json.dumps(content).encode())


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
    assert not [*storage.entries("_lease")]
    another = Lease(storage, "another")
    another.acquire()
    another.release()


def test_a_living_process_of_this_machine_is_named_at_once(tmp_path: Path) -> None:
    with writer(tmp_path) as process:
        began = time.monotonic()
        with pytest.raises(LakeError, match=f"a process of its own .process {process.pid} on"):
            Lease(LocalStorage(str(tmp_path)), "second").acquire()
        assert time.monotonic() - began < lease.RENEW_EVERY


def test_a_process_of_this_machine_that_is_gone_is_succeeded_at_once(tmp_path: Path) -> None:
    with writer(tmp_path) as process:
        process.kill()  # and not waited for: a zombie is gone too
        time.sleep(0.1)
        began = time.monotonic()
        with writing(LocalStorage(str(tmp_path)), "second"):
            assert time.monotonic() - began < lease.EXPIRES_AFTER


def test_a_writer_that_wakes_after_its_lease_was_taken_writes_nothing(
    tmp_path: Path, quick: None
) -> None:
    storage = LocalStorage(str(tmp_path))
    with writer(tmp_path) as process:
        ask_to_write(process)
        assert answer(process) == "wrote"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        ask_to_write(process)
        with writing(storage, "second") as lake:
            lake.write("object", b"from the second")
            process.send_signal(signal.SIGCONT)
            assert "was taken over by another writer" in answer(process)
        ask_to_write(process)
        assert "was taken over by another writer" in answer(process)
    assert storage.read("object") == b"from the second"


def test_a_writer_stopped_half_way_through_a_write_keeps_its_lease(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticklake.lake.storage.local.LOCK_SECONDS", 0.1)
    storage = LocalStorage(str(tmp_path))
    put(storage, ELSEWHERE)
    with (
        storage.lock("_lease/lock", shared=True),
        pytest.raises(LakeError, match=r"locked for .* by a process that is about to write"),
    ):
        Lease(storage, "second").acquire()
    with writing(storage, "second"):
        pass


def test_a_lease_of_another_machine_is_taken_when_it_shows_no_sign_of_life(
    lake: Lake, quick: None
) -> None:
    put(lake.storage, ELSEWHERE | {"since": "2099-01-01T00:00:00+00:00"})
    began = time.monotonic()
    with writing(lake.storage, "second") as fenced:
        assert time.monotonic() - began >= lease.EXPIRES_AFTER
        fenced.write("object", b"from the second")
    assert not [*lake.storage.entries("_lease")]


def test_a_sign_of_life_keeps_a_lease_whatever_the_clocks_say(
    lake: Lake, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "EXPIRES_AFTER", 60.0)
    put(lake.storage, ELSEWHERE | {"since": "1999-01-01T00:00:00+00:00"})
    timer = threading.Timer(0.1, lambda: put(lake.storage, ELSEWHERE | {"beats": 2}))
    timer.start()
    with pytest.raises(LakeError, match="is being written by a build there"):
        Lease(lake.storage, "second").acquire()
    timer.join()


def test_only_one_of_several_takes_over(tmp_path: Path, quick: None) -> None:
    storage = LocalStorage(str(tmp_path))
    put(storage, ELSEWHERE)
    leases = [Lease(storage, f"number {number}") for number in range(5)]
    won = []

    def acquire(each: Lease) -> None:
        try:
            each.acquire()
            won.append(each)
        except LakeError:
            pass

    threads = [threading.Thread(target=acquire, args=[each]) for each in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (holder,) = won
    holder.check()
    holder.release()


def test_leases_of_different_things_are_held_side_by_side(lake: Lake) -> None:
    folders = ("_lease", "_lease/source/a", "_lease/source/b")
    held = [Lease(lake.storage, folder, folder) for folder in folders]
    for each in held:
        each.acquire()
    with pytest.raises(LakeError, match="is being written by _lease/source/b"):
        Lease(lake.storage, "second", "_lease/source/b").acquire()
    for each in held:
        each.check()
        each.release()
    assert not [*lake.storage.entries("_lease")]


def test_what_is_written_after_a_lease_was_ended_is_refused(lake: Lake) -> None:
    with writing(lake.storage, "a build") as fenced:
        fenced.write("object", b"while held")
        assert [holder.partition(" (")[0] for holder in break_leases(lake.storage)] == ["a build"]
        for write in (
            lambda: fenced.write("object", b"too late"),
            lambda: fenced.create("another", b"too late"),
            lambda: fenced.delete("object"),
        ):
            with pytest.raises(LakeError, match="was taken over by another writer"):
                write()
    assert lake.storage.read("object") == b"while held"
    assert lake.storage.find("another") is None


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"other": "keys"}', b"\xff"])
def test_what_is_not_a_lease_keeps_nobody_out(content: bytes, tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    storage.write("_lease/000000000007.json", content)
    storage.write("_lease/notes.txt", content)
    with writing(storage, "a build"):
        pass
    assert [entry.path for entry in storage.entries("_lease")] == ["_lease/notes.txt"]


def test_what_is_in_the_way_of_a_lease_is_named(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    (tmp_path / "_lease/000000000001.json").mkdir(parents=True)
    with pytest.raises(LakeError, match=r"000000000001\.json is not a lease, and it is in the way"):
        Lease(storage, "a build").acquire()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/_lease").touch()
    with pytest.raises(LakeError, match=r"cannot be written: .*_lease"):
        Lease(LocalStorage(str(tmp_path / "other")), "a build").acquire()


def test_a_lake_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("ticklake.lake.storage.local._make_folder", refuse)
    with pytest.raises(ReadOnlyError, match="cannot be written: Permission denied"):
        Lease(LocalStorage(str(tmp_path)), "a build").acquire()


def test_a_late_request_does_not_replace_what_the_next_writer_wrote(
    s3_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On S3 there is no lock: the writer is paused after its look at the lease."""
    storage = s3_lake.storage
    before = storage.write("object", b"before")
    held = Lease(storage, "paused")
    held.acquire()
    fenced = held.fenced()
    put_object = type(storage)._put

    def paused(self: Storage, path: str, *arguments: object, **options: object) -> Entry:
        monkeypatch.setattr(type(storage), "_put", put_object)
        break_leases(storage)
        storage.write("object", b"from the next")
        return put_object(self, path, *arguments, **options)

    monkeypatch.setattr(type(storage), "_put", paused)
    with pytest.raises(LakeError, match="was taken over by another writer"):
        fenced.write("object", b"too late", replaces=before.tag)
    assert storage.read("object") == b"from the next"


def test_what_another_than_the_expected_object_holds_is_replaced_while_the_lease_is_held(
    s3_lake: Lake,
) -> None:
    storage = s3_lake.storage
    with writing(storage, "a build") as fenced:
        fenced.write("object", b"one", replaces=None)
        storage.write("object", b"by somebody else")
        fenced.write("object", b"two", replaces="0" * 32)
        assert storage.read("object") == b"two"
        fenced.write("object", b"three", replaces=None)
        assert storage.read("object") == b"three"
        storage.delete("object")
        fenced.write("object", b"four", replaces="0" * 32)
        assert storage.read("object") == b"four"
