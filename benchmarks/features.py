"""Features and time bars of a busy day of one symbol: a million book rows, half a million trades.

python -m benchmarks features growth
"""

import json
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.building import run_dbt
from benchmarks.measure import HEADER, Cost, measure

ROWS, TRADES = 1_000_000, 500_000
SMALL_ROWS, SMALL_TRADES, SYMBOLS, DAYS = 100_000, 50_000, 10, 3
TRADES_A_BOOK = 0.55
"""A few less than the simulated market has."""
SLICE = 2_000
BEGIN = datetime(2025, 8, 1, tzinfo=UTC)
MODELS = ("book_features", "order_flow", "trade_flow")
BARS = ("book_bars", "time_bars")
PLACE = "exchange=binance-futures/symbol=BTCUSDT/date=2025-08-01"


def main() -> None:
    """Measure the models, what reading and writing alone take, and two other ways."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        write_day(root / "lake", ROWS, TRADES)
        run_dbt(root, "seed")
        run_dbt(root, "run", "--select", "order_book", "prints")
        run_dbt(root, "run", "--select", *MODELS)  # compiles the kernels
        shutil.rmtree(root / "lake/featured")
        parse = run_dbt(root, "parse")
        ours = run_dbt(root, "run", "--select", *MODELS)
        nothing = run_dbt(root, "run", "--select", *MODELS)
        bars = run_dbt(root, "run", "--select", *BARS)
        floor = _part("floor", root)
        usual = _part("polars", root)
        slow = _part("rows", root)
        spent = measure([sys.executable, "-m", "benchmarks.feature_parts", str(root)])
        columns = sum(
            len(pq.read_schema(root / f"lake/featured/{model}/{PLACE}/data.parquet"))
            for model in MODELS
        )
    print(f"\n{columns} feature columns of {ROWS:,} book rows and {TRADES:,} trades\n{HEADER}")
    print(ours.row(f"dbt run --select {' '.join(MODELS)}"))
    print(parse.row("of which dbt itself (dbt parse)"))
    print(nothing.row("the same run with nothing to do"))
    print(bars.row(f"dbt run --select {' '.join(BARS)}"))
    print(floor.row("reading the input, writing the same columns"))
    print(usual.row("Polars, 47 columns of one snapshot"))
    print(slow.row(f"row by row, 26 columns of {SLICE:,} rows"))
    seconds = ours.wall - parse.wall
    inside = {line.split()[0]: float(line.split()[1]) for line in _lines(floor, usual, slow)}
    print(
        f"{seconds:.1f} s without dbt's start, {seconds / inside['floor']:.2f} times the floor; "
        f"{ours.wall - nothing.wall:.1f} s more than a run with nothing to do"
    )
    rate = columns * ROWS / seconds
    polars_rate = 47 * ROWS / inside["polars"]
    rows_rate = 26 * SLICE / inside["rows"]
    print(
        f"{rate / 1e6:.0f}M values a second: {rate / polars_rate:.1f} times Polars, "
        f"{rate / rows_rate:.0f} times row by row"
    )
    print("\nWhere the time goes: each part alone, one after the other")
    print(spent.output.strip())


def growth() -> None:
    """Measure one partition, and 10 symbols of 3 days, which should cost as much for each.

    The partitions are smaller than that of a busy day, so that 30 are generated in a minute.
    """
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        root = Path(folder)
        for day in range(DAYS):
            write_day(root / "lake", SMALL_ROWS, SMALL_TRADES, day)
        for channel in ("order_book", "trades"):
            known = root / f"lake/raw/{channel}/exchange=binance-futures"
            for number in range(1, SYMBOLS):
                shutil.copytree(known / "symbol=BTCUSDT", known / f"symbol=S{number}USDT")
        run_dbt(root, "seed")
        run_dbt(root, "run", "--select", "order_book", "prints")
        middle = f"{BEGIN + timedelta(days=1):%Y-%m-%d}"
        chosen = json.dumps({"from": middle, "to": middle, "symbols": ["BTCUSDT"]})
        one = ("run", "--select", *MODELS, "--vars", chosen)
        run_dbt(root, *one)  # compiles the kernels
        shutil.rmtree(root / "lake/featured")
        first, nothing = run_dbt(root, *one), run_dbt(root, *one)
        shutil.rmtree(root / "lake/featured")
        run_dbt(root, "parse")  # other vars: dbt parses everything again
        many, nothing_of_many = (run_dbt(root, *one[:-2]) for _ in range(2))
    count = DAYS * SYMBOLS
    print(f"\nGrowth: partitions of {SMALL_ROWS:,} book rows and {SMALL_TRADES:,} trades\n{HEADER}")
    print(first.row("one partition, with the day before it"))
    print(nothing.row("the same with nothing to do"))
    print(many.row(f"{SYMBOLS} symbols x {DAYS} days"))
    print(nothing_of_many.row("the same with nothing to do"))
    wall = (many.wall - nothing_of_many.wall) / (first.wall - nothing.wall) / count
    cpu = (many.cpu - nothing_of_many.cpu) / (first.cpu - nothing.cpu) / count
    print(
        f"without what a run with nothing to do takes, each of the {count} costs {wall:.2f} times "
        f"what one costs by wall and {cpu:.2f} by CPU; peak memory is "
        f"{many.peak_bytes / first.peak_bytes:.2f} times that of one"
    )


def _part(name: str, root: Path) -> Cost:
    return measure([sys.executable, "-m", "benchmarks.features", name, str(root)])


def _lines(*costs: object) -> list[str]:
    """Return what each way said of its own work, without the start of Python."""
    return [str(cost.output).strip().splitlines()[-1] for cost in costs]


def write_day(lake: Path, rows: int, trades: int, day: int = 0) -> None:
    """Write the raw segments of a day, so many days after the first.

    If there are more trades than so many books see, a finer market is simulated, of whose books
    some are kept.
    """
    from ticklake.sample.feeds import Period
    from ticklake.sample.listings import BTC_PERP
    from ticklake.sample.raw_tables import raw_hours

    begin = BEGIN + timedelta(days=day)
    place = PLACE.replace(f"{BEGIN:%Y-%m-%d}", f"{begin:%Y-%m-%d}")
    period = Period(int(begin.timestamp()) * 10**6, 1, 1)
    left = trades
    simulated = max(rows, round(trades / TRADES_A_BOOK)) // 24 + 1
    for hour, (books, prints) in enumerate(raw_hours(BTC_PERP, period, simulated)):
        kept = prints.slice(0, left // (24 - hour))
        left -= len(kept)
        seen = books.take(np.linspace(0, len(books) - 1, rows // 24 + 1).astype(np.int64))
        for channel, table in (("order_book", seen), ("trades", kept)):
            path = lake / f"raw/{channel}/{place}"
            path.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path / f"hour-{hour:02d}.parquet", compression="zstd")


def floor(root: Path) -> None:
    """Read the input and write the columns of the output, which are in memory already.

    They are written as the models are: with both cores, which pyarrow alone does not do.
    """
    from ticklake.lake.writing import write_in_order

    lake = root / "lake"
    outputs = outputs_of(lake)
    began = time.perf_counter()
    for table in ("order_book", "prints"):
        pq.read_table(lake / f"compacted/{table}/{PLACE}/data.parquet", partitioning=None)
    for model, found in outputs.items():
        write_in_order(found.schema, found.to_batches(), ["row_seq"], lake / f"floor-{model}")
    print("floor", time.perf_counter() - began)


def outputs_of(lake: Path) -> dict[str, pa.Table]:
    """Return the tables of features."""
    paths = {model: lake / f"featured/{model}/{PLACE}/data.parquet" for model in MODELS}
    return {model: pq.read_table(path, partitioning=None) for model, path in paths.items()}


def structural(root: Path) -> None:
    """Compute what one snapshot says with Polars expressions, and write it."""
    lake = root / "lake"
    began = time.perf_counter()
    book = pl.scan_parquet(lake / f"compacted/order_book/{PLACE}/data.parquet")
    mid = (pl.col("bid_price_1") + pl.col("ask_price_1")) / 2
    spread = pl.col("ask_price_1") - pl.col("bid_price_1")
    depth = {
        (side, level): pl.sum_horizontal(f"{side}_size_{m}" for m in range(1, level + 1))
        for side in ("bid", "ask")
        for level in range(1, 11)
    }
    held = pl.col("bid_size_1") + pl.col("ask_size_1")
    micro = (
        pl.col("bid_price_1") * pl.col("ask_size_1") + pl.col("ask_price_1") * pl.col("bid_size_1")
    ) / held
    bands = {
        f"{side}_depth_{bps}bps": pl.sum_horizontal(
            pl.when((pl.col(f"{side}_price_{m}") - mid).abs() / mid <= bps * 1e-4)
            .then(pl.col(f"{side}_size_{m}"))
            .otherwise(0.0)
            for m in range(1, 11)
        )
        for side in ("bid", "ask")
        for bps in (5, 10, 25, 50, 100)
    }
    book.select(
        mid=mid,
        spread=spread,
        relative_spread=spread / mid,
        spread_bps=1e4 * spread / mid,
        microprice=micro,
        micro_minus_mid=micro - mid,
        total_depth=depth["bid", 10] + depth["ask", 10],
        **{f"{side}_cum_depth_l{level}": total for (side, level), total in depth.items()},
        **{
            f"imbalance_l{level}": (depth["bid", level] - depth["ask", level])
            / (depth["bid", level] + depth["ask", level])
            for level in range(1, 11)
        },
        **bands,
    ).collect().write_parquet(lake / "polars.parquet", compression="zstd", compression_level=1)
    print("polars", time.perf_counter() - began)


def row_by_row(root: Path) -> None:
    """Compute a few windows the way the first version of such a script does."""
    book = pq.read_table(
        root / f"lake/compacted/order_book/{PLACE}/data.parquet", partitioning=None
    )
    rows = book.slice(len(book) // 2, SLICE).to_pylist()
    began = time.perf_counter()
    seen: list[tuple[float, float, float]] = []
    previous = None
    for row in rows:
        if row["book_state"] not in ("ok", "locked"):
            continue
        bid, ask = row["bid_price_1"], row["ask_price_1"]
        bids, asks = row["bid_size_1"], row["ask_size_1"]
        mid = (bid + ask) / 2
        flow = 0.0
        if previous is not None:
            flow += bids if bid >= previous[0] else 0
            flow -= previous[1] if bid <= previous[0] else 0
            flow -= asks if ask <= previous[2] else 0
            flow += previous[3] if ask >= previous[2] else 0
        change = mid - (previous[0] + previous[2]) / 2 if previous else 0.0
        previous = (bid, bids, ask, asks)
        now = row["ts_event"].timestamp()
        seen.append((now, flow, change))
        out = {"mid": mid, "spread": ask - bid, "imbalance": (bids - asks) / (bids + asks)}
        out |= {"ofi": flow, "dmid": change, "micro": (bid * asks + ask * bids) / (bids + asks)}
        for horizon in (5, 15, 60, 300, 900):
            window = [item for item in seen if item[0] > now - horizon]
            out[f"ofi_sum_{horizon}"] = sum(item[1] for item in window)
            out[f"variance_{horizon}"] = sum(item[2] ** 2 for item in window)
            out[f"count_{horizon}"] = len(window)
            out[f"mean_{horizon}"] = sum(item[2] for item in window) / len(window)
    print("rows", time.perf_counter() - began)


if __name__ == "__main__":
    parts = {"floor": floor, "polars": structural, "rows": row_by_row}
    parts[sys.argv[1]](Path(sys.argv[2]))
