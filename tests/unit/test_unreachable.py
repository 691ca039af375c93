"""A store that is not there, or accepts and never answers, ends a command in one sentence."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from ticklake import read
from ticklake.cli import main
from ticklake.lake.errors import LakeError


@pytest.fixture(params=["silent", "closed"])
def dead(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
) -> Iterator[None]:
    """A lake on a store that does not answer. No retry waits; `waits` has how long each would."""
    monkeypatch.setattr("ticklake.lake.storage.s3.ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if request.param == "silent" else 1
        settings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
            "LAKE_ROOT": "s3://bucket/lake",
            "TICKLAKE_DB": str(tmp_path / "s3.duckdb"),
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        duckdb.connect(settings["TICKLAKE_DB"]).close()
        yield


@pytest.mark.parametrize("command", [["sql", "select 1"], ["status"], ["verify"]])
def test_a_command_says_that_the_store_cannot_be_reached(dead: None, command: list[str]) -> None:
    began = time.monotonic()
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "S3 could not be reached to read s3://bucket/lake" in result.output
    assert time.monotonic() - began < 60


def test_reading_says_that_the_store_cannot_be_reached(dead: None) -> None:
    with pytest.raises(LakeError, match="S3 could not be reached"):
        read("trades")
