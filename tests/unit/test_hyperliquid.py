"""Reading Hyperliquid's lines: the exact way, the fast way, and that they agree."""

import io
import json
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import lz4.frame
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.decode import BrokenObjectError, chunks
from loaders.exact_json import dump
from loaders.hyperliquid.archive import objects_between
from loaders.hyperliquid.batches import read_batch
from loaders.hyperliquid.records import Position, Rows, read_lines
from loaders.hyperliquid.schema import DECIMALS, FILL_TYPES, RAW_SCHEMA
from ticklake.sample.market import Market

USER = "0x" + "a" * 40
FILL: dict[str, Any] = {
    "coin": "SOL",
    "px": "72.153",
    "sz": "0.58",
    "side": "A",
    "time": 1782636233257,
    "startPosition": "-162.6",
    "dir": "Open Short",
    "closedPnl": "0.0",
    "hash": "0x" + "d" * 64,
    "oid": 481702553903,
    "crossed": False,
    "fee": "-0.001255",
    "tid": 340554939716632,
    "cloid": "0x" + "0" * 32,
    "liquidation": {"liquidatedUser": USER, "markPx": "72.149", "method": "market"},
    "feeToken": "USDC",
    "twapId": None,
}


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def block(*events: Any, number: int = 7, **other: Any) -> bytes:
    envelope = {
        "local_time": "2026-06-28T08:43:53.687645997",
        "block_time": "2026-06-28T08:43:53.257028820",
        "block_number": number,
        "events": list(events),
    }
    return compact(envelope | other).encode() + b"\n"


def spaced(text: bytes) -> bytes:
    """Return lines as Python's json writes them."""
    return b"".join(json.dumps(json.loads(line)).encode() + b"\n" for line in text.splitlines())


def fill(**changes: Any) -> list[Any]:
    return [USER, {**FILL, **changes}]


def without(name: str) -> list[Any]:
    return [USER, {key: value for key, value in FILL.items() if key != name}]


def exact(text: bytes, *, by_block: bool = True) -> Rows:
    return read_lines(text, 0, Position(), by_block=by_block)


def fast(text: bytes, *, by_block: bool = True) -> pa.Table | None:
    rows = read_batch(text, Position(), by_block=by_block)
    return None if rows is None else rows.table


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows with times as integers: Python's datetime has no nanoseconds."""
    for place, item in enumerate(table.schema):
        if pa.types.is_timestamp(item.type):
            table = table.set_column(place, item.name, table[item.name].cast(pa.int64()))
    return table.to_pylist()


def numbers(item: dict[str, Any]) -> dict[str, Any]:
    """Return a fill with its decimals as numbers."""
    return {
        name: Decimal(value) if name in DECIMALS and value is not None else value
        for name, value in item.items()
    }


def reference(lines: list[bytes]) -> list[dict[str, Any]]:
    """The slow and obvious way, for lines that are known to be good."""
    seen: dict[int, int] = {}
    rows = []
    for line in lines:
        content = json.loads(line)
        number = content["block_number"]
        for user, item in content["events"]:
            known = numbers({name: item.get(name) for name in FILL_TYPES if name != "user"})
            if known["liquidation"] is not None:
                fields = ("liquidatedUser", "markPx", "method")
                known["liquidation"] = {name: known["liquidation"].get(name) for name in fields}
            unknown = {
                name: value
                for name, value in item.items()
                if name not in (*FILL_TYPES, "time") and value is not None
            }
            rows.append(
                {
                    "ts_event": item["time"] * 1000,
                    "block_time": nanoseconds(content["block_time"]),
                    "block_number": number,
                    "event_index": seen.get(number, 0),
                    "user": user,
                    **known,
                    "local_time": nanoseconds(content["local_time"]),
                    "extra": compact(unknown) if unknown else None,
                }
            )
            seen[number] = seen.get(number, 0) + 1
    return rows


def nanoseconds(instant: str) -> int:
    whole, _, fraction = instant.partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def test_a_fill_becomes_a_row_with_its_numbers_and_every_string_as_written() -> None:
    (row,) = plain(exact(block(fill())).table)
    assert row == {
        **dict.fromkeys(RAW_SCHEMA.names),
        **numbers({name: value for name, value in FILL.items() if name != "time"}),
        "user": USER,
        "ts_event": 1782636233257000,
        "block_time": 1782636233257028820,
        "local_time": 1782636233687645997,
        "block_number": 7,
        "event_index": 0,
    }


def test_the_fast_way_reads_what_the_node_writes() -> None:
    text = block(fill(), fill(crossed=True, twapId=5)) + block() + block(without("cloid"), number=9)
    table = fast(text)
    assert table is not None
    assert table.equals(exact(text).table)


def test_the_fast_way_reads_sample_blocks() -> None:
    market = Market(random.Random(3))
    events = [event for _ in range(500) for event in market.trade(1754006400000)]
    events += market.dust(1754006400000)
    text = block(*map(json.loads, events))
    table = fast(text)
    assert table is not None
    assert table.num_rows == len(events)
    assert table.equals(exact(text).table)


def test_the_fast_way_reads_lines_that_a_recorder_wrote_with_spaces() -> None:
    text = block(fill(dir="Long > Short", coin="a: b, c"), fill(crossed=True)) + block()
    table = fast(spaced(text))
    assert table is not None
    assert table.equals(exact(text).table)
    number = str(FILL["oid"]).encode()
    assert fast(spaced(text).replace(number, number[:3] + b" " + number[3:])) is None


def test_a_block_over_two_lines_counts_its_events_on() -> None:
    text = block(fill(), fill(), number=7) + block(fill(), number=8) + block(fill(), number=7)
    expected = [0, 1, 0, 2]
    assert exact(text).table["event_index"].to_pylist() == expected
    table = fast(text)
    assert table is not None
    assert table["event_index"].to_pylist() == expected


def test_a_block_over_two_chunks_counts_its_events_on_whichever_way_they_are_read() -> None:
    position = Position()
    first = read_batch(block(fill(), fill()), position, by_block=True)
    second = read_lines(block(fill(), fill()), 0, position, by_block=True)
    third = read_batch(block(fill()), position, by_block=True)
    assert first is not None
    assert third is not None
    indexes = [rows.table["event_index"].to_pylist() for rows in (first, second, third)]
    assert indexes == [[0, 1], [2, 3], [4]]
    assert position.line_number == 3


def test_a_legacy_line_is_one_fill_without_a_block() -> None:
    text = b"".join(compact(fill(tid=tid)).encode() + b"\n" for tid in (1, 2, 3))
    rows = exact(text, by_block=False)
    assert rows.table["event_index"].to_pylist() == [0, 1, 2]
    assert rows.table["block_number"].null_count == 3
    assert rows.table["block_time"].null_count == 3
    table = fast(text, by_block=False)
    assert table is not None
    assert table.equals(rows.table)


@pytest.mark.parametrize(
    ("event", "error_type", "named"),
    [
        (without("px"), "MISSING_FIELD", "px"),
        (fill(px=None), "MISSING_FIELD", "px"),
        (fill(px=72.153), "WRONG_TYPE", "px"),
        (fill(oid="5"), "WRONG_TYPE", "oid"),
        (fill(oid=1.0), "WRONG_TYPE", "oid"),
        (fill(tid=2**63), "WRONG_TYPE", "tid"),
        (fill(tid=True), "WRONG_TYPE", "tid"),
        (fill(crossed="true"), "WRONG_TYPE", "crossed"),
        (fill(crossed=1), "WRONG_TYPE", "crossed"),
        (fill(coin=5), "WRONG_TYPE", "coin"),
        (fill(coin=""), "BAD_VALUE", "coin"),
        (fill(px=""), "BAD_DECIMAL", "px"),
        (fill(px="1e5"), "BAD_DECIMAL", "px"),
        (fill(px="+1"), "BAD_DECIMAL", "px"),
        (fill(px=".5"), "BAD_DECIMAL", "px"),
        (fill(px="5."), "BAD_DECIMAL", "px"),
        (fill(px="1.2.3"), "BAD_DECIMAL", "px"),
        (fill(px="1-2"), "BAD_DECIMAL", "px"),
        (fill(px="--1"), "BAD_DECIMAL", "px"),
        (fill(px="-"), "BAD_DECIMAL", "px"),
        (fill(px="-1"), "BAD_DECIMAL", "px"),
        (fill(sz="-0.5"), "BAD_DECIMAL", "sz"),
        (fill(sz="-0.001"), "BAD_DECIMAL", "sz"),
        (fill(px=" 1"), "BAD_DECIMAL", "px"),
        (fill(px="\u0661"), "BAD_DECIMAL", "px"),
        (fill(fee="0.0000000000001"), "BAD_DECIMAL", "fee"),
        (fill(sz="1" * 27), "BAD_DECIMAL", "sz"),
        (fill(side="C"), "BAD_VALUE", "side"),
        (fill(time=1782636233), "BAD_TIME", "time"),
        (fill(time=1782636233257000), "BAD_TIME", "time"),
        ([USER], "BAD_EVENT", "pair"),
        ([USER, "x"], "BAD_EVENT", "pair"),
        ([5, FILL], "BAD_EVENT", "pair"),
        (FILL, "BAD_EVENT", "pair"),
    ],
)
def test_a_faulty_fill_is_named_and_its_neighbours_stay(
    event: Any, error_type: str, named: str
) -> None:
    text = block(fill(tid=1), event, fill(tid=2))
    assert fast(text) is None
    rows = exact(text)
    assert rows.table["tid"].to_pylist() == [1, 2]
    assert rows.table["event_index"].to_pylist() == [0, 2]
    (reject,) = rows.rejects
    assert reject["error_type"] == error_type
    assert named in reject["message"]
    assert (reject["line"], reject["offset"], reject["event_index"]) == (1, 0, 1)
    assert (reject["block_number"], dump(reject["event"])) == (7, compact(event))


@pytest.mark.parametrize(
    "value", ["1" * 26, "0." + "1" * 12, "000000000000000000000000000001", "1." + "0" * 20, "-0.1"]
)
def test_a_decimal_that_fits_exactly_stays(value: str) -> None:
    (row,) = plain(exact(block(fill(fee=value, sz="-0.0"))).table)
    assert (row["fee"], row["sz"]) == (Decimal(value), 0)


@pytest.mark.parametrize(
    ("line", "error_type"),
    [
        (b'{"local_time":', "BAD_JSON"),
        (block(fill())[:-5], "BAD_JSON"),
        (block(fill()).replace(b'"USDC"', b'"USDC",'), "BAD_JSON"),
        (block(fill()).replace(b"false", b"NaN"), "BAD_JSON"),
        (block(fill()).replace(b"USDC", b"\xff\xfe"), "BAD_JSON"),
        (block(fill()).replace(b"USDC", b"\\ud800"), "BAD_JSON"),
        (block(fill()).replace(b"USDC", b"a\tb"), "BAD_JSON"),
        (block(fill()).replace(b'"sz"', b'"px":"1","sz"'), "BAD_JSON"),
        (b"[" * 100_000, "BAD_JSON"),
        (b"[]", "BAD_BLOCK"),
        (b'{"events":[]}', "MISSING_FIELD"),
        (block(block_time="yesterday"), "BAD_TIME"),
        (block(block_time="2026-02-30T00:00:00.0"), "BAD_TIME"),
        (block(block_number="7"), "WRONG_TYPE"),
        (block(events={}), "WRONG_TYPE"),
    ],
)
def test_a_faulty_line_is_named_and_the_rest_stays(line: bytes, error_type: str) -> None:
    good = block(fill())
    text = good + line.rstrip(b"\n") + b"\n" + block(fill(), number=8)
    assert fast(text) is None
    rows = exact(text)
    assert rows.table["block_number"].to_pylist() == [7, 8]
    (reject,) = rows.rejects
    assert (reject["error_type"], reject["line"]) == (error_type, 2)
    assert reject["offset"] == len(good)
    assert "text" in reject or "base64" in reject


def test_unknown_fields_are_kept_exactly_and_counted() -> None:
    event = fill(feeTrial="x", odd={"a": [1, None]}, gone=None)
    text = block(event).replace(b'"feeTrial":"x"', b'"feeTrial":1.50e3')
    assert fast(text) is None
    rows = exact(text)
    assert rows.table["extra"].to_pylist() == ['{"feeTrial":1.50e3,"odd":{"a":[1,null]}}']
    assert rows.extra == {"feeTrial": 1, "odd": 1}
    assert not rows.rejects


def test_unknown_fields_of_block_and_liquidation_are_kept_too() -> None:
    liquidation = {**FILL["liquidation"], "kind": 2}
    rows = exact(block(fill(liquidation=liquidation), fill(), proposer="0x1"))
    assert rows.extra == {"block.proposer": 2, "liquidation.kind": 1}
    assert rows.table["extra"].to_pylist() == [
        '{"block.proposer":"0x1","liquidation.kind":2}',
        '{"block.proposer":"0x1"}',
    ]


@pytest.mark.parametrize(
    ("liquidation", "expected", "is_fast"),
    [
        ({"markPx": "1.5", "method": "backstop"}, (None, "1.5", "backstop"), True),
        ({"liquidatedUser": None, "markPx": "1.5", "method": "x"}, (None, "1.5", "x"), True),
        ({"liquidatedUser": USER}, (USER, None, None), True),
        ({"liquidatedUser": USER, "markPx": 1.25, "method": "x"}, (USER, "1.25", "x"), False),
    ],
)
def test_every_field_of_a_liquidation_may_be_missing(
    liquidation: dict[str, Any], expected: tuple[str | None, ...], is_fast: bool
) -> None:
    text = block(fill(), fill(liquidation=liquidation))
    rows = exact(text)
    assert (rows.rejects, rows.extra) == ([], {})
    found = rows.table["liquidation"].to_pylist()[1]
    assert tuple(found[name] for name in ("liquidatedUser", "markPx", "method")) == expected
    table = fast(text)
    assert (table is not None) == is_fast
    assert table is None or table.equals(rows.table)


@pytest.mark.parametrize(
    ("changes", "extra"),
    [
        ({"cloid": 5}, {"cloid": 5}),
        ({"twapId": "x"}, {"twapId": "x"}),
        ({"twapId": 2**63}, {"twapId": 2**63}),
        ({"builder": {"b": USER}}, {"builder": {"b": USER}}),
        ({"builderFee": "nan"}, {"builderFee": "nan"}),
        ({"liquidation": "x"}, {"liquidation": "x"}),
        ({"liquidation": {}}, {"liquidation": {}}),
        ({"liquidation": {"kind": 1}}, {"liquidation": {"kind": 1}}),
        ({"liquidation": {"method": "x", "markPx": "y"}}, {"liquidation.markPx": "y"}),
        ({"liquidation": {"method": "x", "liquidatedUser": 3}}, {"liquidation.liquidatedUser": 3}),
    ],
)
def test_an_optional_field_of_another_type_is_kept_and_the_fill_lands(
    changes: dict[str, Any], extra: dict[str, Any]
) -> None:
    text = block(fill(**changes))
    assert fast(text) is None
    rows = exact(text)
    assert rows.rejects == []
    assert rows.table["extra"].to_pylist() == [compact(extra)]
    assert rows.extra == dict.fromkeys(extra, 1)


def test_an_optional_decimal_may_be_a_number() -> None:
    (row,) = plain(exact(block(fill(builderFee=0.25, deployerFee=3))).table)
    assert (row["builderFee"], row["deployerFee"]) == (Decimal("0.25"), 3)


def test_priority_gas_is_a_number_be_it_string_or_number() -> None:
    text = block(fill(priorityGas="0.10"), fill(priorityGas=3)).replace(b":3,", b":0.30,")
    text = block(fill(priorityGas="0.10")) + text.replace(b":3}", b":0.30}")
    found = exact(text).table["priorityGas"].to_pylist()
    assert found == [Decimal("0.1"), Decimal("0.1"), Decimal("0.3")]


def test_lines_without_events_are_no_rows_and_no_fault() -> None:
    text = block() + block(number=8)
    table = fast(text)
    assert table is not None
    assert table.num_rows == 0
    assert table.schema == RAW_SCHEMA
    rows = exact(text + b"\n  \n")
    assert (rows.table.num_rows, rows.rejects) == (0, [])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAME = TEXT.filter(bool)
NOT_NEGATIVE = st.from_regex(r"[0-9]{1,8}(\.[0-9]{1,10})?", fullmatch=True)
DECIMAL = st.from_regex(r"-?[0-9]{1,8}(\.[0-9]{1,10})?", fullmatch=True)
INTEGER = st.integers(-(2**63), 2**63 - 1)


@st.composite
def events(draw: st.DrawFn) -> list[Any]:
    item = {
        "coin": draw(st.sampled_from(["BTC", "@107", "xyz:TSLA", "PURR/USDC", "#1890"]) | NAME),
        **{name: draw(NOT_NEGATIVE) for name in ("px", "sz")},
        **{name: draw(DECIMAL) for name in ("startPosition", "closedPnl", "fee")},
        "side": draw(st.sampled_from("AB")),
        "time": draw(st.integers(1_600_000_000_000, 2_000_000_000_000)),
        "dir": draw(TEXT),
        "hash": draw(TEXT),
        "oid": draw(INTEGER),
        "tid": draw(INTEGER),
        "crossed": draw(st.booleans()),
        "feeToken": draw(TEXT),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "cloid": TEXT,
        "builder": TEXT,
        "builderFee": DECIMAL,
        "twapId": INTEGER,
        "deployerFee": DECIMAL,
        "priorityGas": DECIMAL,
        "liquidation": st.fixed_dictionaries(
            {"method": TEXT},
            optional={"liquidatedUser": st.none() | TEXT, "markPx": st.none() | DECIMAL},
        ),
        "unknown": st.integers() | TEXT | st.lists(st.booleans()),
    }
    for name in draw(st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=4)):
        if name != "unknown" or draw(st.integers(0, 9)) == 0:
            item[name] = draw(st.none() | optional[name])
    names = draw(st.permutations(sorted(item)))
    user = draw(st.from_regex(r"0x[0-9a-f]{40}", fullmatch=True) | TEXT)
    return [user, {name: item[name] for name in names}]


@st.composite
def lines(draw: st.DrawFn) -> list[bytes]:
    written = []
    for _ in range(draw(st.integers(1, 4))):
        second = draw(st.integers(1_600_000_000, 2_000_000_000))
        instant = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        content = {
            "local_time": f"{instant}.{draw(st.integers(0, 10**9 - 1)):09d}",
            "block_time": f"{instant}.{draw(st.integers(0, 999))}",
            "block_number": draw(st.integers(1, 3)),
            "events": draw(st.lists(events(), max_size=4)),
        }
        separators = draw(st.sampled_from([(",", ":")] * 4 + [(", ", ": ")]))
        ascii_only = draw(st.booleans())
        text = json.dumps(content, separators=separators, ensure_ascii=ascii_only)
        written.append(text.encode() + b"\n")
    return written


@settings(max_examples=300, deadline=None)
@given(lines())
def test_good_lines_read_as_the_obvious_reference_reads_them(written: list[bytes]) -> None:
    text = b"".join(written)
    rows = exact(text)
    assert rows.rejects == []
    assert plain(rows.table) == reference(written)
    table = fast(text)
    if table is not None:
        assert table.equals(rows.table)


MUTATIONS = [
    b"",
    b'"',
    b",",
    b"}",
    b"{",
    b"]",
    b"[",
    b":",
    b" ",
    b"0",
    b".",
    b"e",
    b"-",
    b"\\",
    b"n",
]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_fast_way_never_disagrees_on_damaged_text(data: st.DataObject) -> None:
    legacy = data.draw(st.booleans())
    if legacy:
        text = b"".join(compact(fill(tid=tid)).encode() + b"\n" for tid in range(3))
    else:
        text = block(fill(), fill(builder=USER, builderFee="0.1")) + block() + block(fill())
    if data.draw(st.booleans()):
        text = spaced(text)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 3))
        put = data.draw(st.sampled_from(MUTATIONS) | st.just(text[place : place + 30]))
        text = text[:place] + put + text[place + length :]
    table = fast(text, by_block=not legacy)
    if table is not None:
        rows = exact(text, by_block=not legacy)
        assert rows.rejects == []
        assert not rows.extra
        assert table.equals(rows.table)


@pytest.mark.parametrize("size", [64, 700, 1 << 20])
@pytest.mark.parametrize("piece", [1, 97, 1 << 20])
def test_chunks_hold_whole_lines_however_the_stream_hands_out_its_bytes(
    size: int, piece: int
) -> None:
    written = [block(fill(), number=number) for number in range(20)] + [b"\n", b"x" * 3000 + b"\n"]
    text = b"".join(written)
    found = list(chunks(_Trickle(lz4.frame.compress(text), piece), size))
    assert b"".join(chunk.text for chunk in found) == text
    for chunk in found:
        assert chunk.text.endswith(b"\n")
        assert text[chunk.offset :].startswith(chunk.text)
    assert found == list(chunks(io.BytesIO(lz4.frame.compress(text)), size))


def test_frames_that_follow_each_other_are_one_text() -> None:
    text = block(fill())
    packed = lz4.frame.compress(text) + lz4.frame.compress(b"") + lz4.frame.compress(text)
    assert b"".join(chunk.text for chunk in chunks(io.BytesIO(packed))) == text * 2


def test_an_empty_frame_has_no_chunks() -> None:
    assert list(chunks(io.BytesIO(lz4.frame.compress(b"")))) == []


def test_a_last_line_that_is_whole_needs_no_newline() -> None:
    text = block(fill()).rstrip()
    assert [chunk.text for chunk in chunks(io.BytesIO(lz4.frame.compress(text)))] == [text]


@pytest.mark.parametrize(
    ("packed", "error_type"),
    [
        (lz4.frame.compress(block(fill()) * 50)[:-1], "LZ4_TRUNCATED"),
        (lz4.frame.compress(block(fill()) * 50)[:40], "LZ4_TRUNCATED"),
        (b"", "LZ4_TRUNCATED"),
        (b"PK\x03\x04 something else", "LZ4_CORRUPT"),
        (lz4.frame.compress(block(fill())) + b"garbage", "LZ4_CORRUPT"),
        (lz4.frame.compress(block(fill()) + block(fill())[:-9]), "LINE_TRUNCATED"),
    ],
)
def test_an_object_that_is_not_whole_is_broken(packed: bytes, error_type: str) -> None:
    with pytest.raises(BrokenObjectError) as broken:
        list(chunks(io.BytesIO(packed)))
    assert broken.value.error_type == error_type
    assert broken.value.offset <= len(packed)


def test_the_change_over_hour_has_two_objects_and_the_older_sorts_first() -> None:
    day = list(objects_between(date(2025, 7, 27), date(2025, 7, 27)))
    assert len(day) == 25
    assert [item.path for item in day if item.hour.hour == 8] == [
        "node_fills/hourly/20250727/8.lz4",
        "node_fills_by_block/hourly/20250727/8.lz4",
    ]
    names = [item.name for item in day]
    assert names == sorted(names)
    assert names[8:10] == ["node_fills-20250727-08", "node_fills_by_block-20250727-08"]


def test_the_archive_begins_when_it_begins() -> None:
    first = next(objects_between(date(2025, 5, 1), date(2025, 6, 1)))
    assert first.path == "node_fills/hourly/20250525/14.lz4"


class _Trickle(io.BytesIO):
    """A stream that hands out a few bytes at a time, as a socket may."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self._piece = piece

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._piece)
