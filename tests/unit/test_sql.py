"""`ticklake sql` says in one line why it cannot answer."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from ticklake.cli import main

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"


def test_a_database_that_a_build_holds_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "local.duckdb"
    duckdb.connect(str(database)).close()
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path))
    monkeypatch.setenv("TICKLAKE_DB", str(database))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as build:
        assert build.stdout is not None
        assert build.stdout.readline() == b"held\n"
        result = CliRunner().invoke(main, ["sql", "select 1"], catch_exceptions=False)
        build.communicate(b"\n")
    assert result.exit_code == 1
    assert f"{database} is used by another process" in result.output
    assert f"(PID {build.pid})" in result.output
    assert CliRunner().invoke(main, ["sql", "select 41 + 1 as x"]).output.count("42") == 1


@pytest.mark.parametrize(
    ("content", "message"), [(None, "There is no DuckDB file"), (b"cut", "is not a DuckDB file")]
)
def test_a_database_that_is_missing_or_corrupt_is_an_error_with_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    database = tmp_path / "local.duckdb"
    if content is not None:
        database.write_bytes(content * 1000)
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path))
    monkeypatch.setenv("TICKLAKE_DB", str(database))
    result = CliRunner().invoke(main, ["sql", "select 1"], catch_exceptions=False)
    assert result.exit_code == 1
    assert message in result.output
    assert "`dbt run --select config.materialized:view`" in result.output
    assert result.output.count("\n") == 1
