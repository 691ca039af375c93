"""Order flow, returns, volatility and spread regime of each row of a book."""

from collections.abc import Iterator, Mapping, Sequence
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
    previous, is_gap = flow.chain(book, settings.max_gap_s * SECOND_US)
    ofi = flow.level_flow(book.best, previous)
    flows = LevelFlows(book, ofi, previous, levels, settings.level_alpha)
    seconds = {*settings.horizons_s, settings.regression_s, settings.percentile_s}
    keys = rows.select(KEYS.names)  # the other columns need not be held any longer

    def batches() -> Iterator[pa.RecordBatch]:
        with ThreadPoolExecutor(1) as beside:  # what else is made while levels are read
            best = beside.submit(_BestLevel, book, previous, is_gap, ofi, settings)
            decays = {
                f"ofi_decay_hl{life}s": flow.decayed(book.ts_us, ofi, life * SECOND_US)
                for life in settings.half_lives_s
            }

            def columns(run: slice) -> dict[str, Column]:
                windows = {s: rolling.row_windows(book.ts_us, s * SECOND_US, run) for s in seconds}
                of_best = beside.submit(lambda: best.result().of(run, windows))
                by_level = {f"mlofi_l{number}": e for number, e in enumerate(flows.of(run), 1)}
                sums = {
                    f"mlofi_decay_sum_{s}s": rolling.rolling_sum(flows.decayed, windows[s])
                    for s in settings.horizons_s
                }
                decay = {name: values[run] for name, values in decays.items()}
                decay["mlofi_decay"] = flows.decayed[run]
                return by_level | decay | sums | of_best.result()

            yield from feature_rows(fields, keys, positions, columns, _arrow, batch_rows)

    return pa.RecordBatchReader.from_batches(fields, batches())


class _BestLevel:
    """What the best level says: of the whole day what windows look back on, the rest by runs."""

    def __init__(
        self, book: Book, previous: Ints, is_gap: Flags, ofi: Floats, settings: Settings
    ) -> None:
        self._book, self._settings, self._ofi = book, settings, ofi
        self._mid, spread = book.mid, book.spread
        self._dmid, self._log_return = returns.mid_changes(self._mid, previous)
        self._squared_return = self._log_return**2
        self._relative_spread = spread / self._mid
        self._ranks = rolling.ranked(self._relative_spread)
        bps = np.divide(np.multiply(1e4, spread, out=spread), self._mid, out=spread)
        regimes, ages = regime.regimes(book.ts_us, bps, is_gap, settings.thresholds)
        since_last = np.full(len(book.ts_us), -1)
        np.subtract(book.ts_us[1:], book.ts_us[:-1], out=since_last[1:])
        self._row_by_row = {
            "ts": book.ts_us,
            "dt_us": since_last,
            "is_gap": is_gap,
            "ofi": ofi,
            "dmid": self._dmid,
            "log_return": self._log_return,
            "spread_regime": regimes,
            "spread_regime_age_us": ages,
        }

    def of(self, run: slice, windows: Mapping[int, Windows]) -> dict[str, Column]:
        """Return the columns of a run of rows, given its windows by their seconds."""
        columns: dict[str, Column] = {
            name: values[run] for name, values in self._row_by_row.items()
        }
        columns |= self._regression(run, windows[self._settings.regression_s])
        columns |= self._percentile(windows[self._settings.percentile_s])
        for horizon in self._settings.horizons_s:
            columns |= self._rolled(run, windows[horizon], horizon)
        return columns

    def _regression(self, run: slice, windows: Windows) -> dict[str, Column]:
        fit = rolling.rolling_ols(self._dmid, self._ofi, windows)
        is_valid = self._book.is_valid[run]
        fitted = {"ofi_beta": fit.slope, "ofi_beta_r2": fit.r2}
        return {name: np.where(is_valid, values, np.nan) for name, values in fitted.items()}

    def _percentile(self, windows: Windows) -> dict[str, Column]:
        share = rolling.rolling_rank(self._ranks, windows)
        return {"spread_percentile": share, "spread_regime_pct": regime.regimes_by_rank(share)}

    def _rolled(self, run: slice, windows: Windows, horizon_s: int) -> dict[str, Column]:
        horizon_us, max_gap_us = horizon_s * SECOND_US, self._settings.max_gap_s * SECOND_US
        variance = rolling.rolling_sum(self._squared_return, windows)
        rolled: dict[str, Column] = {
            "row_count": windows.row_counts,
            "ofi_sum": rolling.rolling_sum(self._ofi, windows),
            "ret_sum": rolling.rolling_sum(self._log_return, windows),
            "return": returns.returns_since(
                self._book.ts_us, self._mid, windows.starts, horizon_us, max_gap_us, run
            ),
            "realized_var": variance,
            "realized_vol": np.sqrt(variance),
            "ret_std": rolling.rolling_std(self._log_return, windows),
            "rel_spread_mean": rolling.rolling_mean(self._relative_spread, windows),
        }
        return {f"{name}_{horizon_s}s": values for name, values in rolled.items()}


def _arrow(values: Column, kind: pa.DataType) -> pa.Array:
    return regime.names(values) if pa.types.is_string(kind) else to_arrow(values, kind)
