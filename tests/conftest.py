"""Fixtures for the whole suite: a lake in a local folder and the same lake on S3.

A test that takes `lake` runs twice. `pytest -m 'not s3'` leaves the S3 half out.
"""

import multiprocessing.util
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from hypothesis import settings

from tests.s3.faults import FaultProxy
from tests.s3.launch import describe, start_server
from tests.s3.server import S3Server
from ticklake.lake.connection import prepare
from ticklake.lake.storage import Storage, open_storage

# How long an example takes says little here: kernels compile when first called.
settings.register_profile("ticklake", deadline=None)
settings.load_profile("ticklake")

BUCKET = "ticklake-tests"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Lake:
    """An empty lake, and the environment in which every process finds it."""

    root: str
    env: dict[str, str]
    storage: Storage

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection that can read this lake."""
        connection = duckdb.connect()
        prepare(connection, self.storage)
        return connection


@dataclass(frozen=True)
class FaultyLake(Lake):
    """A lake on S3 behind a proxy that breaks what passes, as told by the test."""

    proxy: FaultProxy


def pytest_report_header() -> str:
    return describe()


@pytest.fixture(autouse=True, scope="session")
def bare_environment() -> Iterator[None]:
    """Take away what the machine says about AWS, lakes and proxies: the tests say it themselves."""
    multiprocessing.util.get_temp_dir()  # its own folder outlives the one below
    with (
        tempfile.TemporaryDirectory(prefix="tl-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Scratch folders of this process and its children: others must not sweep them.
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        for name in list(os.environ):
            if name.startswith(("AWS_", "LAKE_", "TICKLAKE_")) or name.lower() in PROXIES:
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        # Tests that build in this process replace parts of it: its one worker sees them.
        patch.setenv("TICKLAKE_WORKERS", "1")
        yield


@pytest.fixture(scope="session")
def s3_server(bare_environment: None) -> Iterator[S3Server]:
    """One S3 server for each process of the test run, with a bucket in it.

    Sharing one among the workers of pytest-xdist would save a second and cost a protocol for who
    starts and who ends it; this way a server that fails takes the tests of one worker along.
    """
    with start_server() as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def lake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake, once in a local folder and once on S3."""
    if request.param == "local":
        return _lake_at(str(tmp_path / "lake"), {}, monkeypatch)
    return request.getfixturevalue("s3_lake")  # type: ignore[no-any-return]


@pytest.fixture
def s3_lake(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake on S3, for tests about S3 alone."""
    return _lake_at(_fresh_root(), s3_server.env(), monkeypatch)


@pytest.fixture
def faulty_s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLake]:
    """An empty lake on S3, reached through a proxy that can break each request."""
    with FaultProxy(s3_server.endpoint) as proxy:
        lake = _lake_at(_fresh_root(), s3_server.env(proxy.endpoint), monkeypatch)
        yield FaultyLake(lake.root, lake.env, lake.storage, proxy)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no retry wait, and return how long each would have: the sum is what a user waits."""
    waited: list[float] = []
    for clock in ("botocore.endpoint.time", "ticklake.lake.storage.s3.time"):
        monkeypatch.setattr(clock, _Clock(waited.append))
    return waited


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real files of the venues, which are not part of this repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the real sample files in {SHARED_DATA}, which are not here")
    return SHARED_DATA


class _Clock:
    """Stands in for the module `time` where only `sleep` is used."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep


def _fresh_root() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/lake"


def _lake_at(root: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Lake:
    env = {"LAKE_ROOT": root, **settings}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return Lake(root, env, open_storage(root))
