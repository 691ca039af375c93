"""Features in SQL against plain Python, from raw books of every kind to the tables.

One lake, built a day at a time with late rows of the day before, is compared with the definitions
row by row, and with a lake that is built at once byte by byte.
"""

import json
import math
import random
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from tests.integration.test_end_to_end import Operator

S = 1_000_000
DAYS = ("2024-01-02", "2024-01-03")
LEVELS, BANDS, SWEEPS = 10, (5, 10, 25, 50, 100), (1, 10)
FEATURED = ("book_features", "order_flow", "trade_flow", "basis", "trade_quality")
TABLES = ("+features", "trade_quality", "quality")
Level = tuple[float | None, float | None]
Values = dict[str, Any]


@dataclass(frozen=True)
class Raw:
    """A raw row; `arrival` is the order of segments and rows in them."""

    ts_event: int
    ts_capture: int | None
    values: Values

    @property
    def ts(self) -> int:
        return self.ts_event if self.ts_capture is None else self.ts_capture


def midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * S


def side(draw: random.Random, best: float, step: float) -> list[Level]:
    """Levels from `best` on, good and bad ones, mostly best first."""
    sizes = [0.1, 0.1, 0.1, 1e-8, 0.3, 7.0, 1234567.891]
    if draw.random() < 0.1:
        return [(best + step * number, 0.1) for number in range(10)]  # ten tenths
    levels: list[Level] = []
    for number in range(draw.choice([0, 1, 1, 2, 3, 5, 9, 10, 12])):
        levels.append((round(best + step * number * draw.choice([1, 1, 7, 40]), 8),
                       draw.choice(sizes)))  # fmt: skip
    bad = [(None, 1.0), (best, None), (math.nan, 1.0), (best, 0.0), (-1.0, 1.0), (best, math.inf)]
    if draw.random() < 0.2:
        levels.insert(0, draw.choice(bad))
    if draw.random() < 0.2:
        draw.shuffle(levels)
    return levels


def books(draw: random.Random, day: str, count: int) -> list[Raw]:
    ts, rows = midnight(day), []
    for number in range(count):
        ts += draw.choice([0, 0, 1, S // 10, S, 30 * S, 61 * S, 301 * S])
        middle = draw.choice([10_000.0, 100.0, 0.00012345, 68_000.01])
        tick = middle / draw.choice([20_000, 10_000, 2_000])
        apart = draw.choice([1, 1, 1, 2, 0, -1])
        levels = {
            "bids": side(draw, middle, -tick),
            "asks": side(draw, middle + apart * tick, tick),
        }
        lag = draw.choice([None, 0, 5, S // 5, 2 * S])
        seq = draw.choice([None, number, number])
        row = Raw(ts, None if lag is None else ts + lag, {"seq": seq, "is_reset": None, **levels})
        rows.append(row)
        if seq is not None and draw.random() < 0.1:  # again, once with another book
            rows.append(Raw(ts, row.ts_capture, {**row.values, "bids": [(1.0, 1.0)]}))
            rows.append(Raw(ts, None, row.values))
    return rows


def said(draw: random.Random, day: str, make: Callable[[], Values], until: int) -> list[Raw]:
    """Marks or funding rates, the first a while after midnight; some times come twice."""
    ts, rows = midnight(day) + 20 * S, []
    while ts < until:
        lag = draw.choice([None, None, 0, S])
        rows.append(Raw(ts, None if lag is None else ts + lag, make()))
        ts += draw.choice([0, S, 20 * S, 60 * S, 60 * S + 1, 200 * S, 900 * S])
    return rows


def trades(draw: random.Random, day: str, until: int) -> list[Raw]:
    ts, rows = midnight(day), []
    while ts < until:
        values = {"price": Decimal(draw.randrange(9_990, 10_010)), "trade_id": str(len(rows))}
        values |= {"size": Decimal(draw.randrange(1, 99)) / 10}
        rows.append(Raw(ts, None, {**values, "side": draw.choice(["buy", "sell", None])}))
        ts += draw.choice([0, S, 30 * S, 200 * S])
    return rows


def land(root: Path, channel: str, day: str, segment: str, rows: Sequence[Raw]) -> None:
    schema = CHANNELS[channel].schema
    listed = [
        {"ts_event": row.ts_event, "ts_capture": row.ts_capture, **row.values} for row in rows
    ]
    for item in listed:
        for name in ("bids", "asks"):
            if name in item:
                item[name] = [{"price": price, "size": size} for price, size in item[name]]
    folder = root / f"raw/{channel}/exchange=binance/symbol=BTCUSDT/date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(listed, schema), folder / f"{segment}.parquet")


def clean(levels: Sequence[Level], reverse: bool) -> list[tuple[float, float]]:
    """C03."""
    by_price: dict[float, list[float]] = {}
    for price, size in levels:
        if price and size and price > 0 and size > 0 and math.isfinite(price + size):
            by_price.setdefault(price, []).append(size)
    return [(price, math.fsum(by_price[price])) for price in sorted(by_price, reverse=reverse)]


def in_order(rows: Sequence[Raw]) -> list[Raw]:
    """C01 and C02: by time, seq and arrival; the same book of the same (ts, seq) once."""
    order = sorted(
        range(len(rows)),
        key=lambda at: (
            rows[at].ts_event,
            rows[at].values["seq"] is not None,
            rows[at].values["seq"] or 0,
            at,
        ),
    )
    kept: list[Raw] = []
    for row in (rows[at] for at in order):
        said = row.ts_event, repr(row.values)
        before = kept if row.values["seq"] is not None else kept[-1:]
        if said in [(one.ts_event, repr(one.values)) for one in before]:
            continue
        kept.append(row)
    return kept


def of_side(side: str, levels: Sequence[tuple[float, float]], mid: Fraction | None) -> Values:
    """Distances are those of the feed's decimals: 0.999 is exactly 10 bps off 1."""
    best, size = levels[0] if levels else (None, None)
    values: Values = {f"{side}_levels": len(levels), f"best_{side}": best}
    values[f"best_{side}_size"] = size
    depth = [math.fsum(size for _, size in levels[:count]) for count in range(1, LEVELS + 1)]
    for number in range(1, LEVELS + 1):
        values[f"{side}_cum_depth_l{number}"] = depth[number - 1] if levels else None
    values |= {f"{side}_depth_{band}bps": None for band in BANDS}
    values |= {f"{side}_slope": None, f"{side}_slope_ols": None}
    if mid is not None:
        away = [abs(Fraction(repr(price)) - mid) for price, _ in levels]
        for band in BANDS:
            border = mid * band / 10_000
            if away[-1] >= border:
                values[f"{side}_depth_{band}bps"] = math.fsum(
                    size for (_, size), off in zip(levels, away, strict=True) if off <= border
                )
        near = away[:5]
        held = [
            sum(Fraction(size) for _, size in levels[: number + 1]) for number in range(len(near))
        ]
        if near[-1]:
            values[f"{side}_slope"] = float(held[-1] / near[-1])
        if len(near) > 1:
            mean = sum(near) / Fraction(len(near))
            values[f"{side}_slope_ols"] = float(
                sum((a - mean) * b for a, b in zip(near, held, strict=True))
                / sum((a - mean) ** 2 for a in near)
            )
    for wanted in SWEEPS:
        name = f"sweep_px_{'buy' if side == 'ask' else 'sell'}_{wanted}"
        left, paid = Fraction(wanted), Fraction(0)
        for price, size in levels:
            part = min(left, Fraction(repr(size)))
            left, paid = left - part, paid + part * Fraction(price)
        values[name] = None if left else float(paid / wanted)
    return values


def book_features(row: Raw) -> Values:
    bids, asks = clean(row.values["bids"], True)[:LEVELS], clean(row.values["asks"], False)[:LEVELS]
    state = "ok"
    if not bids or not asks:
        state = "one_sided" if bids or asks else "empty"
    elif bids[0][0] >= asks[0][0]:
        state = "crossed" if bids[0][0] > asks[0][0] else "locked"
    is_valid = state in ("ok", "locked")
    values: Values = {"book_state": state, "is_valid": is_valid}
    values |= {"is_crossed": state == "crossed", "is_locked": state == "locked"}
    names = ["mid", "spread", "spread_raw", "relative_spread", "spread_bps", "microprice"]
    names += ["micro_minus_mid", "total_depth"]
    values |= dict.fromkeys([*names, *(f"imbalance_l{level + 1}" for level in range(LEVELS))])
    mid = (bids[0][0] + asks[0][0]) / 2 if is_valid else None
    exact = sum(Fraction(repr(price)) for price, _ in [bids[0], asks[0]]) / 2 if is_valid else None
    values |= of_side("bid", bids, exact) | of_side("ask", asks, exact)
    if bids and asks:
        values["spread_raw"] = asks[0][0] - bids[0][0]
        values["total_depth"] = math.fsum(size for _, size in [*bids, *asks])
    if mid is not None:
        (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
        spread = ask - bid
        values |= {"mid": mid, "spread": spread, "relative_spread": spread / mid}
        values["spread_bps"] = 1e4 * spread / mid
        values["microprice"] = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
        share = (Fraction(bid_size) - Fraction(ask_size)) / (
            Fraction(bid_size) + Fraction(ask_size)
        )
        values["micro_minus_mid"] = float(Fraction(spread) / 2 * share)
        for count in range(1, LEVELS + 1):
            bought = math.fsum(size for _, size in bids[:count])
            sold = math.fsum(size for _, size in asks[:count])
            values[f"imbalance_l{count}"] = (bought - sold) / (bought + sold)
    return values


def basis(row: Raw, mid: float | None, marks: Sequence[Raw], fundings: Sequence[Raw]) -> Values:
    mark, mark_age = as_of(row, marks)
    funding, funding_age = as_of(row, fundings)
    values: Values = {"mark_age_us": mark_age, "funding_age_us": funding_age}
    names = ["mark_price", "index_price", "mark_mid_basis_bps", "index_basis_bps"]
    values |= dict.fromkeys([*names, "funding_rate", "funding_interval_hours", "funding_ann"])
    if mark is not None and mark_age is not None and mark_age <= 60 * S:
        price, index = mark["mark_price"], mark["index_price"]
        values |= {"mark_price": price, "index_price": index}
        if mid is not None:
            values["mark_mid_basis_bps"] = 1e4 * (price - mid) / mid
        if index is not None:
            values["index_basis_bps"] = 1e4 * (price - index) / index
    if funding is not None and funding_age is not None and funding_age <= 86_400 * S:
        rate, hours = funding["funding_rate"], funding["interval_hours"]
        values |= {"funding_rate": rate, "funding_interval_hours": hours}
        if hours is not None:
            values["funding_ann"] = rate * (8760 / hours)
    return values


def as_of(row: Raw, records: Sequence[Raw]) -> tuple[Values | None, int | None]:
    """The last record at or before a row by the clock of features; of equal times the last."""
    last: Raw | None = None
    for record in sorted(records, key=lambda one: one.ts_event):
        if record.ts <= row.ts and (last is None or record.ts >= last.ts):
            last = record
    return (None, None) if last is None else (last.values, row.ts - last.ts)


@dataclass
class Market:
    """What was landed on each day, in the order of arrival."""

    books: dict[str, list[Raw]]
    marks: list[Raw]
    fundings: list[Raw]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Operator, Operator, Market]:
    """A lake built a day at a time, one built at once, and what is in both."""
    folder = tmp_path_factory.mktemp("features")
    steps = Operator(str(folder / "steps"), {}, folder)
    steps.run("dbt", "seed")
    raw = folder / "steps"
    draw = random.Random(7)
    market = Market({}, [], [])
    for number, day in enumerate(DAYS):
        rows = books(draw, day, 250)
        until = rows[-1].ts_event + 400 * S
        market.books[day] = rows
        # Late: every ninth book of a day arrives in a segment of its own, the day after.
        late = rows[::9] if number == 0 else []
        market.books[day] = [row for row in rows if row not in late] + late
        land(raw, "order_book", day, "a", [row for row in rows if row not in late])
        marks = said(draw, day, lambda: {
            "mark_price": draw.uniform(9_990, 10_010),
            "index_price": draw.choice([None, draw.uniform(9_990, 10_010)]),
        }, until)  # fmt: skip
        fundings = said(draw, day, lambda: {
            "funding_rate": draw.uniform(-1e-3, 1e-3), "interval_hours": draw.choice([None, 8.0]),
        }, midnight(day) + 3600 * S)  # fmt: skip
        market.marks += marks
        market.fundings += fundings
        land(raw, "mark_prices", day, "a", marks)
        land(raw, "funding_rates", day, "a", fundings)
        land(raw, "trades", day, "a", trades(draw, day, until))
        if number:
            first = market.books[DAYS[0]]
            land(raw, "order_book", DAYS[0], "b", first[-len(range(0, len(first), 9)) :])
        steps.run("dbt", "run", "--select", *TABLES)
    again = folder / "again"
    shutil.copytree(raw / "raw", again / "at_once/raw")
    at_once = Operator(str(again / "at_once"), {}, again)
    at_once.env["DBT_TARGET_PATH"] = steps.env["DBT_TARGET_PATH"]
    at_once.run("dbt", "seed")
    at_once.run("dbt", "run", "--select", *TABLES)
    # Bars are not built here, so tests that compare them with features are left out.
    at_once.run("dbt", "test", "--select", *FEATURED, "--indirect-selection", "buildable")
    return steps, at_once, market


def stored(operator: Operator, table: str) -> list[Values]:
    (names,) = [[name for name, *_ in operator.query(f"describe featured.{table}")]]
    rows = operator.query(f"select * from featured.{table} order by date, row_seq")
    return [dict(zip(names, row, strict=True)) for row in rows]


def assert_agrees(found: Sequence[Values], wanted: Sequence[Values]) -> None:
    assert len(found) == len(wanted)
    for number, (row, right) in enumerate(zip(found, wanted, strict=True)):
        for name, value in right.items():
            if isinstance(value, float) and isinstance(row[name], float):
                close = math.isclose(row[name], value, rel_tol=1e-9, abs_tol=1e-12)
                assert close, (number, name, row[name], value)
            else:
                assert row[name] == value, (number, name, row[name], value)


def test_a_snapshot_says_what_its_definitions_say(
    built: tuple[Operator, Operator, Market],
) -> None:
    operator, _, market = built
    rows = [row for day in DAYS for row in in_order(market.books[day])]
    wanted = [
        {"ts": datetime.fromtimestamp(row.ts // S, UTC).replace(microsecond=row.ts % S)}
        | book_features(row)
        for row in rows
    ]
    found = stored(operator, "book_features")
    assert set(found[0]) - set(wanted[0]) == {"exchange", "symbol", "date", "row_seq", "ts_event"}
    assert_agrees(found, wanted)
    states = {row["book_state"] for row in wanted}
    assert states == {"empty", "one_sided", "crossed", "locked", "ok"}
    # Each kind of value is there, undefined and defined.
    assert all({row[name] is None for row in wanted} == {True, False} for name in (
        "sweep_px_buy_1", "sweep_px_sell_10", "bid_slope", "ask_slope_ols", "bid_depth_5bps",
        "ask_depth_100bps", "total_depth", "imbalance_l10",
    ))  # fmt: skip


def test_a_row_knows_the_last_mark_and_funding_of_its_time(
    built: tuple[Operator, Operator, Market],
) -> None:
    operator, _, market = built
    wanted = []
    for day in DAYS:
        known = [DAYS[0], day] if day != DAYS[0] else [day]
        for row in in_order(market.books[day]):
            records = [
                [one for one in all_of_them if of_day(one) in known]
                for all_of_them in (market.marks, market.fundings)
            ]
            wanted.append(basis(row, book_features(row)["mid"], *records))
    found = stored(operator, "basis")
    assert set(found[0]) - set(wanted[0]) == {"exchange", "symbol", "date", "row_seq", "ts_event"}
    assert_agrees(found, wanted)
    assert {row["mark_price"] is None for row in wanted} == {True, False}
    assert {row["funding_ann"] is None for row in wanted} == {True, False}


def of_day(row: Raw) -> str:
    return str(datetime.fromtimestamp(row.ts_event // S, UTC).date())


def test_all_features_stand_side_by_side(built: tuple[Operator, Operator, Market]) -> None:
    operator, _, market = built
    rows = sum(len(in_order(market.books[day])) for day in DAYS)
    counts = operator.query(
        "select count(*), count(is_gap), count(trade_count), count(distinct (date, row_seq)) "
        "from featured.features"
    )
    assert counts == [(rows, rows, rows - 1, rows)]


def test_the_quality_of_a_book_is_counted(built: tuple[Operator, Operator, Market]) -> None:
    operator, _, market = built
    for day in DAYS:
        arrived, kept = market.books[day], in_order(market.books[day])
        states = [book_features(row)["book_state"] for row in kept]
        times = [row.ts_event for row in kept]
        lags = sorted(row.ts - row.ts_event for row in kept if row.ts_capture is not None)
        late = sum(row.ts_event < max_before for row, max_before in zip(
            arrived[1:], np.maximum.accumulate([row.ts_event for row in arrived]), strict=False
        ))  # fmt: skip
        wanted = {
            "row_count": len(kept),
            "valid_share": sum(state in ("ok", "locked") for state in states) / len(states),
            **{
                f"{state}_count": states.count(state)
                for state in ("crossed", "one_sided", "empty", "locked")
            },
            "reset_count": 0,
            "duplicate_count": len(arrived) - len(kept),
            "late_count": late,
            "max_silence_s": max(np.diff(times)) / S,
            "max_unmarked_silence_s": max(np.diff(times)) / S,
            **{f"lag_us_p{p}": lags[math.ceil(p / 100 * len(lags)) - 1] for p in (1, 50, 99)},
        }
        found = operator.query(
            f"select {', '.join(wanted)} from marts.quality "
            f"where table_name = 'order_book' and date = '{day}'"
        )
        assert found == [tuple(wanted.values())]
        assert wanted["duplicate_count"]
        assert wanted["late_count"] or day != DAYS[0]
    gaps = operator.query("select sum(gap_count) from marts.quality")
    assert gaps == operator.query("select count_if(is_gap) from featured.order_flow")


def test_the_tests_of_quality_warn_at_their_thresholds(
    built: tuple[Operator, Operator, Market],
) -> None:
    operator, _, _ = built
    tests = {
        "quality_few_rows_are_crossed": "max_crossed_share",
        "quality_clocks_agree": "max_clock_skew_s",
        "quality_books_are_not_silent_for_long": "max_silence_s",
    }
    strict = dict.fromkeys(tests.values(), 0.0001)
    said = operator.run(
        "dbt", "--no-use-colors", "test", "--select", "quality",
        "--vars", json.dumps(strict),
    )  # fmt: skip
    assert set(re.findall(r"WARN \d+ (quality_\w+)", said)) >= set(tests)
    loose = {"max_crossed_share": 0.9, "max_clock_skew_s": 3, "max_silence_s": 302}
    said = operator.run(
        "dbt", "--no-use-colors", "test", "--select", "quality", "--vars", json.dumps(loose)
    )
    assert not set(re.findall(r"WARN \d+ (quality_\w+)", said)) & set(tests)


def test_built_day_by_day_equals_built_at_once(built: tuple[Operator, Operator, Market]) -> None:
    steps, at_once, _ = built
    hashes = steps.hashes()
    assert hashes == at_once.hashes()
    for table in FEATURED:
        files = [path for path in hashes if path.startswith(f"featured/{table}/")]
        assert len(files) == len(DAYS)
        for path in files:
            meta = json.loads(steps.storage.read(path.replace("data.parquet", "meta.json")))
            assert meta["row_count"] > 100
    assert date.fromisoformat(DAYS[0]) == steps.query("select min(date) from featured.basis")[0][0]
