"""Source objects on a web server."""

import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import BinaryIO, Final, cast
from urllib.parse import urlsplit

import requests

from loaders.source import SourceObject
from ticklake.lake.errors import LakeError

ATTEMPTS: Final = 5
TIMEOUT_S: Final = 60
HTTP_THREADS: Final = 8


class HttpSource:
    """A web server. An object that answers 404 does not exist; other failures are tried again."""

    def __init__(self, location: str) -> None:
        self._base = location.rstrip("/")
        parts = urlsplit(self._base)
        host = parts.netloc.rpartition("@")[2]
        self.location = f"{parts.scheme}://{host}{parts.path}"
        if parts.query or parts.fragment:
            raise LakeError(
                f"The URL {self.location} has a query, and the names of objects cannot follow one. "
                "Give the URL of a folder."
            )

    def survey(self, paths: Iterable[str]) -> dict[str, SourceObject]:
        with ThreadPoolExecutor(HTTP_THREADS) as pool:
            found = pool.map(self._look_up, paths)
            return {entry.path: entry for entry in found if entry is not None}

    def open(self, path: str) -> BinaryIO:
        """Download the whole object first, so that a broken connection can be tried again."""
        for attempt in range(ATTEMPTS):
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the caller
            try:
                with self._request("GET", path) as response:
                    for piece in response.iter_content(1 << 20):
                        file.write(piece)
                file.seek(0)
                return cast(BinaryIO, file)
            except requests.RequestException:
                file.close()
                self._pause(attempt, path)
            except BaseException:
                file.close()
                raise
        raise AssertionError  # the last pause raises

    def listing(self, folder: str) -> list[str]:
        raise LakeError(
            f"{self.location}/{folder} is on a web server, which cannot list what it has. Name "
            "what is wanted (--coins), or give an s3:// URL or a directory."
        )

    def _look_up(self, path: str) -> SourceObject | None:
        try:
            with self._request("HEAD", path) as response:
                headers = response.headers
        except FileNotFoundError:
            return None
        size = int(headers.get("Content-Length", -1))
        tag = headers.get("ETag") or headers.get("Last-Modified") or ""
        return SourceObject(path, size, tag.strip('"'))

    def _request(self, method: str, path: str) -> requests.Response:
        url = f"{self._base}/{path}"
        for attempt in range(ATTEMPTS):
            try:
                response = self._session.request(
                    method,
                    url,
                    stream=True,
                    timeout=TIMEOUT_S,
                    allow_redirects=True,
                    headers={"Accept-Encoding": "identity"},
                )
            except requests.RequestException:
                self._pause(attempt, path)
                continue
            if response.status_code == 404:
                response.close()
                raise FileNotFoundError(f"{self.location}/{path}")
            if response.ok:
                return response
            response.close()
            if response.status_code < 500 and response.status_code != 429:
                raise LakeError(
                    f"{self.location}/{path} answered HTTP {response.status_code}. "
                    "Check the URL, and whether it may be read without signing in."
                )
            self._pause(attempt, path)
        raise AssertionError  # the last pause raises

    def _pause(self, attempt: int, path: str) -> None:
        if attempt == ATTEMPTS - 1:
            raise LakeError(
                f"{self.location}/{path} could not be read in {ATTEMPTS} attempts. Check the URL "
                "and the network, then run the command again; what is done is kept."
            )
        time.sleep(0.5 * 2**attempt)

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=HTTP_THREADS))
        return session
