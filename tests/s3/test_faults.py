"""What the lake does when the way to S3 breaks: every fault of `faults.py` against each request."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FaultyLake
from tests.s3.faults import Action
from ticklake.lake.errors import LakeError
from ticklake.lake.storage import Entry, s3

pytestmark = [pytest.mark.s3, pytest.mark.usefixtures("waits")]

MIB = 1 << 20
PASSING: list[Action] = ["503", "500", "reset", "lose"]


def _faults(lake: FaultyLake) -> list[Action | None]:
    return [request.fault for request in lake.proxy.requests]


def _publish(lake: FaultyLake, data: bytes, path: str = "a") -> Entry:
    with lake.storage.staging() as folder:
        (folder / "data").write_bytes(data)
        return lake.storage.publish(folder / "data", path)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_not_noticed(faulty_s3: FaultyLake, fault: Action) -> None:
    storage, proxy = faulty_s3.storage, faulty_s3.proxy

    def survives(operation: Callable[[], object], expected: object) -> None:
        proxy.requests.clear()
        proxy.add(fault, times=2)
        assert operation() == expected
        assert _faults(faulty_s3)[:3] == [fault, fault, None]

    survives(lambda: storage.write("a", b"one").size, 3)
    survives(lambda: storage.read("a"), b"one")
    survives(lambda: storage.find("a") is None, False)
    survives(lambda: [entry.path for entry in storage.entries("")], ["a"])
    survives(lambda: storage.create("b", b"mine"), True)
    survives(lambda: storage.create("b", b"mine"), False)
    survives(lambda: storage.delete("b"), None)
    assert storage.find("b") is None


@pytest.mark.parametrize("fault", ["503", "500", "reset"])
def test_a_fault_that_stays_is_an_error_that_names_the_place(
    faulty_s3: FaultyLake, fault: Action
) -> None:
    faulty_s3.storage.write("a", b"old")
    faulty_s3.proxy.requests.clear()
    faulty_s3.proxy.add(fault, times=1000)
    for operation in (
        lambda: faulty_s3.storage.write("a", b"new"),
        lambda: faulty_s3.storage.read("a"),
    ):
        with pytest.raises(LakeError, match=f"{faulty_s3.root}/a.*[Rr]un.* again"):
            operation()
    assert len(faulty_s3.proxy.requests) == 2 * s3.ATTEMPTS
    faulty_s3.proxy.clear()
    assert faulty_s3.storage.read("a") == b"old"


def test_an_upload_cut_half_way_is_sent_again_whole(faulty_s3: FaultyLake) -> None:
    data = os.urandom(3 * MIB)
    faulty_s3.proxy.add("reset_after", method="PUT", after=1 * MIB, times=2)
    _publish(faulty_s3, data)
    assert faulty_s3.storage.read("a") == data
    assert _faults(faulty_s3)[:3] == ["reset_after", "reset_after", None]


def test_an_upload_that_is_always_cut_leaves_the_old_object(faulty_s3: FaultyLake) -> None:
    faulty_s3.storage.write("a", b"old")
    faulty_s3.proxy.add("reset_after", method="PUT", after=1 * MIB, times=1000)
    with pytest.raises(LakeError, match="could not be reached"):
        _publish(faulty_s3, os.urandom(2 * MIB))
    assert faulty_s3.storage.read("a") == b"old"


@pytest.mark.parametrize("after", [0, 1, 700_000, 2 * MIB, 3 * MIB - 1])
def test_reading_goes_on_where_the_body_was_cut(faulty_s3: FaultyLake, after: int) -> None:
    data = os.urandom(3 * MIB)
    faulty_s3.storage.write("a", data)
    faulty_s3.proxy.requests.clear()
    faulty_s3.proxy.add("truncate", method="GET", after=after)
    assert faulty_s3.storage.read("a") == data
    assert _faults(faulty_s3) == ["truncate", None]
    faulty_s3.proxy.add("truncate", method="GET", after=after)
    with faulty_s3.storage.open("a") as stream:
        assert b"".join(iter(lambda: stream.read(1000), b"")) == data


def test_reading_gets_on_over_a_line_that_breaks_all_the_time(faulty_s3: FaultyLake) -> None:
    data = os.urandom(3 * MIB)
    faulty_s3.storage.write("a", data)
    faulty_s3.proxy.requests.clear()
    faulty_s3.proxy.add("truncate", method="GET", after=300_000, times=1000)
    assert faulty_s3.storage.read("a") == data
    assert len(faulty_s3.proxy.requests) < 40


def test_reading_ends_when_nothing_at_all_comes(faulty_s3: FaultyLake) -> None:
    faulty_s3.storage.write("a", b"some bytes")
    faulty_s3.proxy.requests.clear()
    faulty_s3.proxy.add("truncate", method="GET", after=0, times=1000)
    with pytest.raises(LakeError, match=f"broke .* times at byte 0 of {faulty_s3.root}/a"):
        faulty_s3.storage.read("a")
    assert len(faulty_s3.proxy.requests) == s3.ATTEMPTS


def test_an_object_replaced_while_it_is_read_is_never_mixed(faulty_s3: FaultyLake) -> None:
    old, new = os.urandom(3 * MIB), os.urandom(3 * MIB)
    faulty_s3.storage.write("a", old)
    faulty_s3.proxy.add("truncate", method="GET", after=2 * MIB)
    with faulty_s3.storage.open("a") as stream:
        assert stream.read(1000) == old[:1000]
        faulty_s3.storage.write("a", new)
        with pytest.raises(LakeError, match=f"{faulty_s3.root}/a was replaced"):
            stream.read()
    assert faulty_s3.storage.read("a") == new


def test_a_slow_answer_is_waited_for(faulty_s3: FaultyLake) -> None:
    faulty_s3.storage.write("a", b"1")
    faulty_s3.proxy.add("delay", method="GET", seconds=0.3)
    began = time.monotonic()
    assert faulty_s3.storage.read("a") == b"1"
    assert time.monotonic() - began >= 0.3


def test_a_server_that_never_answers_is_given_up_on(
    faulty_s3: FaultyLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_SECONDS", 0.1)
    faulty_s3.proxy.add("delay", seconds=30, times=1000)
    with pytest.raises(LakeError, match=r"could not be reached .*ReadTimeoutError"):
        faulty_s3.storage.read("a")


@pytest.mark.parametrize(
    ("fault", "request_", "times"),
    [
        ("503", r"uploads", 2),
        ("503", r"partNumber=2", 2),
        ("reset", r"partNumber=1", 2),
        ("reset_after", r"partNumber=1", 2),
        ("lose", r"partNumber=2", 2),
        ("500", r"uploadId=[^&]*$", 2),
        ("lose", r"uploadId=[^&]*$", 1),
    ],
)
def test_an_upload_in_parts_survives_a_fault_that_passes(
    faulty_s3: FaultyLake,
    monkeypatch: pytest.MonkeyPatch,
    fault: Action,
    request_: str,
    times: int,
) -> None:
    monkeypatch.setattr(s3, "MULTIPART_ABOVE", 6 * MIB)
    monkeypatch.setattr(s3, "PART_SIZE", 5 * MIB)
    data = os.urandom(7 * MIB)
    faulty_s3.proxy.add(fault, path=request_, after=MIB, times=times)
    entry = _publish(faulty_s3, data)
    assert _faults(faulty_s3).count(fault) == times
    assert entry == faulty_s3.storage.find("a")
    assert faulty_s3.storage.read("a") == data
    assert faulty_s3.storage.sweep(("",)) == 0, "nothing was left to sweep"


@pytest.mark.parametrize("request_", [r"partNumber=2", r"uploadId=[^&]*$"])
def test_an_upload_in_parts_that_fails_leaves_the_old_object_and_no_parts(
    faulty_s3: FaultyLake, monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    monkeypatch.setattr(s3, "MULTIPART_ABOVE", 6 * MIB)
    monkeypatch.setattr(s3, "PART_SIZE", 5 * MIB)
    faulty_s3.storage.write("a", b"old")
    for method in ("PUT", "POST"):
        faulty_s3.proxy.add("503", method=method, path=request_, times=1000)
    with pytest.raises(LakeError, match=r"SlowDown, HTTP 503, attempts: 6"):
        _publish(faulty_s3, os.urandom(7 * MIB))
    faulty_s3.proxy.clear()
    assert faulty_s3.storage.read("a") == b"old"
    assert faulty_s3.storage.sweep(("",)) == 0, "nothing was left to sweep"


def test_duckdb_reads_through_faults_that_pass(faulty_s3: FaultyLake, tmp_path: Path) -> None:
    connection = faulty_s3.connect()
    connection.execute("set http_retry_wait_ms = 1")
    with faulty_s3.storage.staging() as folder:
        connection.execute(f"copy (select 42 as x) to '{folder}/data.parquet'")
        faulty_s3.storage.publish(folder / "data.parquet", "raw/a.parquet")
    faulty_s3.proxy.add("503", method="GET", times=2)
    url = faulty_s3.storage.url("raw/a.parquet")
    assert connection.execute("select x from read_parquet($1)", [url]).fetchone() == (42,)
    assert _faults(faulty_s3).count("503") == 2
