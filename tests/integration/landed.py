"""Running `ticklake land`, and looking at what lies in the lake then."""

import hashlib
import json
from typing import Any

from click.testing import CliRunner, Result

from loaders import worker
from ticklake.cli import main

Lake = Any  # the fixture of tests/conftest.py


def land(*arguments: object, workers: int = 1) -> Result:
    """Run `ticklake land` in this process, in the lake of the environment."""
    worker._storage.cache_clear()
    try:
        command = ["land", *map(str, arguments), "--workers", str(workers)]
        return CliRunner().invoke(main, command)
    finally:
        worker._storage.cache_clear()


def rows(lake: Lake, channel: str, columns: str = "*", order: str = "all") -> list[Any]:
    """Return rows of a raw channel, ordered by `order`; times are UTC."""
    entries = lake.storage.entries(f"raw/{channel}")
    urls = sorted(lake.storage.url(entry.path) for entry in entries)
    if not urls:
        return []
    connection = lake.connect()
    connection.execute("set timezone = 'UTC'")
    query = f"select {columns} from read_parquet(?, hive_partitioning = true) order by {order}"
    return connection.execute(query, [urls]).fetchall()


def content(lake: Lake, prefix: str = "raw") -> dict[str, str]:
    """Return the hash of every object."""
    return {
        entry.path: hashlib.sha256(lake.storage.read(entry.path)).hexdigest()
        for entry in lake.storage.entries(prefix)
    }


def rejects(lake: Lake) -> list[dict[str, Any]]:
    """Return the lines and rows that were set aside."""
    paths = sorted(entry.path for entry in lake.storage.entries("quarantine"))
    return [
        json.loads(line)
        for path in paths
        if path.endswith("rejected.jsonl")
        for line in lake.storage.read(path).splitlines()
    ]


def errors(lake: Lake) -> list[dict[str, Any]]:
    """Return what is said of each thing in quarantine."""
    paths = sorted(entry.path for entry in lake.storage.entries("quarantine"))
    return [json.loads(lake.storage.read(path)) for path in paths if path.endswith("error.json")]
