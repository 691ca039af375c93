"""Building: nothing to do on 5,000 partitions, one new hour on top, and a day of 20M fills."""

import shutil
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from benchmarks.measure import HEADER, Cost, measure
from benchmarks.raw_fills import write_hour
from ticklake.lake.file_format import WRITER

BIN = Path(sys.executable).parent
DAYS, COINS = 27, 98  # two tables have a partition for each symbol and day
DAY_ROWS, HOURS = 20_000_000, 24


def unchanged_and_one_hour() -> None:
    """Measure a build with nothing to do, and one after an hour landed."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        first = date(2025, 8, 1)
        for day in range(DAYS):
            write_hour(root / "lake", str(first + timedelta(days=day)), 0, COINS * 40, COINS)
        run_dbt(root, "build")
        count = sum(1 for _ in (root / "lake").glob("*/*/**/data.parquet"))
        print(f"\nA build on {count:,} partitions\n{HEADER}")
        print(run_dbt(root, "build").row("nothing to do"))
        write_hour(root / "lake", str(first + timedelta(days=DAYS - 1)), 1, COINS * 40, COINS)
        print(run_dbt(root, "build").row("one new hour"))
        print(run_dbt(root, "build").row("nothing to do again"))


def compaction() -> None:
    """Measure the compaction of one busy day."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        write_hour(root / "lake", "2025-07-31", 0, 1000)
        run_dbt(root, "run", "--select", "fills")  # parses the project, compiles the kernels
        for hour in range(HOURS):
            write_hour(root / "lake", "2025-08-01", hour, DAY_ROWS // HOURS // 2 * 2)
        parse = run_dbt(root, "parse")
        cost = run_dbt(root, "run", "--select", "fills")
        floor = measure([sys.executable, "-m", "benchmarks.building", str(root)])
        rows = sum(
            pq.read_metadata(path).num_rows
            for path in (root / "lake/compacted/fills").glob("*/date=2025-08-01/data.parquet")
        )
        print(f"\nCompaction of {rows:,} fills from {HOURS} segments\n{HEADER}")
        print(cost.row("dbt run --select fills"))
        print(parse.row("of which dbt itself (dbt parse)"))
        print(floor.row("reading and writing the raw rows as they are"))
        seconds = cost.wall - parse.wall
        print(
            f"{rows / seconds / 1e6:.2f}M rows a second without dbt's start, "
            f"{seconds / floor.wall:.1f} times the floor"
        )


def copy(root: Path) -> None:
    """Read the raw fills and write them as they are: no cast, no sort, no de-duplication."""
    with duckdb.connect(config={"threads": 2, "memory_limit": "1200MB"}) as connection:
        connection.execute("set preserve_insertion_order = false")
        raw = f"{root}/lake/raw/fills/*/date=2025-08-01/*.parquet"
        connection.execute(f"copy (from '{raw}') to '{root}/copied.parquet' ({WRITER})")


def run_dbt(root: Path, *arguments: str, **env: str) -> Cost:
    """Run dbt on the lake in a folder, with everything it writes in that folder too."""
    places = ["--target-path", str(root / "target"), "--log-path", str(root / "logs")]
    shutil.rmtree(root / "logs", ignore_errors=True)
    own = {"LAKE_ROOT": str(root / "lake"), "TICKLAKE_DB": str(root / "bench.duckdb")}
    return measure([str(BIN / "dbt"), *arguments, *places], own | env)


if __name__ == "__main__":
    copy(Path(sys.argv[1]))
