"""Features of book rows against FEATURES.md, written out row by row.

The reference looks at every earlier row each time, adds with `fsum` and fits lines in fractions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklake.microstructure.book import columns_of
from ticklake.microstructure.order_flow import DEFAULTS, Levels, Settings, order_flow, schema
from ticklake.microstructure.regime import Thresholds, regimes_by_rank

S = 1_000_000
MIDNIGHT = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp()) * S
LEVELS = 3
SHORT = Settings(
    horizons_s=(5, 60, 300),
    half_lives_s=(5, 15),
    regression_s=60,
    percentile_s=60,
    max_gap_s=300,
    warmup_s=600,
)
# Longer than a row takes, shorter than a test may: the loops are compiled on their first run.
COMPILES = settings(deadline=None, max_examples=150)
Level = tuple[float, float]
Values = dict[str, Any]


@dataclass(frozen=True)
class Row:
    ts_event: int
    ts_capture: int | None = None
    seq: int | None = None
    is_reset: bool = False
    bids: Sequence[Level] = ()
    asks: Sequence[Level] = ()

    @property
    def ts(self) -> int:
        return self.ts_event if self.ts_capture is None else self.ts_capture

    @property
    def state(self) -> str:
        if not self.bids or not self.asks:
            return "one_sided" if self.bids or self.asks else "empty"
        bid, ask = self.bids[0][0], self.asks[0][0]
        return "crossed" if bid > ask else "locked" if bid == ask else "ok"

    @property
    def is_valid(self) -> bool:
        return self.state in ("ok", "locked")

    @property
    def mid(self) -> float:
        return (self.bids[0][0] + self.asks[0][0]) / 2

    @property
    def spread(self) -> float:
        return self.asks[0][0] - self.bids[0][0]


def table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a partition of `order_book`."""
    stamp = pa.timestamp("us", "UTC")
    columns: dict[str, pa.Array] = {
        "exchange": pa.array(["binance"] * len(rows), pa.string()),
        "symbol": pa.array(["BTCUSDT"] * len(rows), pa.string()),
        "date": pa.array([row.ts_event // (86_400 * S) for row in rows], pa.int32()).cast("date32"),
        "row_seq": pa.array(range(1, len(rows) + 1), pa.int64()),
        "ts_event": pa.array([row.ts_event for row in rows], stamp),
        "ts_capture": pa.array([row.ts_capture for row in rows], stamp),
        "seq": pa.array([row.seq for row in rows], pa.int64()),
        "is_reset": pa.array([row.is_reset for row in rows], pa.bool_()),
        "book_state": pa.array([row.state for row in rows], pa.string()),
    }
    for side in ("bid", "ask"):
        for level in range(LEVELS):
            for at, what in enumerate(("price", "size")):
                found = [row.bids if side == "bid" else row.asks for row in rows]
                values = [one[level][at] if level < len(one) else None for one in found]
                columns[f"{side}_{what}_{level + 1}"] = pa.array(values, pa.float64())
    return pa.table(columns)


def in_order(rows: Sequence[Row]) -> list[int]:
    """C01: by time, seq and arrival, no seq before any."""
    return sorted(
        range(len(rows)),
        key=lambda at: (rows[at].ts, rows[at].seq is not None, rows[at].seq or 0, at),
    )


def reference(rows: Sequence[Row], to: Settings = SHORT) -> list[Values]:
    """The features of rows in the order of time."""
    past: list[Values] = []
    last: Row | None = None
    reset = False
    state, since = "", 0
    decay: dict[int, float] = {}
    for number, row in enumerate(rows):
        reset = reset or row.is_reset
        step = row.ts - rows[number - 1].ts if number else None
        new: Values = {"ts": row.ts, "dt_us": step, "is_gap": False, "valid": row.is_valid}
        new |= {"mid": None, "relative": None, "spread_regime": None, "spread_regime_age_us": None}
        flows: list[float | None] = [None] * LEVELS
        new |= {"dmid": None, "log_return": None, "mlofi_decay": None}
        if row.is_valid:
            new["mid"], new["relative"] = row.mid, row.spread / row.mid
            broken = last is None or reset or row.ts - last.ts > to.max_gap_s * S
            new["is_gap"] = broken
            if last is not None and not broken:
                flows = [level_flow(row, last, level) for level in range(LEVELS)]
                new["dmid"] = row.mid - last.mid
                new["log_return"] = math.log(row.mid / last.mid)
                weights = [math.exp(-to.level_alpha * level) for level in range(LEVELS)]
                weighed = zip(weights, flows, strict=True)
                new["mlofi_decay"] = math.fsum(by * e for by, e in weighed if e is not None)
            entered = machine("" if broken else state, 1e4 * row.spread / row.mid)
            if broken or entered != state:
                state, since = entered, row.ts
            new["spread_regime"], new["spread_regime_age_us"] = state, row.ts - since
            last, reset = row, False
        new |= {f"mlofi_l{level}": e for level, e in enumerate(flows, 1)} | {"ofi": flows[0]}
        for life in to.half_lives_s:
            if life in decay and step is not None:
                decay[life] *= 0.5 ** (step / (life * S))
            if flows[0] is not None:
                decay[life] = decay.get(life, 0.0) + flows[0]
            new[f"ofi_decay_hl{life}s"] = decay.get(life)
        past.append(new)
        for horizon in to.horizons_s:
            new |= over_horizon(past, horizon, to.max_gap_s)
        new |= line(past, to.regression_s)
        new |= percentile(past, to.percentile_s)
    return past


def level_flow(row: Row, last: Row, level: int) -> float | None:
    def side(levels: Sequence[Level], nowhere: float) -> Level:
        return levels[level] if level < len(levels) else (nowhere, 0.0)

    (pb, qb), (pb0, qb0) = side(row.bids, -math.inf), side(last.bids, -math.inf)
    (pa_, qa), (pa0, qa0) = side(row.asks, math.inf), side(last.asks, math.inf)
    if all(math.isinf(price) for price in (pb, pb0, pa_, pa0)):
        return None
    return (pb >= pb0) * qb - (pb <= pb0) * qb0 - (pa_ <= pa0) * qa + (pa_ >= pa0) * qa0


def machine(state: str, bps: float) -> str:
    if (state == "tight" and bps < 1.5) or (state == "wide" and bps > 4):
        return state
    return "tight" if bps <= 1 else "wide" if bps >= 5 else "normal"


def of_window(past: Sequence[Values], seconds: int) -> list[Values]:
    return [old for old in past if old["ts"] > past[-1]["ts"] - seconds * S]


def known(window: Sequence[Values], name: str) -> list[float]:
    return [old[name] for old in window if old[name] is not None]


def over_horizon(past: Sequence[Values], h: int, max_gap_s: int) -> Values:
    window = of_window(past, h)
    values: Values = {f"row_count_{h}s": len(window)}
    for name, of in (("ofi_sum", "ofi"), ("mlofi_decay_sum", "mlofi_decay")):
        flows = known(window, of)
        values[f"{name}_{h}s"] = math.fsum(flows) if flows else None
    moves, spreads = known(window, "log_return"), known(window, "relative")
    squares = math.fsum(r * r for r in moves)
    mean = math.fsum(moves) / max(len(moves), 1)
    deviation = math.fsum((r - mean) ** 2 for r in moves)
    values |= {
        f"ret_sum_{h}s": math.fsum(moves) if moves else None,
        f"realized_var_{h}s": squares if moves else None,
        f"realized_vol_{h}s": math.sqrt(squares) if moves else None,
        f"ret_std_{h}s": math.sqrt(deviation / (len(moves) - 1)) if len(moves) > 1 else None,
        f"rel_spread_mean_{h}s": math.fsum(spreads) / len(spreads) if spreads else None,
        f"return_{h}s": None,
    }
    at = past[-1]["ts"] - h * S
    before = [old for old in past if old["ts"] <= at and old["valid"]]
    if past[-1]["valid"] and before and at - before[-1]["ts"] <= max_gap_s * S:
        values[f"return_{h}s"] = math.log(past[-1]["mid"] / before[-1]["mid"])
    return values


def line(past: Sequence[Values], seconds: int) -> Values:
    both = [old for old in of_window(past, seconds) if None not in (old["ofi"], old["dmid"])]
    x, y = [Fraction(old["ofi"]) for old in both], [Fraction(old["dmid"]) for old in both]
    if not past[-1]["valid"] or len(both) < 3 or len(set(x)) == 1:
        return {"ofi_beta": None, "ofi_beta_r2": None}
    mean_x, mean_y = sum(x) / Fraction(len(x)), sum(y) / Fraction(len(y))
    xx = sum((a - mean_x) ** 2 for a in x)
    yy = sum((b - mean_y) ** 2 for b in y)
    xy = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return {"ofi_beta": float(xy / xx), "ofi_beta_r2": float(xy**2 / (xx * yy)) if yy else None}


def percentile(past: Sequence[Values], seconds: int) -> Values:
    if not past[-1]["valid"]:
        return {"spread_percentile": None, "spread_regime_pct": None}
    spreads = known(of_window(past, seconds), "relative")
    share = sum(spread < spreads[-1] for spread in spreads) / len(spreads)
    name = "tight" if share <= 0.2 else "wide" if share >= 0.8 else "normal"
    return {"spread_percentile": share, "spread_regime_pct": name}


ticks = st.integers(20_000, 20_014)
sizes = st.integers(1, 3000).map(lambda n: n / 1000)
sides = st.dictionaries(ticks, sizes, max_size=LEVELS).map(lambda side: sorted(side.items()))


@st.composite
def books(draw: st.DrawFn) -> tuple[list[Level], list[Level]]:
    """Any two sides, mostly ones that do not cross: half a basis point a tick."""
    bids, asks = draw(sides), draw(sides)
    shift = draw(st.sampled_from([0, 0, 0, 1, 2, 3, 8, 9, 10, 11]))
    if bids and asks and draw(st.integers(0, 4)):
        move = bids[-1][0] - asks[0][0] + shift
        asks = [(tick + move, size) for tick, size in asks]
    return [(tick / 2, size) for tick, size in reversed(bids)], [(t / 2, q) for t, q in asks]


STEPS = [0, 0, 1, S // 2, S, 5 * S, 5 * S + 1, 60 * S, 299 * S, 300 * S, 300 * S + 1, 650 * S]


@st.composite
def feeds(draw: st.DrawFn, captured: bool = True) -> list[Row]:
    """Rows around a midnight, in the order of the exchange's clock."""
    steps = draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=30))
    times = np.cumsum([0, *steps[1:]])
    first = draw(st.integers(0, len(steps) - 1))
    ts = MIDNIGHT + draw(st.sampled_from([0, 1, 10 * S])) + times - times[first]
    lags = st.sampled_from([None, 0, 1, 2 * S, -S]) if captured else st.none()
    rows = []
    for seq, event in enumerate(ts.tolist()):
        lag = draw(lags)
        bids, asks = draw(books())
        row = Row(
            ts_event=event,
            ts_capture=None if lag is None else event + lag,
            seq=draw(st.sampled_from([None, seq, seq, -seq])),
            is_reset=draw(st.integers(0, 9)) == 0,
            bids=bids,
            asks=asks,
        )
        rows.append(row)
    return sorted(rows, key=lambda row: (row.ts_event, row.seq is not None, row.seq or 0))


def assert_agrees(found: pa.Table, rows: Sequence[Row], wanted: Sequence[Values]) -> None:
    """The table has a row for each of `rows`, with the values wanted."""
    assert found.num_rows == len(rows) == len(wanted)
    for name in found.column_names[5:]:
        column = found[name].cast(pa.int64()) if name == "ts" else found[name]
        for number, value in enumerate(column.to_pylist()):
            right = wanted[number][name]
            if isinstance(value, float) and isinstance(right, float):
                close = math.isclose(value, right, rel_tol=1e-9, abs_tol=1e-12)
                assert close, (name, number, value, right)
            else:
                assert value == right, (name, number, value, right)


def by_row(rows: Sequence[Row]) -> list[Values]:
    """The reference in the order that the rows are stored in."""
    order = in_order(rows)
    values = dict(zip(order, reference([rows[at] for at in order]), strict=True))
    return [values[at] for at in range(len(rows))]


def features(
    rows: pa.Table, head: pa.Table | None = None, settings: Settings = DEFAULTS
) -> pa.Table:
    return order_flow(rows, head, settings).read_all()


@COMPILES
@given(feeds())
def test_every_feature_is_what_its_definition_says(rows: list[Row]) -> None:
    assert_agrees(features(table(rows), settings=SHORT), rows, by_row(rows))


@COMPILES
@given(feeds())
def test_a_day_continues_the_day_before_from_its_warm_up(rows: list[Row]) -> None:
    head = [row for row in rows if row.ts_event < MIDNIGHT]
    day = rows[len(head) :]
    found = features(table(day), table(head), SHORT)
    since = min(MIDNIGHT, *(row.ts for row in day)) - SHORT.warmup_s * S
    older = [head[at] for at in in_order(head) if head[at].ts < since]
    warm = [row for row in head if row.ts >= since or row in older[-1:]]
    assert_agrees(found, day, by_row([*warm, *day])[len(warm) :])
    # The end of the day before is all that counts of it.
    assert found.equals(features(table(day), table(warm), SHORT))
    # What no decay and no regime is in is what one pass over both days makes it.
    state = {"spread_regime", "spread_regime_age_us", *(f"ofi_decay_hl{h}s" for h in (5, 15))}
    if warm:
        passed = found.select([name for name in found.column_names if name not in state])
        assert_agrees(passed, day, by_row(rows)[len(head) :])


@COMPILES
@given(feeds(captured=False))
def test_transient_bad_rows_neither_make_nor_lose_flow(rows: list[Row]) -> None:
    kept = [row for row in rows if row.is_valid or row.is_reset]
    everything = features(table(rows), settings=SHORT)
    everything = everything.filter(pa.array([row in kept for row in rows]))
    without = features(table(kept), settings=SHORT)
    names = ["is_gap", "ofi", "mlofi_decay", "dmid", "ofi_sum_60s", "ret_sum_300s", "ofi_beta"]
    for name in names:
        assert everything[name].to_pylist() == without[name].to_pylist()


@COMPILES
@given(feeds(), st.integers(1, 9))
def test_neither_batches_nor_how_levels_are_read_change_anything(
    rows: list[Row], batch_rows: int
) -> None:
    head = [row for row in rows if row.ts_event < MIDNIGHT]
    day = table(rows[len(head) :])
    at_once = features(day, table(head), settings=SHORT)
    levels = Levels(LEVELS, lambda names: day.select(names).to_batches(batch_rows))
    found = order_flow(day.select(columns_of(1)), table(head), SHORT, levels, batch_rows)
    batches = list(found)
    assert [len(batch) for batch in batches[:-1]] == [batch_rows] * (len(batches) - 1)
    assert pa.Table.from_batches(batches, found.schema).equals(at_once)


def quoted(bps: float, ts: int, **more: Any) -> Row:
    """A row of mid 10,000 and so many basis points."""
    return Row(
        MIDNIGHT + ts, bids=[(10_000 - bps / 2, 1.0)], asks=[(10_000 + bps / 2, 1.0)], **more
    )


def test_a_regime_is_left_later_than_it_is_entered() -> None:
    spreads = [1.2, 1.0, 1.2, 1.5, 1.2, 4.5, 5.0, 4.5, 4.0, 0.5, 6.0, 0.5]
    rows = [quoted(bps, ts * S) for ts, bps in enumerate(spreads)]
    bad = Row(MIDNIGHT + 12 * S)
    more = [bad, quoted(1.2, 13 * S), quoted(1.2, 14 * S, is_reset=True)]
    found = features(table([*rows, *more]))
    assert found["spread_regime"].to_pylist() == [
        *("normal", "tight", "tight", "normal", "normal", "normal"),
        *("wide", "wide", "normal", "tight", "wide", "tight"),
        *(None, "tight", "normal"),
    ]
    ages = found["spread_regime_age_us"].to_pylist()
    assert [age if age is None else age // S for age in ages] == [
        *(0, 0, 1, 0, 1, 2, 0, 1, 0, 0, 0, 0),
        *(None, 2, 0),
    ]


@pytest.mark.parametrize(("late_us", "is_gap"), [(0, False), (1, True)])
def test_exactly_the_longest_gap_is_none(late_us: int, is_gap: bool) -> None:
    found = features(table([quoted(1, 0), quoted(2, 300 * S + late_us)]))
    assert found["is_gap"].to_pylist() == [True, is_gap]
    assert found["ofi"].null_count == 1 + is_gap


def test_a_fifth_of_the_window_is_tight_and_four_fifths_are_wide() -> None:
    share = np.array([0.0, 0.2, 0.21, 0.79, 0.8, 1.0, math.nan])
    assert regimes_by_rank(share).tolist() == [0, 0, 1, 1, 2, 2, -1]


def test_a_receive_clock_far_behind_still_finds_what_was_before() -> None:
    hour = 3600 * S
    late = replace(quoted(2, 0), ts_capture=MIDNIGHT - hour)
    found = features(table([late]), table([quoted(1, -hour - S), quoted(3, -S)]))
    assert found["dt_us"].to_pylist() == [S]
    assert found["is_gap"].to_pylist() == [False]


def test_a_day_without_rows_has_every_column() -> None:
    for head in (None, table([quoted(1, -S)])):
        found = features(table([]), head)
        assert found.num_rows == 0
        assert found.schema == schema(LEVELS)


def test_a_table_has_the_columns_of_its_settings() -> None:
    rows = table([quoted(1, 0)])
    assert features(rows).schema == schema(LEVELS, Settings())
    assert features(rows.select(columns_of(LEVELS))).equals(features(rows))
    names = features(rows, settings=SHORT).column_names
    assert names == schema(LEVELS, SHORT).names
    assert "return_900s" not in names


@pytest.mark.parametrize(
    "wrong",
    [
        {"warmup_s": 1199},
        {"half_lives_s": (5, 31)},
        {"horizons_s": (901,)},
        {"percentile_s": 901},
        {"regression_s": 0},
        {"half_lives_s": (0,)},
    ],
)
def test_a_warm_up_covers_what_rows_look_back_on(wrong: dict[str, Any]) -> None:
    assert Settings() == replace(Settings(), warmup_s=1200)
    with pytest.raises(ValueError, match=r"positive|look back"):
        Settings(**wrong)


def test_thresholds_rise() -> None:
    with pytest.raises(ValueError, match="have to rise"):
        Thresholds(tight_from=2.0)
