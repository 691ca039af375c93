"""History in the shape of the public archive: many days, each with a few fills of many coins.

python -m benchmarks.history [days]
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import duckdb

from benchmarks.building import run_dbt
from benchmarks.measure import HEADER
from benchmarks.raw_fills import write_hour
from ticklake.lake.connection import prepare
from ticklake.lake.root import open_lake

DAYS, COINS, FILLS = 490, 400, 20
FIRST = date(2025, 8, 1)
COIN = "COIN1"
"""A coin that trades every day, as some do."""


def main(days: int = DAYS) -> None:
    """Measure the build of some days, what it leaves, and questions about one coin."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        compile_kernels(root)
        write_history(root / "lake", days)
        parse = run_dbt(root, "parse")
        build = run_dbt(root, "run")
        tests = run_dbt(root, "build")
        nothing = run_dbt(root, "build")
        files = files_a_day(root / "lake")
        print(f"\nHistory: {days} days x {COINS} coins, about {FILLS} fills each a day\n{HEADER}")
        print(build.row("dbt run"))
        print(parse.row("of which dbt itself (dbt parse)"))
        print(tests.row("dbt build: the tests, nothing to build"))
        print(nothing.row("dbt build, nothing to do"))
        most = max(files.values())
        print(f"{sum(files_of(root / 'lake').values()):,} files, at most {most} a table and day:")
        print("  " + ", ".join(f"{table} {count}" for table, count in files.items()))
        middle = FIRST + timedelta(days=days // 2)
        for name, condition in (
            ("all days", "true"),
            ("one day", f"date = '{middle}'"),
        ):
            rows, seconds = ask(root, f"symbol = '{COIN}' and {condition}")
            print(f"one coin, {name}, from compacted.trades: {seconds:.2f} s, {rows:,} rows")


def compile_kernels(root: Path) -> None:
    """Build a lake of one day, so that dbt has parsed the project and numba compiled the loops."""
    write_history(root / "lake", 1)
    run_dbt(root, "seed")
    run_dbt(root, "run")


def write_history(lake: Path, days: int, fills: int = FILLS) -> None:
    """Write a raw segment for each day. The first day is the same for any number of days."""
    dates = [str(FIRST + timedelta(days=day)) for day in range(days)]
    write = partial(_write_day, lake, COINS * fills)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(write, dates, chunksize=8))


def files_of(lake: Path) -> Counter[tuple[str, str]]:
    """Return how many data files each table has for each day or month."""
    return Counter(
        ("/".join(path.parts[:2]), path.parent.name)
        for path in (path.relative_to(lake) for path in lake.glob("*/*/**/data.parquet"))
    )


def files_a_day(lake: Path) -> dict[str, int]:
    """Return the largest number of files that each table has for a day or month, largest first."""
    most: dict[str, int] = {}
    for (table, _), count in files_of(lake).items():
        most[table] = max(count, most.get(table, 0))
    return dict(sorted(most.items(), key=lambda item: (-item[1], item[0])))


def ask(root: Path, condition: str) -> tuple[int, float]:
    """Return how many trades fit, and the seconds to read them as an analyst does who just came."""
    query = f"from compacted.trades where {condition}"
    with duckdb.connect(str(root / "bench.duckdb"), read_only=True) as connection:
        prepare(connection, open_lake(str(root / "lake")))
        begin = time.perf_counter()
        table = connection.sql(query).to_arrow_table()
        return table.num_rows, time.perf_counter() - begin


def _write_day(lake: Path, rows: int, day: str) -> None:
    write_hour(lake, day, 0, rows, COINS, hours=24)


def _days(arguments: Sequence[str]) -> int:
    return int(arguments[0]) if arguments else DAYS


if __name__ == "__main__":
    main(_days(sys.argv[1:]))
