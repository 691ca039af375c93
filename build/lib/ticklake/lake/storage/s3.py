"""A lake in an S3 bucket, or in any store that speaks S3."""

import hashlib
import io
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from ticklake.lake.errors import LakeError
from ticklake.lake.storage.base import Entry
from ticklake.lake.storage.staging import scratch_folder, sweep_scratch

MULTIPART_ABOVE = 256 << 20  # bytes; below, one PUT whose ETag is the MD5 of the content
PART_SIZE = 64 << 20
ATTEMPTS = 8
CUT_BODY = (ResponseStreamingError, IncompleteReadError, ReadTimeoutError, ConnectionClosedError)


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

    def url(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def entries(self, prefix: str) -> Iterator[Entry]:
        below = self._key(prefix.strip("/")).rstrip("/")
        request = {"Bucket": self.bucket, "Prefix": f"{below}/" if below else "", **self._payer}
        while True:
            page = self._call("list", prefix, "list_objects_v2", **request)
            for item in page.get("Contents", ()):
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
            return self._call("read", path, "get_object", **request)

        return cast(BinaryIO, io.BufferedReader(_ResumingBody(start_at), buffer_size=1 << 20))

    def write(self, path: str, data: bytes) -> Entry:
        return self._put(path, data, hashlib.md5(data, usedforsecurity=False).digest())

    def publish(self, staged: Path, path: str) -> Entry:
        size = staged.stat().st_size
        if size > MULTIPART_ABOVE:
            entry = self._put_in_parts(path, staged)
        else:
            with staged.open("rb") as file:
                md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
                file.seek(0)
                entry = self._put(path, file, md5.digest())
        staged.unlink()
        return entry

    def create(self, path: str, data: bytes) -> bool:
        try:
            self._call(
                "write", path, "put_object", **self._object(path), Body=data, IfNoneMatch="*"
            )
        except FileExistsError:
            # A retried request may find the object that its own first try made.
            return self.read(path) == data
        return True

    def delete(self, path: str) -> None:
        self._call("delete", path, "delete_object", **self._object(path))

    def staging(self) -> AbstractContextManager[Path]:
        return scratch_folder(self._scratch)

    def sweep(self, prefixes: tuple[str, ...] = ()) -> int:
        removed = sweep_scratch(self._scratch)
        owned = tuple(f"{self._key(prefix)}/" for prefix in prefixes)
        day_old = datetime.now(UTC) - timedelta(days=1)
        request = {"Bucket": self.bucket, "Prefix": self._prefix}
        for upload in self._call("list", "", "list_multipart_uploads", **request).get(
            "Uploads", ()
        ):
            if upload["Key"].startswith(owned) or upload["Initiated"] < day_old:
                self._abort(upload["Key"], upload["UploadId"])
                removed += 1
        return removed

    @cached_property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            config=Config(
                retries={"mode": "standard", "max_attempts": ATTEMPTS},
                max_pool_connections=32,
                # Stores other than AWS do not know the newer checksums: we send Content-MD5.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @property
    def _scratch(self) -> Path:
        return Path(tempfile.gettempdir()) / "ticklake-staging"

    def _key(self, path: str) -> str:
        return self._prefix + path

    def _object(self, path: str) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self._key(path)}

    def _put(self, path: str, body: Any, md5: bytes) -> Entry:
        sent = self._call(
            "write",
            path,
            "put_object",
            **self._object(path),
            Body=body,
            ContentMD5=b64encode(md5).decode(),
        )
        size = len(body) if isinstance(body, bytes) else body.seek(0, io.SEEK_END)
        return Entry(path, size, sent["ETag"].strip('"'))

    def _put_in_parts(self, path: str, staged: Path) -> Entry:
        target = self._object(path)
        upload = self._call("write", path, "create_multipart_upload", **target)["UploadId"]
        try:
            parts = []
            with staged.open("rb") as file:
                while data := file.read(PART_SIZE):
                    number = len(parts) + 1
                    md5 = hashlib.md5(data, usedforsecurity=False).digest()
                    sent = self._call(
                        "write",
                        path,
                        "upload_part",
                        **target,
                        UploadId=upload,
                        PartNumber=number,
                        Body=data,
                        ContentMD5=b64encode(md5).decode(),
                    )
                    parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            self._call(
                "write",
                path,
                "complete_multipart_upload",
                **target,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
            )
        except BaseException:
            self._abort(target["Key"], upload)
            raise
        entry = self.find(path)  # some stores tell the ETag of such an object only when asked
        if entry is None or entry.size != staged.stat().st_size:
            raise LakeError(f"{self.url(path)} is not what was uploaded. Run the command again.")
        return entry

    def _abort(self, key: str, upload: str) -> None:
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        except (BotoCoreError, ClientError):
            pass  # the next sweep finds it

    def _call(self, verb: str, path: str, operation: str, **request: Any) -> Any:
        """Make one request; turn what goes wrong into an error that says what to do."""
        try:
            return getattr(self.client, operation)(**request)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = error.response.get("Error", {}).get("Code", "unknown")
            if code in ("NoSuchKey", "404") or (status == 404 and operation == "head_object"):
                raise FileNotFoundError(self.url(path)) from None
            if status in (409, 412) and "IfNoneMatch" in request:
                raise FileExistsError(self.url(path)) from None
            if code == "NoSuchBucket":
                raise LakeError(
                    f"Bucket {self.bucket!r} does not exist. Create it, or correct {self.root}."
                ) from None
            if status in (401, 403) or code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
                raise LakeError(
                    f"S3 refused to {verb} {self.url(path)} ({code}). "
                    "Check the AWS credentials in use (AWS_PROFILE, AWS_ACCESS_KEY_ID, the "
                    "machine's role) and that they may do this to the bucket."
                ) from None
            raise LakeError(
                f"S3 failed to {verb} {self.url(path)} after {ATTEMPTS} attempts ({code}, HTTP "
                f"{status}). Run the command again; what is done is kept."
            ) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise LakeError(
                f"No AWS credentials to {verb} {self.url(path)}. Set AWS_PROFILE, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them."
            ) from None
        except BotoCoreError as error:
            raise LakeError(
                f"S3 could not be reached to {verb} {self.url(path)} ({type(error).__name__} at "
                f"{self._endpoint()}). Check AWS_ENDPOINT_URL and the network, then run again."
            ) from None

    def _endpoint(self) -> str:
        try:
            return str(self.client.meta.endpoint_url)
        except BotoCoreError:
            return "an unknown endpoint"


class _ResumingBody(io.RawIOBase):
    """The body of a GET that asks for the rest when the connection breaks half way."""

    def __init__(self, start_at: Callable[[int, str | None], dict[str, Any]]) -> None:
        self._start_at = start_at
        self._offset = 0
        response = start_at(0, None)
        self._etag, self._body = response["ETag"], response["Body"]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        for attempt in range(ATTEMPTS):
            try:
                data = self._body.read(len(buffer))
                break
            except CUT_BODY:
                if attempt == ATTEMPTS - 1:
                    raise LakeError(
                        f"The connection broke {ATTEMPTS} times at byte {self._offset} of an S3 "
                        "object. Check the network, then run the command again."
                    ) from None
                self._body.close()
                self._body = self._start_at(self._offset, self._etag)["Body"]
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
