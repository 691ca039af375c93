"""Order flow, returns, volatility and spread regime of each row of a book."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from ticklake.microstructure import flow, regime, returns
from ticklake.microstructure import windows as rolling
from ticklake.microstructure.book import KEYS, Book, Flags, read_day, to_arrow
from ticklake.microstructure.feature_rows import BATCH_ROWS, Column, feature_rows
from ticklake.microstructure.level_flows import LevelFlows, Levels, levels_of
from ticklake.microstructure.windows import Floats, Ints, Windows

SECOND_US: Final = 1_000_000
LEVELS: Final = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """What the features depend on besides the book. Times are in seconds.

    The warm-up has to cover everything that a row can look back on: the longest window and a gap
    before it, whose end is what the first return in that window is from, and 40 half-lives, after
    which less than 1e-12 of a flow is left. Raises ValueError where it does not.
    """

    horizons_s: Sequence[int] = (5, 15, 60, 300, 900)
    half_lives_s: Sequence[int] = (5, 15)
    regression_s: int = 300
    percentile_s: int = 300
    max_gap_s: int = 300
    warmup_s: int = 1_200
    level_alpha: float = 0.5
    """Of `mlofi_decay`: the weight of level m is exp(-alpha (m - 1))."""
    thresholds: regime.Thresholds = field(default_factory=regime.Thresholds)

    def __post_init__(self) -> None:
        windows = [*self.horizons_s, self.regression_s, self.percentile_s]
        if min([*windows, *self.half_lives_s]) <= 0:
            raise ValueError(f"horizons, windows and half-lives have to be positive: {self}")
        needed = max([max(windows) + self.max_gap_s, *(40 * life for life in self.half_lives_s)])
        if self.warmup_s < needed:
            raise ValueError(
                f"warmup_s is {self.warmup_s}, less than the {needed} s that the longest window "
                f"with max_gap_s before it, or 40 half-lives, look back; raise it or shorten them"
            )


DEFAULTS: Final = Settings()


def schema(levels: int = LEVELS, settings: Settings = DEFAULTS) -> pa.Schema:
    """Return the columns of `order_flow`, for a book of so many levels."""
    whole, real, name = pa.int64(), pa.float64(), pa.string()
    fields: dict[str, pa.DataType] = {
        "ts": pa.timestamp("us", "UTC"),
        "dt_us": whole,
        "is_gap": pa.bool_(),
        "ofi": real,
        **{f"mlofi_l{level}": real for level in range(1, levels + 1)},
        "mlofi_decay": real,
        **{f"ofi_decay_hl{life}s": real for life in settings.half_lives_s},
        "dmid": real,
        "log_return": real,
        "ofi_beta": real,
        "ofi_beta_r2": real,
        "spread_regime": name,
        "spread_regime_age_us": whole,
        "spread_percentile": real,
        "spread_regime_pct": name,
    }
    for horizon in settings.horizons_s:
        fields[f"row_count_{horizon}s"] = whole
        for rolled in (
            "ofi_sum",
            "mlofi_decay_sum",
            "ret_sum",
            "return",
            "realized_var",
            "realized_vol",
            "ret_std",
            "rel_spread_mean",
        ):
            fields[f"{rolled}_{horizon}s"] = real
    return pa.schema([*KEYS, *fields.items()])


def order_flow(
    rows: pa.Table,
    head: pa.Table | None = None,
    settings: Settings = DEFAULTS,
    levels: Levels | None = None,
    batch_rows: int = BATCH_ROWS,
) -> pa.RecordBatchReader:
    """Return the features of a day's rows, in their order, as FEATURES.md defines them.

    `rows` is one partition of `order_book` (one symbol, one date), of which the levels behind the
    best may be left to `levels`, and `head` that of the day before or at least its last `warmup_s`
    and one row. The result has the columns of `schema()`; undefined is null. A row on which the
    book is not valid has rolling values as of its time, but nothing of its own and no `ofi_beta`
    (C06). The regime starts afresh with the warm-up: a day depends on no more.
    """
    levels = levels or levels_of(rows)
    fields = schema(levels.count, settings)
    book, positions = read_day(rows, head, settings.warmup_s * SECOND_US)
    with ThreadPoolExecutor(1) as pool:
        changes = _changes(book, settings, pool)
        ranking = pool.submit(rolling.ranked, changes.relative)
        flows = LevelFlows(book, changes.ofi, changes.previous, levels, settings.level_alpha)
        known = _row_by_row(book, changes, settings)
        ranks = ranking.result()

    seconds = {*settings.horizons_s, settings.regression_s, settings.percentile_s}

    def rolled(run: slice) -> dict[str, Column]:
        windows = {s: rolling.row_windows(book.ts_us, s * SECOND_US, run) for s in seconds}

        def of_best_level() -> dict[str, Column]:
            columns = _regression(book, changes, run, windows[settings.regression_s])
            columns |= _percentile(ranks, windows[settings.percentile_s])
            for horizon in settings.horizons_s:
                columns |= _rolled(book, changes, run, windows[horizon], horizon, settings)
            return columns

        # Beside each other, because nobody encodes while the first run is made.
        with ThreadPoolExecutor(1) as pool:
            best = pool.submit(of_best_level)
            columns: dict[str, Column] = {f"mlofi_l{n}": e for n, e in enumerate(flows.of(run), 1)}
            columns["mlofi_decay"] = flows.decayed[run]
            for horizon in settings.horizons_s:
                total = rolling.rolling_sum(flows.decayed, windows[horizon])
                columns[f"mlofi_decay_sum_{horizon}s"] = total
            return columns | best.result()

    batches = feature_rows(fields, rows, positions, known, rolled, _arrow, batch_rows)
    return pa.RecordBatchReader.from_batches(fields, batches)


@dataclass(frozen=True, slots=True)
class _Changes:
    """What each row adds to the last valid one, by the best level, and whether there is one."""

    previous: Ints
    is_gap: Flags
    ofi: Floats
    mid: Floats
    dmid: Floats
    log_return: Floats
    squared_return: Floats
    relative: Floats
    """The spread over the mid."""


def _changes(book: Book, settings: Settings, pool: ThreadPoolExecutor) -> _Changes:
    previous, is_gap = flow.chain(book, settings.max_gap_s * SECOND_US)
    flowing = pool.submit(flow.level_flow, book.best, previous)
    mid = book.mid
    dmid, log_return = returns.mid_changes(mid, previous)
    squared, relative = log_return**2, book.spread / mid
    ofi = flowing.result()
    return _Changes(previous, is_gap, ofi, mid, dmid, log_return, squared, relative)


def _percentile(ranks: Ints, windows: Windows) -> dict[str, Column]:
    share = rolling.rolling_rank(ranks, windows)
    return {"spread_percentile": share, "spread_regime_pct": regime.regimes_by_rank(share)}


def _regression(book: Book, changes: _Changes, run: slice, windows: Windows) -> dict[str, Column]:
    fit = rolling.rolling_ols(changes.dmid, changes.ofi, windows)
    fitted = {"ofi_beta": fit.slope, "ofi_beta_r2": fit.r2}
    return {name: np.where(book.is_valid[run], values, np.nan) for name, values in fitted.items()}


def _row_by_row(book: Book, changes: _Changes, settings: Settings) -> dict[str, Column]:
    ts, bps = book.ts_us, 1e4 * book.spread / changes.mid
    codes, ages = regime.regimes(ts, bps, changes.is_gap, settings.thresholds)
    since_last = np.full(len(ts), -1)
    since_last[1:] = np.diff(ts)
    return {
        "ts": ts,
        "dt_us": since_last,
        "is_gap": changes.is_gap,
        "ofi": changes.ofi,
        "dmid": changes.dmid,
        "log_return": changes.log_return,
        "spread_regime": codes,
        "spread_regime_age_us": ages,
        **{
            f"ofi_decay_hl{life}s": flow.decayed(ts, changes.ofi, life * SECOND_US)
            for life in settings.half_lives_s
        },
    }


def _rolled(
    book: Book,
    changes: _Changes,
    run: slice,
    windows: Windows,
    horizon_s: int,
    settings: Settings,
) -> dict[str, Column]:
    """Return the rolling values of the best level for a run of rows."""
    horizon_us, max_gap_us = horizon_s * SECOND_US, settings.max_gap_s * SECOND_US
    variance = rolling.rolling_sum(changes.squared_return, windows)
    rolled: dict[str, Column] = {
        "row_count": windows.row_counts,
        "ofi_sum": rolling.rolling_sum(changes.ofi, windows),
        "ret_sum": rolling.rolling_sum(changes.log_return, windows),
        "return": returns.returns_since(
            book.ts_us, changes.mid, windows.starts, horizon_us, max_gap_us, run
        ),
        "realized_var": variance,
        "realized_vol": np.sqrt(variance),
        "ret_std": rolling.rolling_std(changes.log_return, windows),
        "rel_spread_mean": rolling.rolling_mean(changes.relative, windows),
    }
    return {f"{name}_{horizon_s}s": values for name, values in rolled.items()}


def _arrow(values: Column, kind: pa.DataType) -> pa.Array:
    return regime.names(values) if pa.types.is_string(kind) else to_arrow(values, kind)
