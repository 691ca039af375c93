"""One row per book row: what the trades say. The columns of `featured.trade_flow`."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa

from ticklake.microstructure.bar_tables import read_day as read_trades_of_day
from ticklake.microstructure.book import KEYS, Book, read_day, to_arrow
from ticklake.microstructure.bucket_tables import Filled, filled
from ticklake.microstructure.feature_rows import BATCH_ROWS, Column, feature_rows
from ticklake.microstructure.flow import chain
from ticklake.microstructure.returns import mid_changes
from ticklake.microstructure.trade_flow import TradeFlow
from ticklake.microstructure.trades import SCHEMA, in_order, read_trades, real
from ticklake.microstructure.vpin import as_of
from ticklake.microstructure.windows import Floats, Ints, rolling_ols, row_windows

READ: Final = ("trade_seq", *SCHEMA.names)
"""What is looked at of `trades`."""
SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What the features depend on besides book and trades. Times are in seconds."""

    horizons_s: Sequence[int] = (5, 15, 60, 300, 900)
    regression_s: int = 300
    max_gap_s: int = 300
    warmup_s: int = 1_200
    buckets: int = 50
    """How many volume buckets VPIN is the mean over."""
    bucket_volume: Decimal | None = None
    """VPIN's V, as `bar_models.bucket_volume` finds it. None for none, and no VPIN."""

    def __post_init__(self) -> None:
        if min([*self.horizons_s, self.regression_s]) <= 0:
            raise ValueError(f"horizons and the window of regressions have to be positive: {self}")
        needed = max([*self.horizons_s, self.regression_s]) + self.max_gap_s
        if self.warmup_s < needed:
            raise ValueError(
                f"warmup_s is {self.warmup_s}, less than the {needed} s that the longest window "
                "and max_gap_s before it look back; raise it or shorten them"
            )


DEFAULTS: Final = Settings()


def schema(settings: Settings = DEFAULTS) -> pa.Schema:
    """Return the columns of `trade_features`."""
    whole, real = pa.int64(), pa.float64()
    fields: dict[str, pa.DataType] = {
        "ts": pa.timestamp("us", "UTC"),
        **dict.fromkeys(("buy_volume", "sell_volume", "trade_volume", "notional"), real),
        "trade_count": whole,
        **dict.fromkeys(("signed_volume", "tfi", "trade_vwap"), real),
    }
    for horizon in settings.horizons_s:
        fields |= {
            f"buy_volume_{horizon}s": real,
            f"sell_volume_{horizon}s": real,
            f"trade_count_{horizon}s": whole,
            f"tfi_{horizon}s": real,
        }
    fields |= {
        "kyle_lambda": real,
        "kyle_lambda_r2": real,
        "kyle_lambda_n": whole,
        "hasbrouck_lambda": real,
        "vpin": real,
    }
    return pa.schema([*KEYS, *fields.items()])


def trade_features(
    book: pa.Table,
    trades: pa.Table,
    book_before: pa.Table | None = None,
    trades_before: pa.Table | None = None,
    settings: Settings = DEFAULTS,
    batch_rows: int = BATCH_ROWS,
) -> pa.RecordBatchReader:
    """Return the trade features of each row of `book`, in its order, as FEATURES.md defines them.

    `book` and `trades` are the partitions of a symbol and day, `*_before` those of the day before:
    of the book its end is enough, of the trades all is needed, because volume buckets begin at
    midnight. Trades are in the order of `trade_seq`; prints with price 0 or size 0 are left
    out. The result has the columns of `schema()`; undefined is null.
    """
    trades_known = trades if trades_before is None else pa.concat_tables([trades_before, trades])
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: read_trades(in_order(real(trades_known))))
        day, positions = read_day(book, book_before, settings.warmup_s * SECOND_US)
        ts, series = day.ts_us, reading.result()
        changing = pool.submit(_changes, day, settings)
        flow = TradeFlow(ts, series)
        change, log_return = changing.result()
    vpin = _vpin(book, ts, trades, trades_before, settings)

    def columns(run: slice) -> dict[str, Column]:
        between = flow.intervals(run)
        found: dict[str, Column] = {
            "ts": ts[run],
            "buy_volume": between.buy_volume,
            "sell_volume": between.sell_volume,
            "trade_volume": between.trade_volume,
            "notional": between.notional,
            "trade_count": between.trade_count,
            "signed_volume": flow.signed_volume[run],
            "tfi": between.tfi,
            "trade_vwap": between.trade_vwap,
            "vpin": vpin[run],
        }
        for horizon in settings.horizons_s:
            window = flow.rolling(horizon * SECOND_US, run)
            found |= {
                f"buy_volume_{horizon}s": window.buy_volume,
                f"sell_volume_{horizon}s": window.sell_volume,
                f"trade_count_{horizon}s": window.trade_count,
                f"tfi_{horizon}s": window.tfi,
            }
        return found | _impact(day, change, log_return, flow, run, settings)

    fields, keys = schema(settings), book.select(KEYS.names)
    batches = feature_rows(fields, keys, positions, columns, to_arrow, batch_rows)
    return pa.RecordBatchReader.from_batches(fields, batches)


def _changes(day: Book, settings: Settings) -> tuple[Floats, Floats]:
    previous, _ = chain(day, settings.max_gap_s * SECOND_US)
    return mid_changes(day.mid, previous)


def _impact(
    day: Book,
    change: Floats,
    log_return: Floats,
    flow: TradeFlow,
    run: slice,
    settings: Settings,
) -> dict[str, Column]:
    """Return what prices move per unit of flow, over the windows of a run of rows.

    The change of price of each row is regressed on the flow of its interval. Kyle's lambda
    (Econometrica 53(6), 1985): the change of mid on the signed volume. Hasbrouck's (J. Finance
    64(3), 2009): the log return on the sum of sign * sqrt(price * size).
    """
    windows = row_windows(day.ts_us, settings.regression_s * SECOND_US, run)
    kyle = rolling_ols(change, flow.signed_volume, windows)
    hasbrouck = rolling_ols(log_return, flow.signed_root_notional, windows)

    def on_valid_rows(values: Floats) -> Floats:
        return np.where(day.is_valid[run], values, np.nan)

    return {
        "kyle_lambda": on_valid_rows(kyle.slope),
        "kyle_lambda_r2": on_valid_rows(kyle.r2),
        "kyle_lambda_n": kyle.counts,
        "hasbrouck_lambda": on_valid_rows(hasbrouck.slope),
    }


def _vpin(
    book: pa.Table,
    row_ts: Ints,
    trades: pa.Table,
    trades_before: pa.Table | None,
    settings: Settings,
) -> Floats:
    """Return VPIN as of each row, by the buckets of `bars.vpin_buckets`, and yesterday's alike."""
    if settings.bucket_volume is None or not len(book):
        return np.full(len(row_ts), np.nan)
    exchange, symbol, date = (book[name][0].as_py() for name in ("exchange", "symbol", "date"))
    buckets: Filled | None = None
    known: list[Ints] = []
    values: list[Floats] = []
    for on, rows in ((date - timedelta(days=1), trades_before), (date, trades)):
        if rows is not None:
            day = read_trades_of_day(exchange, symbol, on, rows.to_batches())
            buckets = filled(day, settings.bucket_volume, settings.buckets, buckets)
            known.append(buckets.known_us)
            values.append(buckets.vpin)
    return as_of(row_ts, np.concatenate(known), np.concatenate(values))
