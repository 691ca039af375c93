"""Order flow, returns, volatility and spread regime of each row of a book."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure import flow, regime, returns
from ticklake.microstructure import windows as rolling
from ticklake.microstructure.book import KEYS, Book, Flags, read_day, to_arrow
from ticklake.microstructure.windows import Floats, Ints

SECOND_US: Final = 1_000_000
LEVELS: Final = 10

Column = npt.NDArray[Any]
Step = Callable[[], dict[str, Column]]


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
    threads: int = 2,
) -> pa.Table:
    """Return the features of a day's rows, in their order, as FEATURES.md defines them.

    `rows` is one partition of `order_book` (one symbol, one date) and `head` that of the day before
    or at least its last `warmup_s` and one row. The result has the columns of `schema()`; undefined
    is null. A row on which the book is not valid has rolling values as of its time, but nothing of
    its own and no `ofi_beta` (C06). The regime starts afresh with the warm-up: a day depends on no
    more.
    """
    keys = [rows[key.name].cast(key.type) for key in KEYS]
    book, positions = read_day(rows, head, settings.warmup_s * SECOND_US)
    del rows, head  # a day of levels need not be held twice
    fields = schema(len(book.bid_prices), settings)
    columns: dict[str, Column] = {}
    with ThreadPoolExecutor(threads) as pool:
        changes = _changes(book, settings, pool)
        book = replace(  # what follows looks at no other level
            book,
            bid_prices=book.bid_prices[:1],
            bid_sizes=book.bid_sizes[:1],
            ask_prices=book.ask_prices[:1],
            ask_sizes=book.ask_sizes[:1],
        )
        columns |= changes.columns
        for made in pool.map(lambda step: step(), list(_steps(book, changes, settings))):
            columns |= made
        day = _day(positions)
        own = [one for one in fields if one.name not in KEYS.names]
        arrays = list(pool.map(lambda one: _arrow(columns[one.name][day], one.type), own))
    return pa.table([*keys, *arrays], schema=fields)


@dataclass(frozen=True, slots=True)
class _Changes:
    """What each row adds to the last valid one, and whether there is one."""

    is_gap: Flags
    flows: Sequence[Floats]
    mlofi_decay: Floats
    dmid: Floats
    log_return: Floats

    @property
    def columns(self) -> dict[str, Column]:
        levels = {f"mlofi_l{level}": e for level, e in enumerate(self.flows, 1)}
        return {
            "is_gap": self.is_gap,
            "ofi": self.flows[0],
            **levels,
            "mlofi_decay": self.mlofi_decay,
            "dmid": self.dmid,
            "log_return": self.log_return,
        }


def _changes(book: Book, settings: Settings, pool: ThreadPoolExecutor) -> _Changes:
    previous, is_gap = flow.chain(book, settings.max_gap_s * SECOND_US)
    levels = range(1, len(book.bid_prices) + 1)
    flows = list(pool.map(lambda level: flow.level_flow(book, previous, level), levels))
    dmid, log_return = returns.mid_changes(book.mid, previous)
    mlofi_decay = flow.across_levels(flows, settings.level_alpha)
    return _Changes(is_gap, flows, mlofi_decay, dmid, log_return)


def _steps(book: Book, changes: _Changes, settings: Settings) -> Iterator[Step]:
    """Yield what can be computed side by side, the longest first."""
    mid, spread = book.mid, book.spread
    relative = spread / mid
    yield lambda: _percentile(book, relative, settings)
    yield lambda: _regression(book, changes, settings)
    yield lambda: _row_by_row(book, changes, 1e4 * spread / mid, settings)
    for horizon in settings.horizons_s:
        yield partial(_rolled, book, mid, relative, changes, horizon, settings)


def _percentile(book: Book, relative: Floats, settings: Settings) -> dict[str, Column]:
    windows = rolling.row_windows(book.ts_us, settings.percentile_s * SECOND_US)
    share = rolling.rolling_rank(relative, windows)
    return {"spread_percentile": share, "spread_regime_pct": regime.regimes_by_rank(share)}


def _regression(book: Book, changes: _Changes, settings: Settings) -> dict[str, Column]:
    windows = rolling.row_windows(book.ts_us, settings.regression_s * SECOND_US)
    fit = rolling.rolling_ols(changes.dmid, changes.flows[0], windows)
    fitted = {"ofi_beta": fit.slope, "ofi_beta_r2": fit.r2}
    return {name: np.where(book.is_valid, values, np.nan) for name, values in fitted.items()}


def _row_by_row(
    book: Book, changes: _Changes, bps: Floats, settings: Settings
) -> dict[str, Column]:
    ts, ofi = book.ts_us, changes.flows[0]
    codes, ages = regime.regimes(ts, bps, changes.is_gap, settings.thresholds)
    since_last = np.full(len(ts), -1)
    since_last[1:] = np.diff(ts)
    return {
        "ts": ts,
        "dt_us": since_last,
        "spread_regime": codes,
        "spread_regime_age_us": ages,
        **{
            f"ofi_decay_hl{life}s": flow.decayed(ts, ofi, life * SECOND_US)
            for life in settings.half_lives_s
        },
    }


def _rolled(
    book: Book,
    mid: Floats,
    relative: Floats,
    changes: _Changes,
    horizon_s: int,
    settings: Settings,
) -> dict[str, Column]:
    horizon_us, max_gap_us = horizon_s * SECOND_US, settings.max_gap_s * SECOND_US
    windows = rolling.row_windows(book.ts_us, horizon_us)
    variance = rolling.rolling_sum_of_squares(changes.log_return, windows)
    rolled: dict[str, Column] = {
        "row_count": windows.row_counts,
        "ofi_sum": rolling.rolling_sum(changes.flows[0], windows),
        "mlofi_decay_sum": rolling.rolling_sum(changes.mlofi_decay, windows),
        "ret_sum": rolling.rolling_sum(changes.log_return, windows),
        "return": returns.returns_since(book.ts_us, mid, windows.starts, horizon_us, max_gap_us),
        "realized_var": variance,
        "realized_vol": np.sqrt(variance),
        "ret_std": rolling.rolling_std(changes.log_return, windows),
        "rel_spread_mean": rolling.rolling_mean(relative, windows),
    }
    return {f"{name}_{horizon_s}s": values for name, values in rolled.items()}


def _day(positions: Ints) -> slice | Ints:
    """Return positions as a slice where they are a run, which copies nothing."""
    if len(positions) and (np.diff(positions) == 1).all():
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _arrow(values: Column, kind: pa.DataType) -> pa.Array:
    return regime.names(values) if pa.types.is_string(kind) else to_arrow(values, kind)
