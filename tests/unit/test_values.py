"""Converting columns of text and of other types to the types of the channels."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import values
from loaders.channels import DECIMAL, TIME
from loaders.exact_json import dump
from loaders.mapping import Rounding
from loaders.values import Clock, Notation, Values

MOMENT = datetime(2024, 3, 1, 12, 0, 1, 123456, UTC)
SECONDS = 1709294401


def one(convert: Callable[[pa.Array], Values], value: Any) -> Any:
    """Return a converted value, or the word bad."""
    array = value if isinstance(value, pa.Array) else pa.array([value])
    found = convert(array)
    assert len(found.array) == len(array)
    bad = found.bad is not None and bool(found.bad[0])
    assert not (bad and found.array[0].is_valid)
    return "bad" if bad else found.array[0].as_py()


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1709294401", 0),
        ("1709294401.5", 500_000),
        ("1.709294401e9", 0),
        ("1709294401123", 123_000),
        ("1709294401123456", 123_456),
        ("1709294401123456789", 123_456),
        ("1709294401123.4567", 123_456),
        ("2024-03-01T12:00:01", 0),
        ("2024-03-01 12:00:01.123456789", 123_456),
        ("2024-03-01T12:00:01Z", 0),
        ("2024-03-01T13:00:01+01:00", 0),
        ("2024-03-01 12:00:01 UTC", 0),
        (" 20240301T120001.5 ", 500_000),
    ],
)
def test_times_are_told_by_shape_and_magnitude(text: str, micros: int) -> None:
    moment = MOMENT.replace(microsecond=micros)
    assert one(values.instants, text) == moment
    # Beside a text that only the reading one by one understands, it means the same.
    assert one(values.instants, pa.array([text, "20240301T120001.5"])) == moment


@pytest.mark.parametrize(
    "text",
    ["20240301", "20240301120001", "12", "-5", "4102444800", "noon", "1979-12-31", "2100-01-01"],
)
def test_what_is_no_time_is_bad(text: str) -> None:
    assert one(values.instants, text) == "bad"


@pytest.mark.parametrize("text", ["", "null", "NaN", " ", "N/A", None])
def test_missing_values_are_null_in_every_type(text: str | None) -> None:
    array = pa.array([text], pa.string())
    kinds = (values.instants, values.decimals, values.doubles, values.integers, values.sides)
    for convert in (*kinds, values.flags):
        assert one(convert, array) is None


def test_an_explicit_format_decides_alone() -> None:
    def convert(array: pa.Array) -> Values:
        return values.instants(array, Clock(form="%d/%m/%Y %H:%M:%S.%f%z"))

    assert one(convert, "01/03/2024 13:00:01.123456+0100") == MOMENT
    assert one(convert, "1709294401") == "bad"
    plain = values.instants(pa.array(["01.03.2024"]), Clock(form="%d.%m.%Y")).array[0].as_py()
    assert plain == datetime(2024, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([MOMENT], pa.timestamp("us")),
        pa.array([MOMENT], pa.timestamp("ns", "America/New_York")),
        pa.array([SECONDS * 10**9 + 123_456_789]),
        pa.array([SECONDS + 0.123456]),
        pa.array([SECONDS * 1000 + 123.456]),
        pa.array([str(SECONDS * 10**6 + 123_456)]).dictionary_encode(),
        pa.array([SECONDS * 10**6 + 123_456], pa.uint64()),
        pa.array([Decimal("1709294401.123456")]),
    ],
)
def test_times_of_other_types_mean_the_same(array: pa.Array) -> None:
    assert one(values.instants, array) == MOMENT


def test_a_date_is_its_midnight() -> None:
    assert one(values.instants, pa.array([date(2024, 3, 1)])) == datetime(2024, 3, 1, tzinfo=UTC)


def test_decimals_are_exact_or_bad() -> None:
    good = {
        "0.1": "0.1",
        "-12345678901234567890123456.123456789012": "-12345678901234567890123456.123456789012",
        "1e-12": "0.000000000001",
        "+5.": "5",
        ".50000000000000000": "0.5",
    }
    for text, exact in good.items():
        assert one(values.decimals, text) == Decimal(exact)
    for text in ("0.0000000000001", "123456789012345678901234567", "1_0", "1,5", "0x1", "inf", "."):
        assert one(values.decimals, text) == "bad"
    assert one(values.decimals, 0.1) == Decimal("0.1")
    assert one(values.decimals, pa.array([0.1], pa.float32())) == Decimal("0.1")
    assert one(values.decimals, 7) == Decimal(7)
    assert one(values.decimals, Decimal("1.25")) == Decimal("1.25")
    assert one(values.decimals, float("nan")) is None
    assert one(values.decimals, float("inf")) == "bad"


def test_doubles_have_no_infinity() -> None:
    assert one(values.doubles, "1e-5") == 1e-5
    assert one(values.doubles, "9" * 400) == "bad"
    assert one(values.doubles, "inf") == "bad"
    assert one(values.doubles, float("inf")) == "bad"
    assert one(values.doubles, float("nan")) is None
    assert one(values.doubles, Decimal("1.5")) == 1.5


def test_integers_have_64_bits_and_no_fraction() -> None:
    assert one(values.integers, "9223372036854775807") == 2**63 - 1
    assert one(values.integers, "12.0") == 12
    assert one(values.integers, "12.5") == "bad"
    assert one(values.integers, "9223372036854775808") == "bad"
    assert one(values.integers, pa.array([2**63], pa.uint64())) == "bad"


def test_sides_in_any_case_and_unknown_words_are_bad() -> None:
    words = pa.array(["BUY", "b", "Sell", "ASK", "unknown", None, "sideways"])
    found = values.sides(words)
    assert found.array.to_pylist() == ["buy", "buy", "sell", "sell", None, None, None]
    assert found.bad is not None
    assert found.bad.tolist() == [False] * 6 + [True]


TEXTS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.decimals(min_value=-1000, max_value=1000, places=4).map(str),
    st.integers().map(str),
    st.integers(10**8, 10**19).map(str),
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)).map(
        datetime.isoformat
    ),
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))).isoformat()
    ),
    st.text("0123456789.-+eE:TZ xX", max_size=12),
    st.sampled_from(["", "nan", "buy", "S", "true", "0"]),
)


@given(st.lists(TEXTS, max_size=8))
@pytest.mark.parametrize(
    "convert",
    [values.instants, values.decimals, values.doubles, values.integers, values.sides, values.flags],
)
def test_no_value_depends_on_its_neighbours(
    convert: Callable[[pa.Array], Values], texts: list[str]
) -> None:
    found = convert(pa.array(texts, pa.string()))
    bad = [False] * len(texts) if found.bad is None else found.bad.tolist()
    pairs = zip(found.array.to_pylist(), bad, strict=True)
    together = ["bad" if wrong else item for item, wrong in pairs]
    assert together == [one(convert, text) for text in texts]


@given(st.lists(TEXTS, max_size=8))
def test_decimals_agree_with_python(texts: list[str]) -> None:
    found = values.decimals(pa.array(texts, pa.string()))
    assert found.array.type == DECIMAL
    for text, value in zip(texts, found.array.to_pylist(), strict=True):
        if value is not None:
            assert value == Decimal(text.strip())


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2099, 12, 31)))
def test_any_writing_of_a_time_is_that_time(moment: datetime) -> None:
    micros = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    writings = [moment.isoformat(), str(moment) + "Z", str(micros), str(micros * 1000 + 7)]
    found = values.instants(pa.array(writings))
    assert found.bad is None
    assert found.array.type == TIME
    assert found.array.to_pylist() == [moment.replace(tzinfo=UTC)] * 4


@pytest.mark.parametrize(
    ("text", "notation", "exact"),
    [
        ("61000500000000", Notation(scale=Decimal("1e-9")), "61000.5"),
        ("5e20", Notation(scale=Decimal("1e-18")), "500"),
        ("0.0005315000000000001", Notation(round=Rounding(decimals=10)), "0.0005315"),
        ("0.25", Notation(round=Rounding(decimals=1)), "0.2"),
        ("0.35", Notation(round=Rounding(decimals=1)), "0.4"),
        ("6694386.4105087975", Notation(round=Rounding(digits=9)), "6694386.41"),
        ("0.15", Notation(scale=Decimal(10), round=Rounding(decimals=0)), "2"),
        ("1.234,5", Notation(decimal=",", thousands="."), "1234.5"),
        ("-1,234,567.5", Notation(thousands=","), "-1234567.5"),
        ("1.5", Notation(decimal=","), "bad"),
        ("1,5", Notation(thousands=","), "bad"),
        ("1,2345", Notation(thousands=","), "bad"),
        ("0.0000000000001", Notation(scale=Decimal(1)), "bad"),
        ("x", Notation(scale=Decimal(1)), "bad"),
    ],
)
def test_numbers_are_read_scaled_and_rounded_exactly(
    text: str, notation: Notation, exact: str
) -> None:
    found = one(lambda array: values.decimals(array, notation), text)
    assert found == (exact if exact == "bad" else Decimal(exact))
    as_double = one(lambda array: values.doubles(array, notation), text)
    if exact != "bad":
        assert as_double == float(exact)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2030, 1, 1)))
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "+05:30", "-03:30"])
def test_a_local_time_is_that_of_the_zone_or_is_refused(zone: str, moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    clock = Clock(zone=zone)
    same = Clock(form="%Y-%m-%d %H:%M:%S", zone=zone)
    found = one(lambda array: values.instants(array, clock), str(moment))
    assert one(lambda array: values.instants(array, same), str(moment)) == found
    naive = pa.array([moment], pa.timestamp("us"))
    assert one(lambda array: values.instants(array, clock), naive) == found
    if zone[0] in "+-":
        sign = -1 if zone[0] == "-" else 1
        minutes = sign * (int(zone[1:3]) * 60 + int(zone[4:]))
        assert found == moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
        return
    first, second = (moment.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    assert found == ("bad" if first.utcoffset() != second.utcoffset() else first)


def test_what_is_wrong_with_a_local_time_is_named() -> None:
    clock = Clock(zone="America/New_York")
    for text, error_type in {
        "2021-11-07 01:30:00": "AMBIGUOUS_TIME",
        "2021-03-14 02:30:00": "NONEXISTENT_TIME",
        "1950-01-01 00:00:00": "BAD_TIME",
    }.items():
        assert one(lambda array: values.instants(array, clock), text) == "bad"
        assert values.why_not_a_time(text, clock)[0] == error_type


def test_a_unit_decides_what_magnitude_cannot() -> None:
    # 1 000 000 000 000 is 2001 in ms, and no time in s.
    assert one(lambda array: values.instants(array, Clock(unit="ms")), "1000000000000") is not None
    assert one(lambda array: values.instants(array, Clock(unit="s")), "1000000000000") == "bad"
    assert one(lambda array: values.instants(array, Clock(unit="s")), "1709294401.123456") == MOMENT
    assert one(lambda array: values.instants(array, Clock(unit="s")), "2024-03-01") == "bad"


@pytest.mark.parametrize(
    ("array", "plain"),
    [
        (
            pa.array([1_664_582_401_123_456_789], pa.timestamp("ns")),
            "2022-10-01 00:00:01.123456789",
        ),
        (pa.array([Decimal("1.50")]), "1.50"),
        (pa.array([b"\xff\x00"]), "/wA="),
        (pa.array([b"abc"]), "abc"),
        (pa.array([float("nan")]), "nan"),
        (pa.array([2**62], pa.date64()), None),
        (pa.array([2**30], pa.date32()), None),
        (pa.array([2**60], pa.timestamp("s")), None),
        (pa.array([2**40], pa.duration("ns")), None),
        (pa.array([{"a": [1, None], "b": {"c": 1.5}}]), {"a": ["1", None], "b": {"c": "1.5"}}),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), [["k", "1"]]),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([True]), "true"),
        (pa.array([None]), None),
    ],
)
def test_any_value_can_be_set_aside_as_json(array: pa.Array, plain: Any) -> None:
    found = values.plain_value(array[0])
    assert plain is None or found == plain
    assert json.loads(dump({"value": found})) == {"value": found}


@given(st.one_of(st.floats(), st.dates(), st.datetimes(), st.decimals(), st.binary(), st.text()))
def test_any_python_value_can_be_written_as_json(value: Any) -> None:
    text = dump({"value": [value], str(value): 1}).encode(errors="backslashreplace").decode()
    assert json.loads(text, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("20230101", "%Y%m%d"),
        ("202301012359", "%Y%m%d%H%M"),
        ("20230101235959", "%Y%m%d%H%M%S"),
        ("2023-1-1 0:0:0", "%Y-%m-%d %H:%M:%S"),
        ("Jan 1, 2023", "%b %d, %Y"),
    ],
)
def test_a_date_of_a_known_form_is_told_which_format_reads_it(text: str, form: str) -> None:
    _, message = values.why_not_a_time(text, Clock())
    assert f'"timestamp_format": "{form}"' in message
    assert values.instants(pa.array([text]), Clock(form=form)).bad is None
