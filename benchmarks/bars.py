"""Bars of one symbol's day of 10M trades: every threshold type, and time bars beside Polars.

python -m benchmarks bars
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from benchmarks.measure import HEADER, measure

ROWS, DAY = 10_000_000, "2025-08-01"
TRADES = f"trades/exchange=binance-futures/symbol=BTCUSDT/date={DAY}/data.parquet"
THRESHOLDS = {
    "tick": "1000",
    "volume": "1000",
    "volume_split": "1000",
    "dollar": "50000000",
    "tick_imbalance": "100",
    "volume_imbalance": "200",
    "dollar_imbalance": "10000000",
    "tick_run": "500",
    "volume_run": "500",
    "dollar_run": "25000000",
    "vpin": "1000",
}
TIME_BARS = """
    select
        symbol,
        epoch_us(ts_event) - epoch_us(ts_event) % 60000000 as open_us,
        arg_min(price, trade_seq) as open,
        max(price) as high,
        min(price) as low,
        arg_max(price, trade_seq) as close,
        sum(size) as volume,
        sum(if(side = 'buy', size, 0)) as buy_volume,
        sum(if(side = 'sell', size, 0)) as sell_volume,
        sum(cast(price * size as decimal(38, 24))) as notional,
        count(*) as trade_count
    from trades
    group by symbol, open_us
    order by open_us
"""


def main() -> None:
    """Measure each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        write_trades(Path(folder))
        print(f"\nBars of {ROWS:,} trades of one symbol and day\n{HEADER}")
        for name in ("thresholds", "model", "duckdb", "polars"):
            cost = measure([sys.executable, "-m", "benchmarks.bars", name, folder])
            print(f"{cost.row(TITLES[name])}\n{cost.output}", end="")


def write_trades(folder: Path) -> None:
    """Write a partition as compaction leaves it."""
    path = folder / TRADES
    path.parent.mkdir(parents=True)
    step = 86_400_000_000 // ROWS
    with duckdb.connect(config={"threads": 2, "memory_limit": "1GB"}) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(
            f"""copy (
                select
                    i + 1 as trade_seq,
                    make_timestamptz(epoch_us(timestamp '{DAY}') + i * {step}) as ts_event,
                    make_timestamptz(epoch_us(timestamp '{DAY}') + i * {step} + 1500) as ts_capture,
                    i::varchar as trade_id,
                    (50000 + (hash(i // 50) % 20000) / 100.0)::decimal(38, 12) as price,
                    ((1 + hash(i, 1) % 400) / 1000.0)::decimal(38, 12) as size,
                    if(hash(i, 2) % 2 = 0, 'buy', 'sell') as side
                from range({ROWS}) as numbers(i)
                order by i
            ) to '{path}' (format parquet, compression zstd, compression_level 1)"""
        )


def thresholds(folder: Path) -> None:
    """Print what reading takes and then each type: from whole numbers to a table of bars."""
    from ticklake.microstructure.bar_tables import read_day, threshold_bars
    from ticklake.microstructure.bucket_tables import bucket_table

    def batches() -> Iterator[pa.RecordBatch]:
        columns = "trade_seq, ts_event, ts_capture, price, size, side"
        with connect(folder) as connection:
            yield from connection.sql(f"select {columns} from trades").to_arrow_reader(122_880)

    warm = read_day("x", "y", date(2025, 8, 1), [next(batches())])
    for name, limit in THRESHOLDS.items():  # loops compile when they are first called
        if name != "vpin":
            threshold_bars(warm, name, Decimal(limit))
    day = timed("read", lambda: read_day("x", "BTCUSDT", date(2025, 8, 1), batches()))
    for name, limit in THRESHOLDS.items():
        if name == "vpin":
            timed(name, lambda limit=limit: bucket_table(day, Decimal(limit), 50))
        else:
            timed(name, lambda name=name, limit=limit: threshold_bars(day, name, Decimal(limit)))


def model(folder: Path) -> None:
    """Read and make all types as the Python models do, one after the other."""
    from ticklake.bar_models import threshold_bars, vpin_buckets

    with connect(folder) as connection:
        connection.execute(f"set variable unit_date = date '{DAY}'")
        values = ", ".join(
            f"('*', '*', '{name}', {limit}::decimal(38, 12))" for name, limit in THRESHOLDS.items()
        )
        chosen = connection.sql(
            f"select * from (values {values}) as chosen(exchange, symbol, bar_type, threshold)"
        )
        trades = connection.sql("select * from trades")
        types = [name for name in THRESHOLDS if name != "vpin"]
        timed("10 types", lambda: threshold_bars(trades, chosen, types, 50).read_all())
        timed("vpin", lambda: vpin_buckets(trades, chosen, 50, 50).read_all())


def time_bars_in_duckdb(folder: Path) -> None:
    """Make bars of a minute as time_bars does, exact."""
    with connect(folder) as connection:
        timed("60 s bars", lambda: connection.sql(TIME_BARS).to_arrow_table())


def time_bars_in_polars(folder: Path) -> None:
    """Make them as Polars users do; a product of decimals has no room there, so of floats."""
    size, price = pl.col("size"), pl.col("price")
    bars = (
        pl.scan_parquet(folder / TRADES)
        .group_by_dynamic("ts_event", every="1m")
        .agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=size.sum(),
            buy_volume=size.filter(pl.col("side") == "buy").sum(),
            sell_volume=size.filter(pl.col("side") == "sell").sum(),
            notional=(price.cast(pl.Float64) * size.cast(pl.Float64)).sum(),
            trade_count=pl.len(),
        )
    )
    timed("60 s bars", bars.collect)


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return DuckDB as models have it, with a view of the trades."""
    connection = duckdb.connect(config={"memory_limit": "1200MB"})
    connection.execute("set timezone = 'UTC'")
    connection.execute(
        f"create view trades as from read_parquet('{folder / TRADES}', hive_partitioning = true)"
    )
    return connection


def timed(name: str, call: Callable[[], pa.Table]) -> pa.Table:
    """Print the wall and CPU seconds of a call, and rows a CPU second."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = f"{len(result):,} rows" if hasattr(result, "__len__") else ""
    print(f"  {name:20s} {wall:6.2f} s {cpu:6.2f} s CPU {ROWS / cpu / 1e6:6.1f}M trades/s  {count}")
    return result


TITLES = {
    "thresholds": "threshold bars, by type",
    "model": "threshold bars, as the models make them",
    "duckdb": "time bars, SQL",
    "polars": "time bars, Polars group_by_dynamic",
}
RUNS = {
    "thresholds": thresholds,
    "model": model,
    "duckdb": time_bars_in_duckdb,
    "polars": time_bars_in_polars,
}

if __name__ == "__main__":
    RUNS[sys.argv[1]](Path(sys.argv[2]))
