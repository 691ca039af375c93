"""The lake of odd data: landed and built once, whatever number of processes run the tests."""

import fcntl
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.integration.odd import sources
from tests.integration.test_end_to_end import Operator
from ticklake.lake.connection import prepare


@dataclass(frozen=True)
class OddLake:
    """The lake, and what the commands that made it wrote."""

    operator: Operator
    landed: tuple[str, ...]
    """The output of each `ticklake land` command, in order."""
    build: str
    """The output of `dbt build`."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query over the views. Times are UTC."""
        with duckdb.connect(str(self.operator.database), read_only=True) as connection:
            prepare(connection, self.operator.storage)
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> OddLake:
    """A lake of odd but legitimate data. Its build is green: the exit code of `dbt build` is 0."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "odd"
    folder.mkdir(exist_ok=True)
    outputs = folder / "outputs.json"
    operator = Operator(str(folder / "lake"), {}, folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outputs.exists():
            landed = _land(operator, folder / "sources")
            outputs.write_text(json.dumps({"landed": landed, "build": operator.build()}))
    content = json.loads(outputs.read_text())
    return OddLake(operator, tuple(content["landed"]), content["build"])


def _land(operator: Operator, folder: Path) -> list[str]:
    return [
        operator.run("ticklake", "land", *each.arguments, "--workers", "1", expect=each.expect)
        for each in sources(folder)
    ]
