"""Compacting one partition of trades: a k-way merge row by row beside `dbt run`.

python -m benchmarks merging
"""

import heapq
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.building import run_dbt
from benchmarks.measure import HEADER, measure

SEGMENTS, ROWS = 24, 200_000
LARGE_SEGMENTS, LARGE_ROWS = 100, 1_000_000
DAY = "2025-08-01"
FOLDER = f"raw/trades/exchange=binance-futures/symbol=BTCUSDT/date={DAY}"


def main() -> None:
    """Measure both ways on 24 segments in one run."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        write_segments(root / "lake", SEGMENTS, ROWS)
        merge = [sys.executable, "-m", "benchmarks.merging", str(root / "lake"), str(root / "out")]
        usual = measure(merge)
        run_dbt(root, "parse")  # the first one reads every model
        parse = run_dbt(root, "parse")
        ours = run_dbt(root, "run", "--select", "prints")
        print(f"\nCompaction of {SEGMENTS} segments of {ROWS:,} trades\n{HEADER}")
        print(usual.row("k-way merge, row by row"))
        print(ours.row("dbt run --select prints"))
        print(parse.row("of which dbt itself (dbt parse)"))
        print(f"{usual.wall / (ours.wall - parse.wall):.1f} times faster without dbt's start")


def large() -> None:
    """Measure one partition of 100M trades."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        write_segments(root / "lake", LARGE_SEGMENTS, LARGE_ROWS)
        cost = run_dbt(root, "run", "--select", "prints")
        print(f"\nCompaction of {LARGE_SEGMENTS * LARGE_ROWS:,} trades in one partition\n{HEADER}")
        print(cost.row("dbt run --select prints"))


def write_segments(lake: Path, segments: int, rows: int) -> None:
    """Write raw trades whose segments overlap in time, each with a hundredth of the one before."""
    folder = lake / FOLDER
    folder.mkdir(parents=True)
    step = 86_400_000_000 // (segments * rows)
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as connection:
        connection.execute("set timezone = 'UTC'")
        for number in range(segments):
            first = number * rows - (rows // 100 if number else 0)
            connection.execute(
                f"""copy (
                    select
                        make_timestamptz(epoch_us(timestamp '{DAY}') + i * {step} // 5 * 5)
                            as ts_event,
                        make_timestamptz(epoch_us(timestamp '{DAY}') + i * {step} + 1500)
                            as ts_capture,
                        i::varchar as trade_id,
                        (50000 + (hash(i // 50) % 20000) / 100.0)::decimal(38, 12) as price,
                        ((1 + hash(i, 1) % 4000) / 1000.0)::decimal(38, 12) as size,
                        if(hash(i, 2) % 2 = 0, 'buy', 'sell') as side,
                        null::bigint as first_id,
                        null::bigint as last_id,
                        null::varchar as extra
                    from range({first}, {(number + 1) * rows}) as numbers(i)
                    order by i
                ) to '{folder}/capture-{number:03d}.parquet'
                (format parquet, compression zstd, compression_level 1)"""
            )


def merge_row_by_row(lake: Path, target: Path) -> None:
    """Merge sorted segments the way most scripts do: heapq over the rows of Arrow batches."""
    paths = sorted((lake / FOLDER).glob("*.parquet"))
    schema = pq.read_schema(paths[0])

    def rows(number: int, path: Path) -> Iterator[tuple[Any, int, dict[str, Any]]]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(65_536):
                for row in batch.to_pylist():
                    yield row["ts_event"], number, row

    seen: set[str] = set()
    waiting: list[dict[str, Any]] = []
    with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        merged = heapq.merge(*(rows(*item) for item in enumerate(paths)), key=lambda row: row[:2])
        for _, _, row in merged:
            if row["trade_id"] not in seen:
                seen.add(row["trade_id"])
                waiting.append(row)
            if len(waiting) == 122_880:
                writer.write_table(pa.Table.from_pylist(waiting, schema))
                waiting.clear()
        writer.write_table(pa.Table.from_pylist(waiting, schema))


if __name__ == "__main__":
    merge_row_by_row(Path(sys.argv[1]), Path(sys.argv[2]))
