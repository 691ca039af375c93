"""The model `fills`: its SQL against a reference that looks at every row in turn."""

from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.hyperliquid.schema import RAW_SCHEMA

REPOSITORY = Path(__file__).parents[2]
START = 1_754_006_400_000_000
IDS = ("coin", "tid", "user", "oid", "side")
NUMBERS = ("px", "sz", "startPosition", "closedPnl", "fee")
SAID = (*IDS, "ts_event", "crossed", "dir", "hash", "feeToken", *NUMBERS)
RENAMED = {
    "coin": "symbol",
    "px": "price",
    "sz": "size",
    "crossed": "is_taker",
    "dir": "direction",
    "startPosition": "start_position",
    "closedPnl": "closed_pnl",
    "feeToken": "fee_token",
    "builderFee": "builder_fee",
    "deployerFee": "deployer_fee",
    "twapId": "twap_id",
    "priorityGas": "priority_gas",
}
PLACE = ("symbol", "ts_event", "block_number", "event_index", "tid", "user", "oid", "side")

EXACT = Context(prec=38)

Row = dict[str, Any]


def rendered() -> tuple[str, list[str]]:
    """Return the SQL of the model for the table `raw_rows`, and its `order_by`."""
    config: dict[str, Any] = {}
    macro = (REPOSITORY / "macros/exact_decimal.sql").read_text()
    model = (REPOSITORY / "models/compacted/fills.sql").read_text()
    sql = (
        jinja2.Environment()
        .from_string(macro + model)
        .render(lake_source=lambda *_: "raw_rows", config=lambda **said: config.update(said) or "")
    )
    return sql, config["order_by"]


SQL, ORDER = rendered()
(MODEL,) = yaml.safe_load((REPOSITORY / "models/compacted/fills.yml").read_text())["models"]


def by_sql(segments: Sequence[Sequence[Row]]) -> list[Row]:
    """The fills of segments, in stored order."""
    rows = [
        row | {"exchange": "x", "date": "2025-08-01", "segment": f"s{number}", "segment_row": place}
        for number, segment in enumerate(segments)
        for place, row in enumerate(segment)
    ]
    keys = [(name, pa.string()) for name in ("exchange", "date", "segment")]
    schema = pa.schema([*RAW_SCHEMA, *keys, ("segment_row", pa.int64())])
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("raw_rows", pa.Table.from_pylist(rows, schema))
        query = f"select * exclude (exchange, date) from ({SQL}) order by {', '.join(ORDER)}"
        return listed(connection.execute(query).to_arrow_table())


def listed(table: pa.Table) -> list[Row]:
    """The rows, with times as numbers: Python has no nanoseconds."""
    for place, item in enumerate(table.schema):
        if pa.types.is_timestamp(item.type):
            table = table.set_column(place, item.name, table[item.name].cast(pa.int64()))
    return list(table.to_pylist())


def by_hand(segments: Sequence[Sequence[Row]]) -> list[Row]:
    """The fills of segments, looked at one by one, in no order."""
    rows = [(number, row) for number, segment in enumerate(segments) for row in segment]
    by_block = {said(row) for _, row in rows if row["block_number"] is not None}
    seen = set()
    kept = []
    for segment, row in rows:
        this = (said(row), row["block_number"])
        is_again = row["block_number"] is None and said(row) in by_block
        if this not in seen and not is_again:
            kept.append((segment, row))
        seen.add(this)
    versions: dict[Any, count[int]] = {}
    fills = []
    for segment, row in sorted(kept, key=lambda item: (item[1]["block_number"] or 99, item[0])):
        same = tuple(row[name] for name in (*IDS, "ts_event"))
        version = next(versions.setdefault(same, count(1)))
        fills.append(fill_of(row, version, earlier_in_block(rows, segment, row)))
    return fills


def said(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in SAID)


def earlier_in_block(rows: Sequence[tuple[int, Row]], segment: int, row: Row) -> int:
    """How many fills earlier segments have of the block of a row."""
    block = row["block_number"]
    sizes = Counter[int]()
    for number, other in rows:
        if block is not None and number < segment and other["block_number"] == block:
            sizes[number] = max(sizes[number], other["event_index"] + 1)
    return sizes.total()


def fill_of(row: Row, version: int, earlier: int) -> Row:
    fill = {RENAMED.get(name, name): value for name, value in row.items() if name != "liquidation"}
    parts = row["liquidation"] or dict.fromkeys(("liquidatedUser", "markPx", "method"))
    return fill | {
        "side": {"B": "buy", "A": "sell"}[row["side"]],
        "event_index": row["event_index"] + earlier,
        "version": version,
        "liquidated_user": parts["liquidatedUser"],
        "liquidation_mark_price": parts["markPx"] and Decimal(parts["markPx"]),
        "liquidation_method": parts["method"],
    }


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values, values)


texts = st.sampled_from(
    [
        *("0.0", "1.5", "1.50", "-2.25", "0.0000000001", "12345678901234567890.5", "7"),
        *("-0.000000000001", "99999999999999999999999999.999999999999", "1.50000000000000"),
    ]
)
decimals = texts.map(lambda text: Decimal(text).quantize(Decimal("1e-12"), context=EXACT))
words = st.sampled_from(["", "a", "b", "Open Long", "\N{SNOWMAN}", "x" * 42])
nanoseconds = st.integers(0, 3).map(lambda step: START * 1000 + step)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "ts_event": st.integers(0, 3).map(lambda step: START + 1000 * step),
    "block_time": nullable(nanoseconds),
    "block_number": nullable(st.integers(1, 4)),
    "event_index": st.integers(0, 6),
    "user": st.sampled_from(["0xa", "0xb", "0xB"]),
    "coin": st.sampled_from(["BTC", "@1", "\N{SNOWMAN}"]),
    "px": decimals,
    "sz": decimals,
    "side": st.sampled_from(["A", "B"]),
    "startPosition": nullable(decimals),
    "dir": nullable(words),
    "closedPnl": nullable(decimals),
    "hash": nullable(words),
    "oid": st.integers(0, 1),
    "crossed": nullable(st.booleans()),
    "fee": nullable(decimals),
    "tid": st.sampled_from([0, 1, 1 << 50]),
    "feeToken": nullable(words),
    **{name: nullable(words) for name in ("cloid", "builder", "extra")},
    **{name: nullable(decimals) for name in ("builderFee", "deployerFee", "priorityGas")},
    "twapId": nullable(st.integers(0, 9)),
    "liquidation": nullable(
        st.fixed_dictionaries(
            {
                "liquidatedUser": nullable(words),
                "markPx": nullable(texts),
                "method": nullable(words),
            }
        )
    ),
    "local_time": nullable(nanoseconds),
}
changes = st.one_of(
    st.none(),
    st.just({"block_number": None}),  # the older form of the same fill
    *(st.fixed_dictionaries({name: values}) for name, values in FIELDS.items()),
)
"""What a row has other than a row that is there already."""


@st.composite
def days(draw: st.DrawFn) -> list[list[Row]]:
    """Segments of one day, with the same few fills over and over, whole or changed."""
    pool = draw(st.lists(st.fixed_dictionaries(FIELDS), min_size=1, max_size=4))
    picked = st.lists(st.tuples(st.sampled_from(pool), changes), max_size=12)
    return [
        [row | (change or {}) for row, change in segment]
        for segment in draw(st.lists(picked, min_size=1, max_size=4))
    ]


@settings(max_examples=60, deadline=None)
@given(days())
def test_fills_are_those_of_the_reference_in_one_order(segments: list[list[Row]]) -> None:
    found = by_sql(segments)
    expected = by_hand(segments)
    assert sorted(found, key=repr_of) == sorted(expected, key=repr_of)
    places = [tuple(row[name] for name in (*PLACE, "version")) for row in found]
    assert places == sorted(places, key=lambda place: tuple(map(_nulls_first, place)))
    assert len(set(places)) == len(places), "the order is total"
    (grain,) = (test["is_unique_on"] for test in MODEL["data_tests"] if "is_unique_on" in test)
    columns = [name for name in grain["arguments"]["columns"] if name not in ("exchange", "date")]
    assert len({tuple(row[name] for name in columns) for row in found}) == len(found)


def repr_of(row: Row) -> str:
    return repr(
        [
            (name, f"{value:.12f}" if isinstance(value, Decimal) else value)
            for name, value in sorted(row.items())
        ]
    )


def _nulls_first(value: Any) -> tuple[bool, Any]:
    """A key that sorts null first, and text by its bytes."""
    return (value is not None, value.encode() if isinstance(value, str) else value or 0)


@pytest.mark.parametrize(
    "change",
    [
        {"liquidation": {"liquidatedUser": None, "markPx": "NaN", "method": None}},
        {"liquidation": {"liquidatedUser": None, "markPx": "0.1234567890123", "method": None}},
        {"event_index": 2**31 - 1},
    ],
)
def test_a_number_that_is_not_exact_is_an_error(change: Row) -> None:
    plain = dict.fromkeys(FIELDS) | {"ts_event": START, "block_number": 1, "event_index": 0}
    plain |= {
        "user": "0xa",
        "coin": "BTC",
        "px": Decimal("1.5"),
        "sz": Decimal(2),
        "side": "B",
        "tid": 1,
    }
    with pytest.raises(duckdb.ConversionException):
        by_sql([[plain], [plain | {"tid": 2} | change], [plain | {"tid": 3}]])
