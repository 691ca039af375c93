"""Bars of book rows against their definitions, row by row, in fractions and with `fsum`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.book_bars import FEATURES, FLOW, FLOWS, QUOTES, SCHEMA, book_bars

S = 1_000_000
MIDNIGHT = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp()) * S
LENGTHS = (60, 90, 300)
MAX_GAP_S = 100
CANCELLED = 1e-11
"""What a compensated sum may lose of flows that cancel: n^2 eps^2 sum(abs(flow)), 30 of 1e16."""
Values = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of `book_features` and `order_flow`; without a mid it is not valid."""

    ts_event: int
    mid: float | None = 100.0
    spread: float | None = 1.0
    microprice: float | None = 100.25
    imbalance_l1: float | None = 0.5
    ofi: float | None = 2.0
    mlofi_decay: float | None = 3.0
    log_return: float | None = 0.0
    is_gap: bool = False
    lag: int = 0

    @property
    def ts(self) -> int:
        return self.ts_event + self.lag


def crossed(ts_event: int, lag: int = 0) -> Row:
    return Row(ts_event, None, None, None, None, None, None, None, lag=lag)


def tables(rows: Sequence[Row]) -> tuple[pa.Table, pa.Table]:
    time = pa.timestamp("us", "UTC")
    columns: dict[str, pa.Array] = {
        "exchange": pa.array(["binance"] * len(rows), pa.string()),
        "symbol": pa.array(["BTCUSDT"] * len(rows), pa.string()),
        "date": pa.array([MIDNIGHT // (86_400 * S)] * len(rows), pa.int32()).cast("date32"),
        "row_seq": pa.array(range(1, len(rows) + 1), pa.int64()),
        "ts_event": pa.array([row.ts_event for row in rows], time),
        "ts": pa.array([row.ts for row in rows], time),
        "is_valid": pa.array([row.mid is not None for row in rows], pa.bool_()),
        "is_gap": pa.array([row.is_gap for row in rows], pa.bool_()),
    }
    columns |= {
        name: pa.array([getattr(row, name) for row in rows], pa.float64())
        for name in (*QUOTES, *FLOWS)
    }
    table = pa.table(columns)
    return table.select(FEATURES), table.select(FLOW)


def bars(
    rows: Sequence[Row], before: Row | None = None, lengths_s: Sequence[int] = LENGTHS
) -> list[Values]:
    last = None if before is None else tables([before])[0]
    made = book_bars(*tables(rows), last, lengths_s, MAX_GAP_S)
    assert made.schema == SCHEMA
    return [
        {
            name: int(value.timestamp()) * S + value.microsecond
            if isinstance(value, datetime)
            else value
            for name, value in row.items()
        }
        for row in made.to_pylist()
    ]


def total(values: Sequence[float]) -> float | None:
    return math.fsum(values) if values else None


def mean_over_time(rows: Sequence[Row], open_us: int, close_us: int) -> float | None:
    """Walk through the books, each up to the next one, and add up what lies in the bar."""
    area, covered = Fraction(0), 0
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        until = row.ts_event + MAX_GAP_S * S
        if following is not None:
            until = min(until, following.ts_event)
        part = min(until, close_us) - max(row.ts_event, open_us)
        if part > 0 and row.spread is not None:
            area += Fraction(row.spread) * part
            covered += part
    return float(area / covered) if covered else None


def expected(
    rows: Sequence[Row], before: Row | None, lengths_s: Sequence[int] = LENGTHS
) -> list[Values]:
    made = []
    history = [*([] if before is None else [before]), *rows]
    for seconds in lengths_s:
        for open_us in range(MIDNIGHT, MIDNIGHT + 86_400 * S, seconds * S):
            close_us = open_us + seconds * S
            inside = [row for row in rows if open_us <= row.ts_event < close_us]
            if not inside:
                continue
            valid = [row for row in inside if row.mid is not None]
            mids = [row.mid for row in valid if row.mid is not None]
            first, last = (valid[0], valid[-1]) if valid else (crossed(0), crossed(0))
            squares = [
                float(Fraction(row.log_return) ** 2) for row in inside if row.log_return is not None
            ]
            variance = total(squares)
            spread = total([row.spread for row in valid if row.spread is not None])
            known = [row.ts for row in rows if row.ts_event < close_us]
            made.append({
                "exchange": "binance", "symbol": "BTCUSDT",
                "date": datetime.fromtimestamp(MIDNIGHT // S, UTC).date(),
                "bar_seconds": seconds, "ts_open": open_us, "ts_close": close_us,
                "ts_available": max(close_us, *known),
                "mid_open": first.mid, "mid_close": last.mid,
                "mid_high": max(mids, default=None), "mid_low": min(mids, default=None),
                "spread_mean": None if spread is None else spread / len(valid),
                "spread_twap": mean_over_time(history, open_us, close_us),
                "ofi_sum": total([row.ofi for row in inside if row.ofi is not None]),
                "mlofi_decay_sum": total(
                    [row.mlofi_decay for row in inside if row.mlofi_decay is not None]
                ),
                "mlofi_decay_close": last.mlofi_decay,
                "realized_var": variance,
                "realized_vol": None if variance is None else math.sqrt(variance),
                "imbalance_l1_open": first.imbalance_l1, "imbalance_l1_close": last.imbalance_l1,
                "microprice_open": first.microprice, "microprice_close": last.microprice,
                "book_row_count": len(inside), "is_gap": any(row.is_gap for row in inside),
            })  # fmt: skip
    return made


def assert_equal(found: Sequence[Values], wanted: Sequence[Values]) -> None:
    assert len(found) == len(wanted)
    for row, right in zip(found, wanted, strict=True):
        assert row.keys() == right.keys()
        for name, value in right.items():
            if isinstance(value, float) and isinstance(row[name], float):
                lost = CANCELLED if name in ("ofi_sum", "mlofi_decay_sum") else 1e-300
                close = math.isclose(row[name], value, rel_tol=1e-12, abs_tol=lost)
                assert close, (name, row, right)
            else:
                assert row[name] == value, (name, row, right)


PRICE = st.floats(1e-6, 1e6)
SIZE = st.floats(-1e9, 1e9) | st.sampled_from([0.1, -0.1, 0.3, 1e16, -1e16])
STEP = st.sampled_from([0, 0, 1, S - 1, S, 30 * S, 60 * S, 99 * S, 100 * S, 100 * S + 1, 700 * S])
LAG = st.sampled_from([0, 0, 5, 2 * S, 90 * S, -2 * S])


@st.composite
def a_day(draw: st.DrawFn) -> list[Row]:
    ts, rows = MIDNIGHT + draw(STEP), []
    for _ in range(draw(st.integers(1, 30))):
        if draw(st.integers(0, 3)) == 0:
            rows.append(crossed(ts, draw(LAG)))
        else:
            has_flow = draw(st.booleans())
            flow = {name: draw(SIZE) if has_flow else None for name in ("ofi", "mlofi_decay")}
            rows.append(Row(
                ts, draw(PRICE), draw(st.floats(0, 10)), draw(PRICE), draw(st.floats(-1, 1)),
                **flow, log_return=draw(st.floats(-1, 1)) if has_flow else None,
                is_gap=not has_flow, lag=draw(LAG),
            ))  # fmt: skip
        ts += draw(STEP)
    return rows


@st.composite
def evenings(draw: st.DrawFn) -> Row | None:
    ts = MIDNIGHT - draw(st.sampled_from([1, S, 99 * S, 100 * S, 101 * S, 3600 * S]))
    spread = draw(st.floats(0, 10))
    return draw(st.sampled_from([None, crossed(ts), Row(ts, spread=spread)]))


@given(rows=a_day(), before=evenings())
def test_a_bar_is_what_its_definitions_say_of_its_rows(rows: list[Row], before: Row | None) -> None:
    assert_equal(bars(rows, before), expected(rows, before))


@given(rows=a_day(), before=evenings())
def test_a_longer_bar_is_what_the_shorter_ones_in_it_add_up_to(
    rows: list[Row], before: Row | None
) -> None:
    made = bars(rows, before, [60, 300])
    for longer in (bar for bar in made if bar["bar_seconds"] == 300):
        parts = [
            bar for bar in made
            if bar["bar_seconds"] == 60 and longer["ts_open"] <= bar["ts_open"] < longer["ts_close"]
        ]  # fmt: skip

        def known(name: str, parts: Sequence[Values] = parts) -> list[float]:
            return [part[name] for part in parts if part[name] is not None]

        for name in ("mid", "imbalance_l1", "microprice"):
            firsts, lasts = known(f"{name}_open"), known(f"{name}_close")
            assert longer[f"{name}_open"] == (firsts[0] if firsts else None)
            assert longer[f"{name}_close"] == (lasts[-1] if lasts else None)
        assert longer["mid_high"] == max(known("mid_high"), default=None)
        assert longer["mid_low"] == min(known("mid_low"), default=None)
        assert longer["book_row_count"] == sum(known("book_row_count"))
        assert longer["is_gap"] == any(part["is_gap"] for part in parts)
        assert longer["ts_available"] == max(longer["ts_close"], known("ts_available")[-1])
        for name in ("ofi_sum", "mlofi_decay_sum", "realized_var"):
            added = total(known(name))
            if added is None:
                assert longer[name] is None
            else:  # each part is rounded once
                scale = math.fsum(abs(value) for value in known(name))
                assert abs(longer[name] - added) <= 1e-15 * scale + CANCELLED


def test_a_row_on_the_boundary_is_in_the_bar_that_begins() -> None:
    rows = [Row(MIDNIGHT, 1.0), Row(MIDNIGHT + 60 * S - 1, 2.0), Row(MIDNIGHT + 60 * S, 3.0)]
    first, second = bars(rows, lengths_s=[60])
    assert (first["mid_open"], first["mid_close"], first["book_row_count"]) == (1.0, 2.0, 2)
    assert (second["mid_open"], second["ts_open"]) == (3.0, MIDNIGHT + 60 * S)


def test_rows_of_one_instant_stay_in_the_order_of_row_seq() -> None:
    rows = [Row(MIDNIGHT, mid) for mid in (5.0, 1.0, 9.0, 4.0)]
    (bar,) = bars(rows, lengths_s=[60])
    assert [bar[f"mid_{name}"] for name in ("open", "high", "low", "close")] == [5.0, 9.0, 1.0, 4.0]


def test_what_an_invalid_row_does_not_have_is_null_and_the_row_is_counted() -> None:
    (bar,) = bars([crossed(MIDNIGHT + S), crossed(MIDNIGHT + 2 * S)], lengths_s=[60])
    undefined = {name for name, value in bar.items() if value is None}
    assert undefined == set(SCHEMA.names) - {
        "exchange", "symbol", "date", "bar_seconds", "ts_open", "ts_close", "ts_available",
        "book_row_count", "is_gap",
    }  # fmt: skip
    assert (bar["book_row_count"], bar["is_gap"]) == (2, False)


def test_the_spread_is_weighted_by_how_long_each_book_holds() -> None:
    rows = [Row(MIDNIGHT, spread=1.0), Row(MIDNIGHT + 45 * S, spread=5.0)]
    (bar,) = bars(rows, lengths_s=[60])
    assert bar["spread_mean"] == 3.0
    assert bar["spread_twap"] == (45 * 1.0 + 15 * 5.0) / 60


def test_a_bar_begins_with_the_book_of_the_row_before_even_of_yesterday() -> None:
    (bar,) = bars([Row(MIDNIGHT + 30 * S, spread=3.0)], Row(MIDNIGHT - S, spread=1.0), [60])
    assert bar["spread_twap"] == 2.0
    (alone,) = bars([Row(MIDNIGHT + 30 * S, spread=3.0)], None, [60])
    assert alone["spread_twap"] == 3.0


def test_a_book_says_nothing_once_it_is_older_than_max_gap_or_followed_by_an_invalid_one() -> None:
    rows = [Row(MIDNIGHT, spread=1.0), Row(MIDNIGHT + 200 * S, spread=4.0)]
    (bar,) = bars(rows, lengths_s=[300])  # each holds for 100 s
    assert bar["spread_twap"] == 2.5
    rows = [Row(MIDNIGHT, spread=1.0), crossed(MIDNIGHT + 20 * S), Row(MIDNIGHT + 40 * S, spread=4)]
    (bar,) = bars(rows, lengths_s=[60])
    assert bar["spread_twap"] == 2.5


def test_a_bar_is_not_available_before_all_that_came_before_its_end_is() -> None:
    rows = [Row(MIDNIGHT, lag=300 * S), Row(MIDNIGHT + 61 * S), Row(MIDNIGHT + 400 * S, lag=-S)]
    made = bars(rows, lengths_s=[60])
    assert [bar["ts_available"] - MIDNIGHT for bar in made] == [300 * S, 300 * S, 420 * S]


def test_small_flows_survive_between_large_ones_that_cancel() -> None:
    flows = [1e16, 1.0, 1.0, 1.0, -1e16]
    rows = [Row(MIDNIGHT + number, ofi=flow) for number, flow in enumerate(flows)]
    (bar,) = bars(rows, lengths_s=[60])
    assert bar["ofi_sum"] == 3.0


def test_a_day_without_rows_has_no_bars() -> None:
    assert bars([]) == []


def test_rows_that_do_not_belong_together_and_lengths_that_leave_a_rest_are_refused() -> None:
    features, flow = tables([Row(MIDNIGHT), Row(MIDNIGHT + 1)])
    with pytest.raises(ValueError, match="do not have the same rows"):
        book_bars(features, flow.slice(1), None, [60], MAX_GAP_S)
    with pytest.raises(ValueError, match="order of ts_event"):
        book_bars(*tables([Row(MIDNIGHT + 1), Row(MIDNIGHT)]), None, [60], MAX_GAP_S)
    for seconds in (0, 7, -60):
        with pytest.raises(ValueError, match="do not divide a day"):
            book_bars(features, flow, None, [60, seconds], MAX_GAP_S)
