"""A lake in an S3 bucket, or in any store that speaks S3."""

import hashlib
import io
import os
import shutil
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from urllib3.exceptions import HTTPError

from ticklake.lake.errors import LakeError, ReadOnlyError
from ticklake.lake.storage.base import ANYTHING, Entry
from ticklake.lake.storage.staging import scratch_folder, scratch_root, sweep_scratch

MULTIPART_ABOVE = 256 << 20  # bytes; below, one PUT whose ETag is the MD5 of the content
PART_SIZE = 64 << 20
# Between six attempts lie at most 31 s, enough for a store that asks to slow down. A store that
# cannot be reached at all is given up on after a minute.
ATTEMPTS = 6
CONNECT_SECONDS = 5
READ_SECONDS = 60
ANSWER_SECONDS = 10  # for a first answer of any kind
CUT_BODY = (ResponseStreamingError, IncompleteReadError, HTTPClientError, HTTPError)
UNREACHED = (NoConnectionError, HTTPClientError)
REFUSALS = ("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch")
CREATOR = "ticklake-creator"
BLOCK = 1 << 20


class S3Storage:
    """Objects are keys below `s3://bucket/prefix`, written whole.

    Credentials, region and endpoint come from the standard AWS chain: environment (with
    `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3`), profile, or the machine's role.
    """

    tag_is_content = True

    def __init__(self, root: str, *, requester_pays: bool = False) -> None:
        self.root = root.rstrip("/")
        bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        if not bucket:
            raise LakeError(f"{root!r} names no bucket. Write it as s3://bucket/prefix.")
        self.bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._payer = {"RequestPayer": "requester"} if requester_pays else {}
        self._client: tuple[int, Any] | None = None
        self.fence: Callable[[], AbstractContextManager[None]] = nullcontext

    def __getstate__(self) -> dict[str, Any]:
        # Neither a client nor a lease can go to another process.
        return self.__dict__ | {"_client": None, "fence": nullcontext}

    def __copy__(self) -> "S3Storage":
        copied = object.__new__(S3Storage)
        copied.__dict__ |= self.__dict__  # one client for both
        return copied

    def url(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def entries(self, prefix: str) -> Iterator[Entry]:
        request = {"Bucket": self.bucket, "Prefix": self._below(prefix), **self._payer}
        while True:
            page = self._call("list", prefix, "list_objects_v2", **request)
            for item in page.get("Contents", ()):
                if item["Key"].endswith("/"):  # consoles mark an empty folder like this
                    continue
                path = item["Key"].removeprefix(self._prefix)
                yield Entry(path, item["Size"], item["ETag"].strip('"'))
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def find(self, path: str) -> Entry | None:
        try:
            head = self._call("read", path, "head_object", **self._object(path), **self._payer)
        except FileNotFoundError:
            return None
        return Entry(path, head["ContentLength"], head["ETag"].strip('"'))

    def read(self, path: str) -> bytes:
        with self.open(path) as stream:
            return stream.read()

    def open(self, path: str) -> BinaryIO:
        def start_at(offset: int, etag: str | None) -> dict[str, Any]:
            request = self._object(path) | self._payer
            if offset:
                request["Range"] = f"bytes={offset}-"
            if etag:
                request["IfMatch"] = etag
            response: dict[str, Any] = self._call("read", path, "get_object", **request)
            return response

        body = _ResumingBody(self.url(path), start_at)
        return cast(BinaryIO, io.BufferedReader(body, buffer_size=BLOCK))

    def local_file(self, path: str, folder: Path) -> Path:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with self.open(path) as stream, file.open("wb") as copy:
            shutil.copyfileobj(stream, copy, BLOCK)
        return file

    def read_end(self, path: str, length: int) -> bytes:
        request = self._object(path) | {"Range": f"bytes=-{length}"} | self._payer
        for attempt in range(ATTEMPTS):
            try:
                data: bytes = self._call("read", path, "get_object", **request)["Body"].read()
                return data[-length:]  # a store may ignore the range
            except EOFError:  # an empty object has no last bytes
                return b""
            except CUT_BODY:
                if attempt < ATTEMPTS - 1:
                    time.sleep(_pause(attempt))
        raise LakeError(
            f"The connection broke {ATTEMPTS} times at the end of {self.url(path)}. "
            "Check the network, then run the command again."
        )

    def write(self, path: str, data: bytes, *, replaces: str | None = ANYTHING) -> Entry:
        return self._replace(path, data, _md5(data), replaces)

    def publish(self, staged: Path, path: str, *, replaces: str | None = ANYTHING) -> Entry:
        size = staged.stat().st_size
        if size > MULTIPART_ABOVE:
            entry = self._put_in_parts(path, staged)
        else:
            with staged.open("rb") as file:
                md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
                entry = self._replace(path, file, md5.digest(), replaces)
        staged.unlink()
        return entry

    def _replace(self, path: str, body: Any, md5: bytes, replaces: str | None) -> Entry:
        """Send a whole object.

        A writer may be paused between a look at its lease and the request. If another one has
        taken over and replaced the object meanwhile, the store refuses the request, and the writer
        looks at its lease again.
        """
        for attempt in range(ATTEMPTS):
            condition = (
                {} if replaces == ANYTHING
                else {"IfNoneMatch": "*"} if replaces is None
                else {"IfMatch": f'"{replaces}"'}
            )  # fmt: skip
            if not isinstance(body, bytes):
                body.seek(0)
            try:
                with self.fence():
                    return self._put(path, body, md5, **condition)
            except (FileExistsError, FileNotFoundError):
                found = self.find(path)
                if found is not None and found.tag == md5.hex():
                    return found  # our own first try, whose answer was lost
                tag = found.tag if found else None
                # A store that refuses what is as expected does not know such conditions.
                replaces = ANYTHING if tag == replaces else tag
            time.sleep(_pause(attempt))
        raise LakeError(
            f"{self.url(path)} is being replaced by other writers all the time. "
            "End them, then run the command again."
        )

    def create(self, path: str, data: bytes) -> bool:
        creator = uuid.uuid4().hex
        for attempt in range(ATTEMPTS):
            try:
                with self.fence():
                    self._put(path, data, _md5(data), IfNoneMatch="*", Metadata={CREATOR: creator})
                return True
            except FileExistsError:
                # Perhaps our own first try made it, and only the answer to that was lost.
                with suppress(FileNotFoundError):
                    found = self._call("read", path, "head_object", **self._object(path))
                    return bool(found["Metadata"].get(CREATOR) == creator)
            # Another caller's object is not there yet, or no longer there.
            time.sleep(_pause(attempt))
        raise LakeError(
            f"{self.url(path)} is being made and removed by other writers all the time. "
            "End them, then run the command again."
        )

    def delete(self, path: str) -> None:
        with suppress(FileNotFoundError), self.fence():
            self._call("delete", path, "delete_object", **self._object(path))

    def lock(
        self, path: str, *, shared: bool, remove: bool = False
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def staging(self) -> AbstractContextManager[Path]:
        return scratch_folder(scratch_root())

    def sweep(self, prefixes: tuple[str, ...] = ()) -> int:
        removed = sweep_scratch(scratch_root())
        owned = tuple(self._below(prefix) for prefix in prefixes)
        day_old = datetime.now(UTC) - timedelta(days=1)
        for upload in list(self._unfinished_uploads()):
            is_left = upload["Key"].startswith(owned) or upload["Initiated"] < day_old
            if is_left and not self._is_done(upload["Key"], upload["UploadId"]):
                removed += self._abort(upload["Key"], upload["UploadId"])
        return removed

    @property
    def client(self) -> Any:
        """The boto3 client, one a process: a forked one must not share its connections."""
        if self._client is None or self._client[0] != os.getpid():
            self._client = os.getpid(), self._new_client()
        return self._client[1]

    def _new_client(self, special: Config | None = None) -> Any:
        config = Config(
            # The mode called standard waits a second in all for a fault that is no SlowDown, and
            # tries nothing again once a client has seen some dozens of faults.
            retries={"mode": "legacy", "total_max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=32,
            # Stores other than AWS do not know the newer checksums: we send Content-MD5.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ).merge(special or Config())
        try:
            # A session of our own: the shared one is not safe to use from several threads.
            return boto3.session.Session().client("s3", config=config)
        except ValueError as error:
            raise LakeError(
                f"{self.root} cannot be reached: {error}. Write AWS_ENDPOINT_URL with its scheme, "
                "as in https://s3.example.com."
            ) from None

    def reach(self) -> None:
        """Make sure that the store answers at all, be it with a refusal.

        Raises LakeError within half a minute; other requests are patient with a store that is slow.
        """
        quick = Config(connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS)
        try:
            self._new_client(
                quick.merge(Config(retries={"total_max_attempts": 2}))
            ).list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1, **self._payer)
        except UNREACHED as error:
            raise self._unreached("read", "", error) from None
        except (BotoCoreError, ClientError):
            pass  # what comes next explains it

    def _unreached(self, verb: str, path: str, error: Exception) -> LakeError:
        return LakeError(
            f"S3 could not be reached to {verb} {self.url(path)} ({type(error).__name__} at "
            f"{self._endpoint()}). Check AWS_ENDPOINT_URL and the network, then run again."
        )

    def _key(self, path: str) -> str:
        return self._prefix + path

    def _below(self, folder: str) -> str:
        """Return what the keys of everything in a folder begin with."""
        folder = folder.strip("/")
        return self._key(f"{folder}/" if folder else "")

    def _object(self, path: str) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self._key(path)}

    def _put(self, path: str, body: Any, md5: bytes, **options: Any) -> Entry:
        sent = self._call(
            "write",
            path,
            "put_object",
            **self._object(path),
            Body=body,
            ContentMD5=b64encode(md5).decode(),
            **options,
        )
        size = len(body) if isinstance(body, bytes) else body.seek(0, io.SEEK_END)
        return Entry(path, size, sent["ETag"].strip('"'))

    def _put_in_parts(self, path: str, staged: Path) -> Entry:
        target = self._object(path)
        upload = self._call("write", path, "create_multipart_upload", **target)["UploadId"]
        try:
            digests = []
            parts = []
            with staged.open("rb") as file:
                while data := file.read(PART_SIZE):
                    digests.append(_md5(data))
                    part = {"UploadId": upload, "PartNumber": len(digests)}
                    sent = self._call(
                        "write",
                        path,
                        "upload_part",
                        **target,
                        **part,
                        Body=data,
                        ContentMD5=b64encode(digests[-1]).decode(),
                    )
                    parts.append({"PartNumber": len(digests), "ETag": sent["ETag"]})
            try:
                with self.fence():
                    self._call(
                        "write",
                        path,
                        "complete_multipart_upload",
                        **target,
                        UploadId=upload,
                        MultipartUpload={"Parts": parts},
                    )
            except LakeError:
                # Done, but the answer was lost: a second try then finds no such upload.
                entry = self.find(path)
                if entry and entry.tag == _tag_of_parts(digests):
                    return entry
                raise
        except BaseException:
            self._abort(target["Key"], upload)
            raise
        entry = self.find(path)  # some stores tell the ETag of such an object only when asked
        if entry is None or entry.size != staged.stat().st_size:
            raise LakeError(f"{self.url(path)} is not what was uploaded. Run the command again.")
        return entry

    def _unfinished_uploads(self) -> Iterator[dict[str, Any]]:
        request = {"Bucket": self.bucket, "Prefix": self._prefix}
        while True:
            page = self._call("list", "", "list_multipart_uploads", **request)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            request["KeyMarker"] = page["NextKeyMarker"]
            request["UploadIdMarker"] = page["NextUploadIdMarker"]

    def _is_done(self, key: str, upload: str) -> bool:
        """Say whether the object at a key is what an upload sent.

        Some stores list an upload for a while after it is done; to abort it then would take the
        bytes of the object with it.
        """
        entry = self.find(key.removeprefix(self._prefix))
        if entry is None:
            return False
        pages = self.client.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key=key, UploadId=upload
        )
        try:
            parts = [part["ETag"].strip('"') for page in pages for part in page.get("Parts", ())]
            return bool(parts) and entry.tag == _tag_of_parts(map(bytes.fromhex, parts))
        except (BotoCoreError, ClientError, ValueError):  # parts that we may not see, or no MD5s
            return False

    def _abort(self, key: str, upload: str) -> bool:
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        except (BotoCoreError, ClientError):
            return False  # the next sweep finds it
        return True

    def _call(self, verb: str, path: str, operation: str, **request: Any) -> Any:
        """Make one request; turn what goes wrong into an error that says what to do."""
        try:
            return getattr(self.client, operation)(**request)
        except ClientError as error:
            raise self._explained(error, verb, path, operation, request) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise LakeError(
                f"No AWS credentials to {verb} {self.url(path)}. Set AWS_PROFILE, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them."
            ) from None
        except UNREACHED as error:
            raise self._unreached(verb, path, error) from None
        except BotoCoreError as error:
            raise LakeError(
                f"The AWS settings do not allow to {verb} {self.url(path)}: {error} "
                "Correct them (AWS_PROFILE, AWS_REGION, ~/.aws/config), then run again."
            ) from None

    def _explained(
        self, error: ClientError, verb: str, path: str, operation: str, request: dict[str, Any]
    ) -> Exception:
        """Return what to raise for an answer that is an error."""
        about = error.response.get("ResponseMetadata", {})
        status, attempts = about.get("HTTPStatusCode"), about.get("RetryAttempts", 0) + 1
        code = error.response.get("Error", {}).get("Code", "unknown")
        place = self.url(path)
        if code in ("NoSuchKey", "404") or (status == 404 and operation == "head_object"):
            return FileNotFoundError(place)
        if status in (409, 412) and operation == "put_object":
            return FileExistsError(place)
        if status == 412 and "IfMatch" in request:
            return LakeError(f"{place} was replaced while it was being read. Run again.")
        if code == "InvalidRange":
            return EOFError(place)
        if code == "NoSuchBucket":
            return LakeError(
                f"Bucket {self.bucket!r} does not exist. Create it, or correct {self.root}."
            )
        if status in (401, 403) or code in REFUSALS:
            kind = LakeError if verb in ("read", "list") else ReadOnlyError
            return kind(
                f"S3 refused to {verb} {place} ({code}). "
                "Check the AWS credentials in use (AWS_PROFILE, AWS_ACCESS_KEY_ID, the "
                "machine's role) and that they may do this to the bucket."
            )
        return LakeError(
            f"S3 failed to {verb} {place} ({code}, HTTP {status}, attempts: {attempts}). "
            "Run the command again; what is done is kept."
        )

    def _endpoint(self) -> str:
        try:
            return str(self.client.meta.endpoint_url)
        except BotoCoreError:
            return "an unknown endpoint"


class _ResumingBody(io.RawIOBase):
    """The body of a GET that asks for the rest when the connection breaks half way."""

    def __init__(self, url: str, start_at: Callable[[int, str | None], dict[str, Any]]) -> None:
        self._url, self._start_at = url, start_at
        self._offset = 0
        response = start_at(0, None)
        self._etag, self._body = response["ETag"], response["Body"]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        for attempt in range(ATTEMPTS):
            try:
                # Less at a time after a break, so that even a line that breaks often gets on.
                data = self._body.read(max(1, len(buffer) >> 2 * attempt))
                break
            except CUT_BODY:
                if attempt == ATTEMPTS - 1:
                    raise LakeError(
                        f"The connection broke {ATTEMPTS} times at byte {self._offset} of "
                        f"{self._url}. Check the network, then run the command again."
                    ) from None
                time.sleep(_pause(attempt))
                self._body.close()
                self._body = self._start_at(self._offset, self._etag)["Body"]
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def readall(self) -> bytes:
        block = bytearray(BLOCK)  # the inherited one asks for a few kB at a time
        whole = bytearray()
        while size := self.readinto(block):
            whole += memoryview(block)[:size]
        return bytes(whole)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _tag_of_parts(digests: Iterable[bytes]) -> str:
    """Return the ETag of an object that was uploaded in parts with these MD5s."""
    listed = list(digests)
    return f"{_md5(b''.join(listed)).hex()}-{len(listed)}"


def _pause(attempt: int) -> float:
    """Return how many seconds to wait after an attempt: 0.1, 0.2, 0.4 ..."""
    return 0.1 * 2.0**attempt
