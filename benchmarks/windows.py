"""Rolling sums of a day of 1M rows, by the engine and by what else there is (ADR 8), and all of
order_flow on a book of 10 levels.
"""

import itertools
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa

from ticklake.microstructure import windows as rolling
from ticklake.microstructure.order_flow import order_flow
from ticklake.microstructure.windows import Floats, Ints

ROWS, LEVELS, DAY = 1_000_000, 10, 20_000
SECOND_US, DAY_US = 1_000_000, 86_400_000_000
HORIZONS_S = (5, 60, 900)


def main() -> None:
    """Measure sums by horizon and method, then the whole kernel. Each is the best of three."""
    random = np.random.default_rng(1)
    ts = DAY * DAY_US + np.sort(random.integers(0, DAY_US, ROWS))
    values = np.round(random.normal(size=ROWS) * 10, 3)
    frame = pl.DataFrame({"ts": ts, "value": values}).cast({"ts": pl.Datetime("us")})
    print(f"\nRolling sums of {ROWS:,} rows")
    for horizon in HORIZONS_S:
        windows = rolling.row_windows(ts, horizon * SECOND_US)
        exact = rolling.rolling_sum(values, windows)
        by_polars = pl.col("value").rolling_sum_by("ts", window_size=f"{horizon}s")
        methods: dict[str, Callable[[], Floats]] = {
            "engine": lambda windows=windows: rolling.rolling_sum(values, windows),
            "NumPy, plain": lambda windows=windows: numpy_sum(values, windows, is_exact=False),
            "NumPy, compensated": lambda windows=windows: numpy_sum(values, windows, is_exact=True),
            "Polars": lambda by=by_polars: frame.select(by)["value"].to_numpy(),
        }
        for name, method in methods.items():
            off = np.abs(method() - exact).max()
            print(f"{horizon:4d} s  {name:20s} {best_of_three(method):8.1f} ms, off by {off:.0e}")
    book = random_book(random, ts)
    order_flow(book.slice(0, 1000)).read_all()
    print(f"order_flow {best_of_three(lambda: order_flow(book).read_all()):8.1f} ms")


def numpy_sum(values: Floats, windows: rolling.Windows, is_exact: bool) -> Floats:
    """Return the engine's sums by the same blocks, one NumPy call a block and pass."""
    anchors = windows.anchors
    cuts = [*np.flatnonzero(np.diff(anchors, prepend=-1)).tolist(), len(values)]
    prefix, prefix_err = running_sums(values, cuts, is_exact)
    back = [len(values) - cut for cut in reversed(cuts)]
    suffix, suffix_err = (part[::-1] for part in running_sums(values[::-1], back, is_exact))
    has_suffix = windows.starts < anchors
    left = np.where(has_suffix, suffix[windows.starts], 0.0)
    if not is_exact:
        return left + prefix
    left_err = np.where(has_suffix, suffix_err[windows.starts], 0.0)
    total = left + prefix
    return total + (rounding(left, prefix, total) + (left_err + prefix_err))


def running_sums(values: Floats, cuts: list[int], is_exact: bool) -> tuple[Floats, Floats]:
    """Return the running sums between cuts, and what they lost to rounding."""
    sums, errors = np.empty(len(values)), np.empty(len(values))
    for first, end in itertools.pairwise(cuts):
        np.add.accumulate(values[first:end], out=sums[first:end])
    if is_exact:
        before = np.concatenate([[0.0], sums[:-1]])
        before[cuts[:-1]] = 0.0
        lost = rounding(before, values, sums)
        for first, end in itertools.pairwise(cuts):
            np.add.accumulate(lost[first:end], out=errors[first:end])
    return sums, errors


def rounding(left: Floats, right: Floats, total: Floats) -> Floats:
    """Return what the sum of two numbers lost to rounding (Knuth)."""
    rest = total - left
    error: Floats = (left - (total - rest)) + (right - rest)
    return error


def random_book(random: np.random.Generator, ts: Ints) -> pa.Table:
    """Return a partition of order_book: a walk of the mid and random spreads and sizes."""
    columns: dict[str, pa.Array] = {
        "exchange": pa.repeat("binance", ROWS),
        "symbol": pa.repeat("BTCUSDT", ROWS),
        "date": pa.repeat(pa.scalar(DAY, pa.date32()), ROWS),
        "row_seq": pa.array(np.arange(1, ROWS + 1)),
        "ts_event": pa.array(ts, pa.timestamp("us", "UTC")),
        "ts_capture": pa.nulls(ROWS, pa.timestamp("us", "UTC")),
        "seq": pa.array(np.arange(ROWS)),
        "is_reset": pa.repeat(False, ROWS),
        "book_state": pa.repeat("ok", ROWS),
    }
    mid = 60_000 + np.cumsum(random.choice([-0.1, 0.0, 0.0, 0.1], ROWS))
    half = random.integers(1, 200, ROWS) * 0.05
    for side, sign in (("bid", -1), ("ask", 1)):
        for level in range(1, LEVELS + 1):
            columns[f"{side}_price_{level}"] = pa.array(mid + sign * (half + 0.1 * (level - 1)))
            columns[f"{side}_size_{level}"] = pa.array(random.integers(1, 9000, ROWS) / 1000)
    return pa.table(columns)


def best_of_three(work: Callable[[], object]) -> float:
    """Return milliseconds."""
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent) * 1e3
