"""Lines of CSV, columns by their names, and the levels of a book."""

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import csv_lines
from loaders.aliases import COLUMNS
from loaders.columns import MissingColumnError, Plan, make_plan
from loaders.csv_lines import BadLine, CsvObject
from loaders.decode import BrokenObjectError
from loaders.levels import nested_levels
from loaders.mapping import NO_MAPPING, ColumnMapping, read_mapping
from loaders.values import Notation
from ticklake.lake.errors import LakeError


def read(data: bytes, header: list[str] | None = None) -> tuple[list[Any], list[BadLine]]:
    """Return the rows with their line numbers, and the lines that are none."""
    bad: list[BadLine] = []
    mapping = ColumnMapping(header=None if header is None else tuple(header))
    found = CsvObject(io.BytesIO(data), None, mapping)
    rows = []
    for lines in found.lines(bad.append):
        columns = lines.table.to_pydict().values()
        rows += list(zip(lines.numbers.tolist(), *columns, strict=True))
    return rows, bad


def test_lines_keep_their_numbers_and_bad_ones_their_text() -> None:
    rows, bad = read(b'\xef\xbb\xbf\n a ;b\r\n1;2\r\n\r\n3\n4;"x;""y"\n"5;6\n7;\xff\n8;')
    assert rows == [(3, "1", "2"), (6, "4", 'x;"y'), (9, "8", None)]
    assert [(line.number, line.error_type, line.content) for line in bad] == [
        (5, "BAD_LINE", b"3"),
        (7, "BAD_LINE", b'"5;6'),
        (8, "NOT_UTF8", b"7;\xff"),
    ]


def test_a_header_of_the_mapping_makes_the_first_line_a_row() -> None:
    assert read(b"1,2\n3,4\n", ["x", "y"])[0] == [(1, "1", "2"), (2, "3", "4")]


@pytest.mark.parametrize(
    ("data", "error_type"),
    [
        (b"", "NO_HEADER"),
        (b"\n \n", "NO_HEADER"),
        (b"a,b\r1,2\r", "NO_HEADER"),
        (b"a" * 200_000, "NO_HEADER"),
        (b"a,b,a\n", "DUPLICATE_COLUMN"),
        (b"1559347203,8552.90000,0.03190270\n", "NO_HEADER"),
        (b"20120201 000000;1.3066;1.3066\n", "NO_HEADER"),
        (b"2005-01-03 04:00:00,a,b\n", "NO_HEADER"),
        (b"a,b\0\n", "NOT_CSV"),
        (b'{"a": 1}\n{"a": 2}\n', "NOT_CSV"),
        (b"[\n1\n]\n", "NOT_CSV"),
        (b"<?xml version='1.0'?>\n", "NOT_CSV"),
    ],
)
def test_an_object_without_usable_columns_is_broken(data: bytes, error_type: str) -> None:
    with pytest.raises(BrokenObjectError) as caught:
        read(data)
    assert caught.value.error_type == error_type


@given(
    st.lists(st.text('ab12,"\n\r. é', max_size=6), max_size=12).map("\n".join),
    st.integers(4, 64),
)
def test_the_fast_way_and_the_cuts_change_nothing(text: str, size: int) -> None:
    data = b"p,q\n" + text.encode()
    chunks = csv_lines.chunks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvObject, "_fast", lambda *_: None)
        expected = read(data)
    assert read(data) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_lines, "chunks", lambda stream, **how: chunks(stream, size, **how))
        assert read(data) == expected


@pytest.mark.parametrize("data", [b",0,1,2\n0,5,6,7\n", b"0,1,2\n5,6,7\n"])
def test_numbers_that_pandas_takes_for_names_are_names(data: bytes) -> None:
    assert len(read(data)[0]) == 1


def test_lines_that_repeat_the_header_are_rejected_if_nobody_counts_them() -> None:
    rows, bad = read(b"a,b\n1,2\na,b\na,3\n")
    assert rows == [(2, "1", "2"), (4, "a", "3")]
    assert [(line.number, line.error_type) for line in bad] == [(3, "REPEATED_HEADER")]


def plan_of(channel: str, *names: str, **mapping: Any) -> Plan:
    given = ("exchange", "symbol", "interval")
    return make_plan(channel, names, ColumnMapping(**mapping), given=given)


@pytest.mark.parametrize(
    ("channel", "names", "sources"),
    [
        ("trades", ["Time", "Close", "Qty"], {"ts_event": "Time", "price": "Close", "size": "Qty"}),
        (
            "trades",
            ["date", "timestamp", "last", "price", "amount", "Trade ID", "takerSide"],
            {
                "ts_event": "timestamp",
                "price": "price",
                "size": "amount",
                "trade_id": "Trade ID",
                "side": "takerSide",
            },
        ),
        ("mark_prices", ["ts", "markPrice"], {"ts_event": "ts", "mark_price": "markPrice"}),
        (
            "tickers",
            ["ts", "best bid", "best-ask"],
            {"ts_event": "ts", "bid_price": "best bid", "ask_price": "best-ask"},
        ),
    ],
)
def test_columns_are_found_by_alias(
    channel: str, names: list[str], sources: dict[str, str]
) -> None:
    plan = plan_of(channel, *names)
    assert plan.sources == sources
    assert plan.extra == [name for name in names if name not in sources.values()]


def test_the_mapping_overrides_and_the_name_of_the_channel_wins() -> None:
    columns = (("price", "x"), ("trades.price", "y"), ("klines.open", "z"))
    plan = plan_of("trades", "time", "x", "y", "price", "size", columns=columns)
    assert plan.sources["price"] == "y"
    assert plan.extra == ["x", "price"]


def test_a_missing_column_is_named_with_those_there_are() -> None:
    with pytest.raises(MissingColumnError) as caught:
        plan_of("trades", "time", "cost")
    assert "price, size" in str(caught.value)
    assert "time, cost" in str(caught.value)
    assert '{"columns": {"price": "cost"}}' in str(caught.value)
    with pytest.raises(MissingColumnError, match="'px' of the mapping"):
        plan_of("trades", "time", "price", "size", columns=(("price", "px"),))


LEVELS = [{"price": 10.0, "size": 1.0}, {"price": 9.0, "size": 2.0}]


@pytest.mark.parametrize(
    "names",
    [
        ("bid_price_1", "bid_size_1", "bid_price_2", "bid_size_2"),
        ("bids[0].price", "bids[0].amount", "bids[1].price", "bids[1].amount"),
        ("bid_0_price", "bid_0_qty", "bid_1_price", "bid_1_qty"),
        ("bidPx00", "bidSz00", "bidPx01", "bidSz01"),
    ],
)
def test_levels_are_found_in_flat_columns(names: tuple[str, ...]) -> None:
    bids = dict(zip(names, ("10", "1", "9", "2"), strict=True))
    asks = {name.replace("bid", "ask"): None for name in names}
    table = pa.table(
        {"ts": ["1709251200"]} | {k: pa.array([v], pa.string()) for k, v in (bids | asks).items()}
    )
    rows = plan_of("order_book", *table.column_names).read(table)
    assert rows.faults == []
    assert rows.table["bids"].to_pylist() == [LEVELS]
    assert rows.table["asks"].to_pylist() == [[]]
    assert "extra" not in rows.table.column_names


def test_levels_by_a_pattern_of_the_mapping() -> None:
    columns = (
        ("bid_price", "B{}p"),
        ("bid_size", "B{}q"),
        ("ask_price", "S{}p"),
        ("ask_size", "S{}q"),
    )
    names = ("ts", "B1p", "B1q", "B2p", "B2q", "S1p", "S1q")
    texts = ("1709251200", "10", "1", "9", "2", "11", None)
    table = pa.table([pa.array([text], pa.string()) for text in texts], names=list(names))
    rows = plan_of("order_book", *names, columns=columns).read(table)
    assert [fault.error_type for fault in rows.faults] == ["BAD_LEVEL"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[[10.0, 1.0], [9.0, 2.0, 7.0]]]),
        pa.array([[["10", "1"], ["9", "2"]]]),
        pa.array([[{"qty": 1, "px": 10, "n": 3}, {"qty": 2, "px": 9, "n": 3}]]),
        pa.array(['[["10", 1], {"Price": 9, "amount": "2"}]']),
        pa.array(['{"9": "2", "10": "1"}']),
        pa.array(["{'9': 2.0, '10': 1}"]),
        pa.array(["{Decimal('9'): Decimal('2'), Decimal('10.0'): Decimal('1')}"]),
        pa.array(["[{'price': '10', 'size': 1}, ('9', 2)]"]),
        pa.array([[("9", 2.0), ("10", 1.0)]], pa.map_(pa.string(), pa.float64())),
        pa.array([[[8.0, 8.0]], [[10.0, 1.0], [9.0, 2.0]]]).slice(1),
    ],
)
def test_nested_levels_of_any_kind(column: pa.Array) -> None:
    found = nested_levels(column, "bids")
    assert found.bad is None
    assert found.array.to_pylist() == [LEVELS]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[[10.0]], [[1.0, 2.0]]]),
        pa.array([[None], [[1.0, 2.0]]], pa.list_(pa.list_(pa.float64()))),
        pa.array([[{"price": 1.0, "size": None}], [{"price": 1.0, "size": 2.0}]]),
        pa.array(["[[1]]", "[[1, 2]]"]),
        pa.array(['["12", "34"]', "[[1, 2]]"]),
        pa.array(['"abc"', "[[1, 2]]"]),
        pa.array(["5", "[[1, 2]]"]),
        pa.array(["null", "[[1, 2]]"]),
        pa.array(['{"a": 1}', "[[1, 2]]"]),
        pa.array(["{'a'", "[[1, 2]]"]),
        pa.array(["[[true, 1]]", "[[1, 2]]"]),
        pa.array(['[{"foo": 1, "bar": 2}]', "[[1, 2]]"]),
        pa.array(["{", "[[1, 2]]"]),
        pa.array([f"[[1{'0' * 400}, 1]]", "[[1, 2]]"]),
    ],
)
def test_a_level_that_is_none_spoils_its_row_alone(column: pa.Array) -> None:
    found = nested_levels(column, "bids")
    assert found.bad is not None
    assert found.bad.tolist() == [True, False]
    assert found.array[1].as_py() == [{"price": 1.0, "size": 2.0}]


def test_levels_of_an_object_are_sorted_best_first_and_scaled() -> None:
    text = pa.array(['{"1000": 1, "3000": "2", "2000": 3}'])
    scale = Notation(scale=Decimal("0.001"))
    asks = nested_levels(text, "asks", scale).array[0].as_py()
    bids = nested_levels(text, "bids", scale).array[0].as_py()
    assert [level["price"] for level in asks] == [1.0, 2.0, 3.0]
    assert [level["size"] for level in bids] == [2.0, 3.0, 1.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not valid JSON"),
        ("[]", "should be an object"),
        ('{"colums": {}}', "has 'colums'"),
        ('{"columns": {"prize": "x"}}', "'prize'"),
        ('{"columns": {"trades.mark_price": "x"}}', "channel 'trades'"),
        ('{"columns": ["price"]}', "object of texts"),
        ('{"timestamp_format": "%Q"}', "strptime"),
        ('{"side": {"1": "long"}}', "buy, sell or null"),
        ('{"header": "a,b"}', "list of column names"),
        ('{"streams": {"bbo": "quotes"}}', "the values of 'streams' are channels"),
        ('{"symbol_case": "title"}', "upper or lower"),
        ('{"columns": {"price": ["a", "b"]}}', "Only times can be made of several"),
        ('{"timestamp_unit": "m"}', "s, ms, us, ns"),
        ('{"timestamp_unit": {"price": "s"}}', "not a time"),
        ('{"timestamp_unit": "s", "timestamp_format": "%Y"}', "of the same columns"),
        ('{"timezone": "Europe/Bonn"}', "IANA"),
        ('{"timezone": "+25:00"}', "IANA"),
        ('{"scale": {"size": "1e-18x"}}', "multiplied by"),
        ('{"scale": {"size": 0}}', "multiplied by"),
        ('{"scale": {"side": 2}}', "not a number"),
        ('{"scale": {"sise": 2}}', "no channel has"),
        ('{"round": {"price": 13}}', "from 0 to 12"),
        ('{"round": {"price": {"digits": 0}}}', "significant digits"),
        ('{"sign": {"positive": "buy"}}', "positive and of negative"),
        ('{"sign": {"positive": "buy", "negative": "buy"}}', "positive and of negative"),
        (
            '{"sign": {"positive": "buy", "negative": "sell"}, "columns": {"side": "x"}}',
            "both say the side",
        ),
        ('{"decimal": ";"}', "it can be"),
        ('{"decimal": ",", "thousands": ","}', "the same character"),
        ('{"encoding": "latin-99"}', "Python does not know"),
        ('{"skip_lines": -1}', "number of lines"),
        ('{"delimiter": "ab"}', "one character"),
        ('{"header": ["a", "a"]}', "each different"),
        ('{"where": {"action": {"is": "T"}}}', '"not"'),
        ('{"where": {"action": []}}', "texts, numbers or null"),
        ('{"constants": {"price": "1"}}', "exchange, symbol, interval"),
        ('{"rename": {"symbol": {"a": null}}}', "object of texts"),
        ('{"member": ""}', "name of a file in a ZIP"),
        ('{"sparse": 1}', "true or false"),
        ('{"channel": "quotes"}', "it can be trades"),
    ],
)
def test_a_mapping_that_nobody_understands_is_one_clear_error(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(text)
    with pytest.raises(LakeError, match=told):
        read_mapping(str(file), COLUMNS)


def test_a_whole_mapping_is_read(tmp_path: Path) -> None:
    content = {
        "columns": {"price": "px", "order_book.bid_price": "b{}"},
        "timestamp_format": "%Y%m%d%H%M%S.%f",
        "side": {"B": "buy", "0": None},
        "header": ["a", "b"],
        "streams": {"bbo": "tickers"},
        "symbol_case": "upper",
    }
    file = tmp_path / "mapping.json"
    file.write_text(json.dumps(content))
    mapping = read_mapping(str(file), COLUMNS)
    assert mapping.of_channel("order_book") == {"price": "px", "bid_price": "b{}"}
    assert mapping.side == (("b", "buy"), ("0", None))
    assert mapping.spelled("symbol", "btcusdt") == "BTCUSDT"
    assert read_mapping(None, COLUMNS) == NO_MAPPING


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=6))
def test_unknown_columns_are_json_that_gives_them_back(texts: list[str | None]) -> None:
    for names in (["a"], ["a", 'b"\\']):
        table = pa.table(
            {"time": pa.array(["1709251200"] * len(texts)), "mark": pa.array(["1"] * len(texts))}
            | {name: pa.array(texts, pa.string()) for name in names}
        )
        extra = plan_of("mark_prices", *table.column_names).read(table).table["extra"].to_pylist()
        expected = [dict.fromkeys(names, text) if text else None for text in texts]
        assert [json.loads(item) if item else None for item in extra] == expected


def test_a_whole_book_in_one_field_lands_however_long_it_is() -> None:
    bids = json.dumps([[20_000 - level, 1.5] for level in range(20_000)])
    line = f'2025-01-01T00:00:00Z,"{bids}","[[20001,1]]"\n'.encode()
    stream = cast(BinaryIO, io.BytesIO(b"timestamp,bids,asks\n" + line))
    bad: list[BadLine] = []
    (lines,) = CsvObject(stream, None).lines(bad.append)
    assert bad == []
    assert lines.table["bids"][0].as_py() == bids


def test_lines_that_end_as_on_old_macs_are_refused_in_words() -> None:
    stream = cast(BinaryIO, io.BytesIO(b"timestamp,price,size\r1,2,3\r"))
    with pytest.raises(BrokenObjectError, match="carriage return"):
        CsvObject(stream, None)


def test_a_first_line_that_is_no_header_says_how_to_skip_it() -> None:
    error = MissingColumnError("trades", ["price"], ["# exported on Monday"])
    assert '"skip_lines": 1' in str(error)
    assert "skip_lines" not in str(MissingColumnError("trades", ["price"], ["time", "size"]))
