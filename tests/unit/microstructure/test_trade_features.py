"""Trade features of book rows against FEATURES.md, written out row by row.

The reference looks at every trade and every earlier row each time. Volumes are exact fractions, and
so are the lines of Kyle's and Hasbrouck's regressions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.microstructure.test_order_flow import (
    MIDNIGHT,
    STEPS,
    Row,
    S,
    Values,
    assert_agrees,
    books,
    in_order,
    table,
)
from ticklake.microstructure.bar_tables import read_day
from ticklake.microstructure.book import columns_of
from ticklake.microstructure.bucket_tables import bucket_table, filled
from ticklake.microstructure.exact import STORED
from ticklake.microstructure.trade_features import DEFAULTS, Settings, schema, trade_features

DAY = 86_400 * S
SHORT = Settings(horizons_s=(5, 60, 300), regression_s=60, max_gap_s=300, warmup_s=600, buckets=3)
# Longer than a row takes, shorter than a test may: the loops are compiled on their first run.
COMPILES = settings(deadline=None, max_examples=100)


@dataclass(frozen=True)
class Trade:
    ts_event: int
    price: Decimal
    size: Decimal
    side: str | None
    ts_capture: int | None = None

    @property
    def ts(self) -> int:
        return self.ts_event if self.ts_capture is None else self.ts_capture

    @property
    def sign(self) -> int:
        return {"buy": 1, "sell": -1}.get(self.side or "", 0)


def trade_table(trades: Sequence[Trade]) -> pa.Table:
    """The trades as a partition of `trades`."""
    stamp = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "trade_seq": pa.array(range(1, len(trades) + 1), pa.int64()),
            "ts_event": pa.array([trade.ts_event for trade in trades], stamp),
            "ts_capture": pa.array([trade.ts_capture for trade in trades], stamp),
            "price": pa.array([trade.price for trade in trades], STORED),
            "size": pa.array([trade.size for trade in trades], STORED),
            "side": pa.array([trade.side for trade in trades], pa.string()),
        }
    )


def reference(rows: Sequence[Row], trades: Sequence[Trade], to: Settings) -> list[Values]:
    """The features of rows in the order of time, but for VPIN; trades in any order."""
    past: list[Values] = []
    last: Row | None = None
    reset = False
    for number, row in enumerate(rows):
        reset = reset or row.is_reset
        new: Values = {"ts": row.ts, "dmid": None, "log_return": None}
        if row.is_valid:
            if last is not None and not reset and row.ts - last.ts <= to.max_gap_s * S:
                new |= {"dmid": row.mid - last.mid, "log_return": math.log(row.mid / last.mid)}
            last, reset = row, False
        new |= of_interval(rows[number - 1].ts if number else None, row.ts, trades)
        for horizon in to.horizons_s:
            window = [one for one in trades if row.ts - horizon * S < one.ts <= row.ts]
            buy, sell = volume(window, 1), volume(window, -1)
            new |= {
                f"buy_volume_{horizon}s": float(buy) if window else None,
                f"sell_volume_{horizon}s": float(sell) if window else None,
                f"trade_count_{horizon}s": len(window),
                f"tfi_{horizon}s": float((buy - sell) / (buy + sell)) if buy + sell else None,
            }
        past.append(new)
        window_rows = [old for old in past if old["ts"] > row.ts - to.regression_s * S]
        slope, r2, count = line(window_rows, "dmid", "flow")
        other, _, _ = line(window_rows, "log_return", "roots")
        new |= {"kyle_lambda": None, "kyle_lambda_r2": None, "hasbrouck_lambda": None}
        new["kyle_lambda_n"] = count
        if row.is_valid:
            new |= {"kyle_lambda": slope, "kyle_lambda_r2": r2, "hasbrouck_lambda": other}
    return past


def volume(trades: Sequence[Trade], *signs: int) -> Fraction:
    return sum((Fraction(one.size) for one in trades if one.sign in signs), Fraction())


def of_interval(since: int | None, until: int, trades: Sequence[Trade]) -> Values:
    names = ["buy_volume", "sell_volume", "trade_volume", "notional", "trade_count"]
    names += ["signed_volume", "tfi", "trade_vwap", "flow", "roots"]
    if since is None:
        return dict.fromkeys(names)
    mine = [one for one in trades if since < one.ts <= until]
    buy, sell, traded = volume(mine, 1), volume(mine, -1), volume(mine, 1, 0, -1)
    notional = sum((Fraction(one.price) * Fraction(one.size) for one in mine), Fraction())
    roots = math.fsum(one.sign * math.sqrt(one.price * one.size) for one in mine)
    return {
        "buy_volume": float(buy),
        "sell_volume": float(sell),
        "trade_volume": float(traded),
        "notional": float(notional),
        "trade_count": len(mine),
        "signed_volume": float(buy - sell),
        "tfi": float((buy - sell) / (buy + sell)) if buy + sell else None,
        "trade_vwap": float(notional / traded) if traded else None,
        "flow": buy - sell,
        "roots": Fraction(roots),
    }


def line(window: Sequence[Values], of: str, on: str) -> tuple[float | None, float | None, int]:
    """The slope and R squared of a least-squares line with intercept, and its number of points."""
    both = [old for old in window if None not in (old[of], old[on])]
    x, y = [old[on] for old in both], [Fraction(old[of]) for old in both]
    if len(both) < 3 or len(set(x)) == 1:
        return None, None, len(both)
    mean_x, mean_y = sum(x) / Fraction(len(x)), sum(y) / Fraction(len(y))
    xx = sum((a - mean_x) ** 2 for a in x)
    yy = sum((b - mean_y) ** 2 for b in y)
    xy = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return float(xy / xx), float(xy**2 / (xx * yy)) if yy else None, len(both)


def vpin_of(row_ts: int, days: Sequence[Sequence[Trade]], bucket: Fraction, count: int) -> Any:
    """VPIN as of a time: a walk through the trades of each day that pours them into buckets.

    They come in the order of the exchange. A bucket is known when the trade that completes it is,
    and all trades of its day and all buckets before it are.
    """
    shares: list[tuple[int, Fraction]] = []
    for day in days:
        buy = sell = Fraction()
        for number, trade in enumerate(day):
            left = Fraction(trade.size)
            while left:
                part = min(left, bucket - buy - sell)
                left -= part
                buy += part * Fraction(1 + trade.sign, 2)
                sell += part * Fraction(1 - trade.sign, 2)
                if buy + sell == bucket:
                    known = max(one.ts for one in day[: number + 1])
                    shares.append((known, abs(buy - sell) / bucket))
                    buy = sell = Fraction()
    late = next((at for at, (known, _) in enumerate(shares) if known > row_ts), len(shares))
    return mean([share for _, share in shares[:late]], count)


def mean(shares: Sequence[Fraction], count: int) -> float | None:
    return float(sum(shares[-count:]) / count) if len(shares) >= count else None


SIZES = st.one_of(
    st.sampled_from(["0.1", "0.2", "0.3", "0.00000001", "1"]),
    st.integers(1, 5000).map(lambda units: str(Decimal(units) / 1000)),
    st.just("1000"),
).map(Decimal)
PRICES = st.integers(999_000, 1_001_000).map(lambda units: Decimal(units) / 100)


@st.composite
def markets(draw: st.DrawFn, captured: bool = True) -> tuple[list[Row], list[Trade]]:
    """Book rows and trades around a midnight, both in the order of the exchange's clock."""
    steps = draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=20))
    times = np.cumsum([0, *steps[1:]])
    first = draw(st.integers(0, len(steps) - 1))
    moments = (MIDNIGHT + times - times[first]).tolist()
    lags = st.sampled_from([None, 0, 1, 2 * S, -S]) if captured else st.none()

    def clock(event: int) -> int | None:
        lag = draw(lags)
        return None if lag is None else event + lag

    rows = []
    for seq, event in enumerate(moments):
        bids, asks = draw(books())
        is_reset = draw(st.integers(0, 9)) == 0
        rows.append(Row(event, clock(event), seq, is_reset, bids, asks))
    # At the time of a row, just beside it, between rows, before the first and after the last.
    beside = st.sampled_from([0, 0, -1, 1, -S, S, 7 * S, -400 * S])
    count = draw(st.integers(0, 20))
    events = sorted(draw(st.sampled_from(moments)) + draw(beside) for _ in range(count))
    sides = st.sampled_from(["buy", "sell", "buy", "sell", None])
    trades = [
        Trade(event, draw(PRICES), draw(SIZES), draw(sides), clock(event)) for event in events
    ]
    return rows, trades


def split(items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Those before midnight and those after, by the exchange's clock: the partition."""
    return (
        [item for item in items if item.ts_event < MIDNIGHT],
        [item for item in items if item.ts_event >= MIDNIGHT],
    )


def by_row(rows: Sequence[Row], trades: Sequence[Trade], to: Settings) -> list[Values]:
    """The reference in the order that the rows are stored in."""
    order = in_order(rows)
    values = dict(zip(order, reference([rows[at] for at in order], trades, to), strict=True))
    return [values[at] for at in range(len(rows))]


def features(
    book: pa.Table,
    trades: pa.Table,
    book_before: pa.Table | None = None,
    trades_before: pa.Table | None = None,
    settings: Settings = DEFAULTS,
) -> pa.Table:
    return trade_features(book, trades, book_before, trades_before, settings).read_all()


@COMPILES
@given(markets(), st.sampled_from([None, "0.3", "1", "7.25"]))
def test_every_feature_is_what_its_definition_says(
    market: tuple[list[Row], list[Trade]], bucket: str | None
) -> None:
    rows, trades = market
    to = replace(SHORT, bucket_volume=None if bucket is None else Decimal(bucket))
    found = features(table(rows), trade_table(trades), settings=to)
    wanted = by_row(rows, trades, to)
    for value in wanted:
        known = bucket is not None
        value["vpin"] = vpin_of(value["ts"], [trades], Fraction(bucket), 3) if known else None
    assert_agrees(found, rows, wanted)


@COMPILES
@given(markets(), st.sampled_from([None, "0.3", "7.25"]))
def test_a_day_continues_the_day_before(
    market: tuple[list[Row], list[Trade]], bucket: str | None
) -> None:
    rows, trades = market
    (head, day), (earlier, today) = split(rows), split(trades)
    to = replace(SHORT, bucket_volume=None if bucket is None else Decimal(bucket))
    found = features(table(day), trade_table(today), table(head), trade_table(earlier), to)
    wanted = by_row(rows, trades, to)[len(head) :]
    for value in wanted:
        days = [earlier, today]
        value["vpin"] = vpin_of(value["ts"], days, Fraction(bucket), 3) if bucket else None
    since = min(MIDNIGHT, *(row.ts for row in day)) - to.warmup_s * S
    # Where all of the day before is in the warm-up, a day is what one pass over both makes it.
    if head and all(row.ts >= since for row in head):
        assert_agrees(found, day, wanted)
    # The end of the day before is all that counts of its book.
    warm = [row for row in head if row.ts >= since or row in older(head, since)]
    assert found.equals(
        features(table(day), trade_table(today), table(warm), trade_table(earlier), to)
    )


@COMPILES
@given(markets(), st.integers(1, 9))
def test_the_size_of_batches_changes_nothing(
    market: tuple[list[Row], list[Trade]], batch_rows: int
) -> None:
    rows, trades = market
    (head, day), (earlier, today) = split(rows), split(trades)
    given_tables = (table(day), trade_table(today), table(head), trade_table(earlier), SHORT)
    found = trade_features(*given_tables, batch_rows=batch_rows)
    batches = list(found)
    assert [len(batch) for batch in batches[:-1]] == [batch_rows] * (len(batches) - 1)
    assert pa.Table.from_batches(batches, found.schema).equals(features(*given_tables))


def older(head: Sequence[Row], since: int) -> list[Row]:
    """The last row before a time."""
    return [head[at] for at in in_order(head) if head[at].ts < since][-1:]


@COMPILES
@given(markets(captured=False))
def test_a_day_and_its_head_are_one_pass_over_both(
    market: tuple[list[Row], list[Trade]],
) -> None:
    rows, trades = market
    (head, day), (earlier, today) = split(rows), split(trades)
    to = replace(SHORT, bucket_volume=Decimal("0.3"))
    if not head:
        return
    both = features(table(rows), trade_table(trades), settings=to)
    found = features(table(day), trade_table(today), table(head), trade_table(earlier), to)
    names = [name for name in schema(to).names[5:] if name != "vpin"]  # its buckets begin afresh
    assert found.select(names).equals(both.select(names).slice(len(head)))


def plain(ts: int) -> Row:
    return Row(MIDNIGHT + ts, bids=[(100.0, 1.0)], asks=[(100.5, 1.0)])


def at(ts: int, size: str, side: str | None = "buy", lag: int | None = None) -> Trade:
    event = MIDNIGHT + ts
    return Trade(event, Decimal(100), Decimal(size), side, None if lag is None else event + lag)


def test_as_much_bought_as_sold_is_no_flow_at_all() -> None:
    mids = [(100.0, 100.5), (100.5, 101.0), (100.0, 100.5), (101.0, 102.0)]
    rows = [
        Row(MIDNIGHT + ts * S, bids=[(bid, 1.0)], asks=[(ask, 1.0)])
        for ts, (bid, ask) in enumerate(mids)
    ]
    trades = [at(S, "0.1"), at(S, "0.2"), at(S, "0.3", "sell")]
    found = features(table(rows), trade_table(trades))
    assert found["signed_volume"].to_pylist() == [None, 0.0, 0.0, 0.0]
    assert found["tfi"].to_pylist() == [None, 0.0, None, None]
    assert found["kyle_lambda"].to_pylist() == [None] * 4
    assert found["kyle_lambda_n"].to_pylist() == [0, 1, 2, 3]


@COMPILES
@given(markets(), st.sampled_from(["0.3", "1", "7.25"]))
def test_vpin_is_that_of_the_last_known_bucket(
    market: tuple[list[Row], list[Trade]], bucket: str
) -> None:
    rows, trades = market
    (_, day), (earlier, today) = split(rows), split(trades)
    days = [
        read_day("x", "y", date(2025, 8, number), trade_table(some).to_batches())
        for number, some in ((1, earlier), (2, today))
    ]
    volume = Decimal(bucket)
    buckets = bucket_table(days[1], volume, 3, filled(days[0], volume, 3)).to_pylist()
    to = replace(SHORT, bucket_volume=volume)
    found = features(table(day), trade_table(today), None, trade_table(earlier), to)
    for row, value in zip(day, found["vpin"].to_pylist(), strict=True):
        at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=row.ts)
        known = [one["vpin"] for one in buckets if one["ts_available"] <= at]
        if known:
            assert value == known[-1]


def test_a_bucket_of_yesterday_counts_once_its_last_trade_is_received() -> None:
    to = replace(SHORT, buckets=1, bucket_volume=Decimal(1))
    earlier = [at(-2 * S, "1"), at(-S, "0.5"), at(-S, "0.5", "sell", lag=3 * S)]
    rows = table([plain(0), plain(S), plain(2 * S), plain(3 * S)])
    today = [at(S, "0.75"), at(S, "0.25", "sell")] * 2
    found = features(rows, trade_table(today), None, trade_table(earlier), to)
    assert found["vpin"].to_pylist() == [1.0, 1.0, 0.5, 0.5]
    found = features(rows, trade_table([]), None, trade_table(earlier), to)
    assert found["vpin"].to_pylist() == [1.0, 1.0, 0.0, 0.0]


def test_a_giant_trade_fills_many_buckets_at_once() -> None:
    to = replace(SHORT, buckets=50, bucket_volume=Decimal("0.001"))
    rows = table([plain(0), plain(S), plain(2 * S)])
    found = features(rows, trade_table([at(S, "100")]), settings=to)
    assert found["vpin"].to_pylist() == [None, 1.0, 1.0]


def test_a_day_without_rows_or_trades_has_every_column() -> None:
    assert features(table([]), trade_table([at(0, "1")])).schema == schema()
    found = features(table([plain(0), plain(S)]).select(columns_of(1)), trade_table([]))
    assert found.schema == schema()
    assert found["trade_count"].to_pylist() == [None, 0]
    assert found["buy_volume"].to_pylist() == [None, 0.0]
    assert found["buy_volume_5s"].to_pylist() == [None, None]
    assert found["trade_count_5s"].to_pylist() == [0, 0]


def test_sizes_beyond_64_bits_are_as_exact() -> None:
    huge = [at(S, "12345678901234567890"), at(S, "0.000000000001", "sell")]
    found = features(table([plain(0), plain(S)]), trade_table(huge))
    assert found["buy_volume"].to_pylist() == [None, 12345678901234567890.0]
    assert found["sell_volume"].to_pylist() == [None, 1e-12]


@pytest.mark.parametrize("wrong", [{"warmup_s": 1199}, {"horizons_s": (901,)}])
def test_a_warm_up_covers_what_rows_look_back_on(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="look back"):
        Settings(**wrong)


@pytest.mark.parametrize("wrong", [{"horizons_s": (0, 5)}, {"regression_s": -1}])
def test_windows_are_positive(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Settings(**wrong)
