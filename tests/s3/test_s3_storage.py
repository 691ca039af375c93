"""What only S3 can do or get wrong."""

import hashlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import BUCKET, Lake
from tests.s3.server import S3Server
from ticklake.lake.errors import LakeError
from ticklake.lake.storage import Entry, open_storage, s3
from ticklake.lake.storage.s3 import S3Storage

pytestmark = pytest.mark.s3

MIB = 1 << 20


@pytest.fixture
def storage(s3_lake: Lake) -> S3Storage:
    assert isinstance(s3_lake.storage, S3Storage)
    return s3_lake.storage


@pytest.fixture
def real_s3(s3_server: S3Server) -> None:
    if not s3_server.is_rgw:
        pytest.skip("moto checks no credentials and no MD5, and knows no date or page of uploads")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upload in parts from 6 MiB; S3 takes none below 5 MiB but the last."""
    monkeypatch.setattr(s3, "MULTIPART_ABOVE", 6 * MIB)
    monkeypatch.setattr(s3, "PART_SIZE", 5 * MIB)


def _publish(storage: S3Storage, path: str, data: bytes) -> Entry:
    with storage.staging() as folder:
        staged = folder / "data.parquet"
        staged.write_bytes(data)
        return storage.publish(staged, path)


def _unfinished(storage: S3Storage) -> list[str]:
    uploads = storage.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    below = storage.root.removeprefix(f"s3://{BUCKET}/") + "/"
    return [u["Key"].removeprefix(below) for u in uploads if u["Key"].startswith(below)]


def _begin_upload(storage: S3Storage, path: str) -> None:
    key = storage.url(path).removeprefix(f"s3://{BUCKET}/")
    storage.client.create_multipart_upload(Bucket=BUCKET, Key=key)


# Tags


def test_the_tag_of_one_put_is_the_md5_of_the_bytes(storage: S3Storage) -> None:
    entry = storage.write("a", b"some bytes")
    assert entry.tag == hashlib.md5(b"some bytes").hexdigest()


@pytest.mark.usefixtures("real_s3")
def test_bytes_that_were_damaged_on_the_way_are_refused(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    storage.write("a", b"old")
    monkeypatch.setattr(s3, "_md5", lambda data: hashlib.md5(b"as it was sent").digest())
    with pytest.raises(LakeError, match="BadDigest"):
        storage.write("a", b"as it came")
    with pytest.raises(LakeError, match="BadDigest"):
        storage.create("b", b"as it came")
    assert storage.read("a") == b"old"
    assert storage.find("b") is None


# Uploads in parts


@pytest.mark.usefixtures("small_parts")
def test_a_large_object_goes_in_parts_and_is_the_same(storage: S3Storage) -> None:
    data = os.urandom(12 * MIB + 1)
    entry = _publish(storage, "a", data)
    assert entry.size == len(data)
    assert entry.tag.endswith("-3")
    assert entry == storage.find("a") == next(storage.entries(""))
    assert storage.read("a") == data
    assert _publish(storage, "b", data).tag == entry.tag
    assert _unfinished(storage) == []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("error", [OSError("Input/output error"), KeyboardInterrupt()])
def test_an_upload_that_fails_half_way_leaves_the_old_object_and_no_parts(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    storage.write("a", b"old")
    send = storage.client.upload_part
    sent: list[int] = []

    def send_one_part(**request: Any) -> Any:
        if sent:
            raise error
        sent.append(request["PartNumber"])
        assert _unfinished(storage) == ["a"]
        return send(**request)

    monkeypatch.setattr(storage.client, "upload_part", send_one_part)
    with pytest.raises(type(error)):
        _publish(storage, "a", os.urandom(11 * MIB))
    assert sent == [1]
    assert _unfinished(storage) == []
    assert storage.read("a") == b"old"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_done", [True, False])
def test_an_upload_that_is_gone_when_it_is_completed_again_counts_only_when_it_was_done(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """AWS forgets an upload when it is done; Ceph 16 takes the second completion for the first."""
    data = os.urandom(7 * MIB)
    storage.write("a", data[:-1])
    complete = storage.client.complete_multipart_upload

    def complete_and_lose_the_answer(**request: Any) -> Any:
        if is_done:
            complete(**request)
        gone = {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise ClientError(gone, "CompleteMultipartUpload")

    monkeypatch.setattr(storage.client, "complete_multipart_upload", complete_and_lose_the_answer)
    if is_done:
        assert _publish(storage, "a", data) == storage.find("a")
        assert storage.read("a") == data
    else:
        with pytest.raises(LakeError, match="NoSuchUpload"):
            _publish(storage, "a", data)
        assert storage.read("a") == data[:-1]
    assert _unfinished(storage) == []


# Sweeping

KILLED = """
import os, time
from ticklake.lake.storage import open_storage, s3
s3.MULTIPART_ABOVE, s3.PART_SIZE = 6 << 20, 5 << 20
storage = open_storage(os.environ["LAKE_ROOT"])
send = storage.client.upload_part
def send_one_part(**request):
    if request["PartNumber"] == 2:
        print("one part is there", flush=True)
        time.sleep(60)
    return send(**request)
storage.client.upload_part = send_one_part
with storage.staging() as folder:
    (folder / "a").write_bytes(bytes(12 << 20))
    storage.publish(folder / "a", "compacted/trades/a")
"""


def test_a_sweep_removes_the_unfinished_upload_of_a_killed_process(
    s3_lake: Lake, storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    storage.write("compacted/trades/a", b"old")
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        env=os.environ | s3_lake.env | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert killed.stdout
    assert killed.stdout.readline() == b"one part is there\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert _unfinished(storage) == ["compacted/trades/a"]
    assert storage.sweep(("compacted/trades",)) == 2, "the upload and the staged file"
    assert _unfinished(storage) == []
    assert storage.read("compacted/trades/a") == b"old"
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_leaves_an_upload_that_is_listed_although_it_is_done(
    storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ceph lists an upload until it gets round to its end, and would delete the object's parts."""
    monkeypatch.setattr(s3, "MULTIPART_ABOVE", 6 * MIB)
    monkeypatch.setattr(s3, "PART_SIZE", 5 * MIB)
    data = os.urandom(7 * MIB)
    staged = tmp_path / "staged"
    staged.write_bytes(data)
    storage.publish(staged, "a")
    target = {"Bucket": BUCKET, "Key": storage._key("a")}
    upload = storage.client.create_multipart_upload(**target)["UploadId"]
    parts = (data[: 5 * MIB], data[5 * MIB :])
    for number, part in enumerate(parts, 1):
        storage.client.upload_part(**target, UploadId=upload, PartNumber=number, Body=part)
    assert storage.sweep(("",)) == 0
    storage.write("a", b"other bytes")
    assert storage.sweep(("",)) == 1


def test_a_sweep_removes_an_upload_whose_parts_have_no_md5(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Paginator:
        def paginate(self, **_: Any) -> list[dict[str, Any]]:
            return [{"Parts": [{"ETag": '"opaque"'}]}]

    storage.write("a", b"old")
    _begin_upload(storage, "a")
    monkeypatch.setattr(storage.client, "get_paginator", lambda _: Paginator())
    assert storage.sweep(("",)) == 1
    assert storage.read("a") == b"old"


@pytest.mark.usefixtures("real_s3")
def test_a_sweep_leaves_the_uploads_of_others_for_a_day(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("compacted/trades/a", "compacted/trades2/b", "raw/c"):
        _begin_upload(storage, path)
    assert storage.sweep() == 0
    assert storage.sweep(("compacted/trades/",)) == 1
    assert sorted(_unfinished(storage)) == ["compacted/trades2/b", "raw/c"]

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(UTC) + timedelta(days=1, minutes=1)

    monkeypatch.setattr(s3, "datetime", Tomorrow)
    assert storage.sweep() == 2
    assert _unfinished(storage) == []


def test_a_sweep_of_the_whole_lake_stays_inside_it(s3_lake: Lake, storage: S3Storage) -> None:
    beside = S3Storage(f"{s3_lake.root}-2")
    _begin_upload(storage, "a")
    _begin_upload(beside, "b")
    assert storage.sweep(("",)) == 1
    assert _unfinished(beside) == ["b"]
    assert beside.sweep(("",)) == 1


@pytest.mark.usefixtures("real_s3")
def test_a_sweep_finds_more_uploads_than_one_answer_holds(storage: S3Storage) -> None:
    client, pages = storage.client, []
    list_uploads = client.list_multipart_uploads

    def list_two_at_a_time(**request: Any) -> Any:
        pages.append(request)
        return list_uploads(**request, MaxUploads=2)

    client.list_multipart_uploads = list_two_at_a_time
    for number in range(5):
        _begin_upload(storage, f"raw/{number}")
    assert storage.sweep(("raw",)) == 5
    assert len(pages) == 3


# Roots and keys


def test_a_lake_can_be_a_whole_bucket(s3_lake: Lake, storage: S3Storage) -> None:
    bucket = f"whole-{uuid.uuid4().hex[:12]}"
    storage.client.create_bucket(Bucket=bucket)
    for root in (f"s3://{bucket}", f"s3://{bucket}/"):
        whole = open_storage(root)
        whole.write("raw/a", b"1")
        assert whole.url("raw/a") == f"s3://{bucket}/raw/a"
        assert [entry.path for entry in whole.entries("")] == ["raw/a"]
        assert [entry.path for entry in whole.entries("raw")] == ["raw/a"]
        assert whole.sweep(("",)) == 0


def test_the_mark_of_an_empty_folder_is_no_object(storage: S3Storage) -> None:
    key = storage.url("raw/").removeprefix(f"s3://{BUCKET}/")
    storage.client.put_object(Bucket=BUCKET, Key=key, Body=b"")
    storage.write("raw/a", b"1")
    assert [entry.path for entry in storage.entries("raw")] == ["raw/a"]


def test_requester_pays_is_said_with_every_request_that_reads(s3_lake: Lake) -> None:
    storage = S3Storage(s3_lake.root, requester_pays=True)
    storage.write("a", b"1")
    said = []

    def hear(params: dict[str, Any], **kwargs: Any) -> None:
        said.append(params["headers"].get("x-amz-request-payer"))

    storage.client.meta.events.register("before-call.s3.*", hear)
    storage.read("a")
    storage.find("a")
    list(storage.entries(""))
    assert said == ["requester"] * 3


# Errors that say what to do


def _errors(storage: S3Storage, tmp_path: Path) -> dict[str, str]:
    """Return what each operation says when it fails."""
    (tmp_path / "staged").write_bytes(b"1")
    operations: dict[str, Callable[[], object]] = {
        "read": lambda: storage.read("raw/a"),
        "find": lambda: storage.find("raw/a"),
        "list": lambda: list(storage.entries("raw")),
        "write": lambda: storage.write("raw/a", b"1"),
        "publish": lambda: storage.publish(tmp_path / "staged", "raw/a"),
        "create": lambda: storage.create("raw/a", b"1"),
        "delete": lambda: storage.delete("raw/a"),
        "sweep": storage.sweep,
    }
    said = {}
    for name, operation in operations.items():
        with pytest.raises(LakeError) as caught:
            operation()
        said[name] = str(caught.value)
        assert caught.value.__suppress_context__, "a traceback would show the request"
    assert (tmp_path / "staged").exists(), "only a publish that worked uses its file up"
    return said


@pytest.mark.usefixtures("real_s3")
@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_SECRET_ACCESS_KEY", "notthesecret"), ("AWS_ACCESS_KEY_ID", "notthekey")],
)
def test_wrong_credentials_are_told_apart_and_never_shown(
    s3_lake: Lake,
    s3_server: S3Server,
    storage: S3Storage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
    name: str,
    value: str,
) -> None:
    storage.write("raw/a", b"old")
    with monkeypatch.context() as patch:
        patch.setenv(name, value)
        said = _errors(S3Storage(s3_lake.root), tmp_path)
    for text in said.values():
        assert s3_lake.root in text
        assert "AWS credentials" in text
        for secret in (s3_server.access_key, s3_server.secret_key, value):
            assert secret not in text
    assert waits == [], "asking again with the same credentials cannot help"
    assert storage.read("raw/a") == b"old"


@pytest.mark.parametrize("lack", ["all", "half"])
def test_missing_credentials_are_asked_for(
    s3_lake: Lake, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    if lack == "all":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(LakeError, match=r"No AWS credentials to write s3://.*Set AWS_PROFILE"):
        S3Storage(s3_lake.root).write("a", b"1")


def test_a_missing_bucket_is_named(s3_lake: Lake) -> None:
    storage = S3Storage("s3://there-is-no-such-bucket/lake")
    for operation in (
        lambda: storage.write("a", b"1"),
        lambda: storage.create("a", b"1"),
        lambda: storage.read("a"),
        lambda: list(storage.entries("")),
        storage.sweep,
    ):
        with pytest.raises(LakeError, match=r"'there-is-no-such-bucket' does not exist. Create it"):
            operation()


def test_a_profile_that_is_not_there_is_named(
    s3_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(LakeError, match=r"\(nobody\) could not be found.*AWS_PROFILE"):
        S3Storage(s3_lake.root).read("a")


def test_an_endpoint_without_a_scheme_is_explained(
    s3_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:7480")
    with pytest.raises(LakeError, match=r"localhost:7480.*Write AWS_ENDPOINT_URL with its scheme"):
        S3Storage(s3_lake.root).read("a")


def test_an_endpoint_where_nobody_listens_is_given_up_on_soon(
    s3_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    storage = S3Storage(s3_lake.root)
    began = time.monotonic()
    for verb, said in _errors(storage, tmp_path).items():
        assert s3_lake.root in said, verb
        assert "could not be reached" in said
        assert "http://127.0.0.1:1" in said
        assert "AWS_ENDPOINT_URL" in said
    assert time.monotonic() - began < 5
    operations = 8
    assert len(waits) == operations * (s3.ATTEMPTS - 1)
    for start in range(0, len(waits), s3.ATTEMPTS - 1):
        assert sum(waits[start : start + s3.ATTEMPTS - 1]) <= 31


def test_an_endpoint_that_swallows_connections_is_given_up_on_within_a_minute_or_so(
    storage: S3Storage,
) -> None:
    config = storage.client.meta.config
    attempts = config.retries["total_max_attempts"]
    longest_waits = sum(min(2**number, 20) for number in range(attempts - 1))
    assert attempts * config.connect_timeout + longest_waits <= 75
