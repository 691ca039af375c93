"""The public files of Binance: which are chosen, and what their lines mean."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.binance.archive import CHANNELS, Series, days_of, months_back, parse_name, spans
from loaders.binance.channels import to_channel
from loaders.binance.layouts import Column, columns_of, from_header, from_width, is_header
from loaders.binance.request import choose
from loaders.binance.rows import read, read_lines, read_plain
from loaders.channels import CHANNELS as RAW
from loaders.decode import BrokenObjectError
from loaders.source import SourceObject

MS = 1_754_006_400_123  # 2025-08-01T00:00:00.123Z
TRADES = columns_of("um", "trades")[:6]
SERIES = Series("um", "trades", "BTCUSDT")


class Shelf:
    """A source that holds some objects, and counts how many it was asked for."""

    location = "shelf"

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = set(paths)

    def survey(self, paths: Iterable[str]) -> dict[str, SourceObject]:
        return {path: SourceObject(path, 1, "tag") for path in paths if path in self.paths}

    def open(self, path: str) -> Any:
        raise AssertionError("choosing reads nothing")


def chosen(
    start: str, end: str, there: Iterable[str], landed: Iterable[str] = ()
) -> tuple[list[str], list[str]]:
    """Return the periods that are chosen of those that are there, and the notes."""
    parts = spans(date.fromisoformat(start), date.fromisoformat(end))
    shelf = Shelf(SERIES.path(period) for period in there)
    wanted, notes = choose({SERIES: parts}, shelf, {SERIES: set(landed)})
    return [period for item in wanted for period in item.periods], notes


AUGUST = list(days_of("2025-08"))


def test_a_whole_month_comes_from_its_monthly_file_and_the_rest_from_daily_ones() -> None:
    there = ["2025-08", "2025-09", *AUGUST, *days_of("2025-09")]
    assert chosen("2025-08-01", "2025-09-02", there) == (
        ["2025-08", "2025-09-01", "2025-09-02"],
        [],
    )
    assert chosen("2025-08-01", "2025-08-30", there)[0] == AUGUST[:-1]


def test_daily_files_stand_in_for_a_monthly_one_that_is_not_there() -> None:
    assert chosen("2025-08-01", "2025-08-31", AUGUST[5:])[0] == AUGUST


def test_a_month_of_which_nothing_exists_is_one_missing_file() -> None:
    assert chosen("2025-08-01", "2025-08-31", [])[0] == ["2025-08"]
    assert chosen("2025-08-01", "2025-08-02", [])[0] == ["2025-08-01", "2025-08-02"]


@pytest.mark.parametrize("daily", [[], ["2025-08-03"]])
def test_days_without_a_file_of_their_own_bring_the_whole_month(daily: list[str]) -> None:
    periods, notes = chosen("2025-08-03", "2025-08-04", ["2025-08", *daily])
    assert periods == ["2025-08"]
    assert len(notes) == 1
    assert "2025-08" in notes[0]


def test_a_month_stays_as_it_was_landed() -> None:
    there = ["2025-08", *AUGUST]
    assert chosen("2025-08-01", "2025-08-31", there, ["2025-08-20"])[0] == AUGUST
    assert chosen("2025-08-02", "2025-08-03", there, ["2025-08"])[0] == ["2025-08"]


def test_a_month_of_which_a_day_is_landed_comes_whole_if_another_has_no_file() -> None:
    assert chosen("2025-08-01", "2025-08-31", ["2025-08", *AUGUST[1:]], AUGUST[:2])[0] == AUGUST
    assert chosen("2025-08-01", "2025-08-31", ["2025-08"], AUGUST[:2])[0] == ["2025-08"]


periods_of_august = st.sets(st.sampled_from(["2025-08", *AUGUST]))
range_of_august = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted)


@given(periods_of_august, st.lists(range_of_august, max_size=4))
def test_no_day_is_landed_twice_whatever_is_asked_for_in_which_order(
    there: set[str], asked: list[list[int]]
) -> None:
    landed: set[str] = set()
    for first, last in asked:
        periods, _ = chosen(AUGUST[first], AUGUST[last], there, landed)
        landed |= set(periods) & there
        if "2025-08" in landed:  # it replaces the days
            landed = {"2025-08"}
        days = [day for period in landed for day in days_of(period)]
        assert len(days) == len(set(days))


@pytest.mark.parametrize("market", ["spot", "um", "cm"])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTCUSD_PERP", "ETHUSDT_250926", "1000SATSUSDT"])
@pytest.mark.parametrize("period", ["2025-08", "2025-08-31"])
@pytest.mark.parametrize("data", CHANNELS)
def test_a_name_says_which_file_it_is(market: str, data: str, symbol: str, period: str) -> None:
    interval = "1mo" if "lines" in data else None
    series = Series(market, data, symbol, interval)
    assert parse_name(series.name(period)) == (series, period)


def test_paths_are_those_of_the_archive() -> None:
    klines = Series("spot", "klines", "BNBUSDT", "1m")
    assert klines.path("2019-01") == "data/spot/monthly/klines/BNBUSDT/1m/BNBUSDT-1m-2019-01.zip"
    trades = Series("cm", "aggTrades", "BTCUSD_PERP")
    assert trades.path("2025-08-01") == (
        "data/futures/cm/daily/aggTrades/BTCUSD_PERP/BTCUSD_PERP-aggTrades-2025-08-01.zip"
    )


def test_months_are_counted_back_over_a_new_year() -> None:
    assert months_back(date(2026, 2, 28), 4) == ["2026-02", "2026-01", "2025-12", "2025-11"]
    assert len(days_of("2024-02")) == 29


# Lines.

plain_number = st.from_regex(r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,8})?", fullmatch=True)
odd_number = st.sampled_from(
    (
        *("1E-8", "1.5e-12", "1E-13", "1e3", "1E+5", "9E25", "9E26", "0E99", "1e99999", "1e-99999"),
        *(
            ".5",
            "5.",
            ".",
            "-",
            "",
            "+1",
            " 1",
            "1 ",
            "0x10",
            "1_000",
            "NaN",
            "inf",
            "--1",
            "1.2.3",
        ),
        *("0.000000000001", "0.0000000000010", "0.0000000000001", "1" * 26, "1" * 27, "9" * 39),
        *(
            "-" + "1" * 26,
            "0" * 30 + "1",
            "1" * 20 + "." + "1" * 13,
            '"1"',
            "\uff11",
            "e5",
            "1e",
            "-0",
        ),
    )
)
number = st.one_of(plain_number, odd_number)
instant = st.one_of(
    st.integers(MS, MS + 10**9).map(str),
    st.integers(MS * 1000, MS * 1000 + 10**9).map(str),
    st.sampled_from(("0", "1754006400", str(MS * 10**6), "-1", "x", "", f"0{MS}", f"{MS}.0")),
)
flag = st.sampled_from(("true", "false", "True", "False", "TRUE", "tRUE", "1", "0", "t", ""))
ALL_KINDS = (
    Column("integer", "integer"),
    Column("decimal", "decimal"),
    Column("double", "double"),
    Column("skip", "skip"),
    Column("time", "time", fallback="text"),
    Column("flag", "flag"),
    Column("text", "text"),
)
one_line = st.one_of(
    st.tuples(number, number, number, number, instant, flag, number).map(",".join),
    st.tuples(
        plain_number.map(lambda text: text.split(".")[0]),
        *(plain_number, plain_number, plain_number),
        st.integers(MS, MS + 10**9).map(str),
        *(st.sampled_from(("true", "false")), plain_number),
    ).map(",".join),
    st.text(max_size=20).filter(lambda text: "\n" not in text),
)


@settings(max_examples=500)
@given(st.lists(one_line, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_fast_reading_gives_what_the_exact_one_gives(
    lines: list[str], newline: str, is_ended: bool
) -> None:
    text = newline.join(lines).encode("utf-8", "surrogatepass") + newline.encode() * is_ended
    exact = read_lines(text.replace(b"\r\n", b"\n"), 1, ALL_KINDS)
    fast = read_plain(text.replace(b"\r\n", b"\n"), ALL_KINDS)
    if fast is not None:
        assert not exact.rejects
        assert fast.table.to_pydict() == exact.table.to_pydict()
        assert fast.table.schema == exact.table.schema
    either = read(text, 1, ALL_KINDS)
    assert either.table.to_pydict() == exact.table.to_pydict()
    assert either.rejects == exact.rejects


@given(st.lists(plain_number, min_size=1, max_size=50))
def test_plain_text_is_read_the_fast_way_and_exactly(numbers: list[str]) -> None:
    text = "".join(f"{place},{item},1E-8,x,{MS},true\n" for place, item in enumerate(numbers))
    rows = read_plain(text.replace("x", "0").encode(), TRADES)
    assert rows is not None
    assert rows.table["price"].to_pylist() == [Decimal(item) for item in numbers]
    assert set(rows.table["qty"].to_pylist()) == {Decimal("0.00000001")}


@pytest.mark.parametrize(
    ("line", "error_type"),
    [
        (f"1,1.0,1.0,1.0,{MS}", "WRONG_COLUMN_COUNT"),
        (f"1,1.0,1.0,1.0,{MS},true,true", "WRONG_COLUMN_COUNT"),
        (f"1,1.0000000000001,1.0,1.0,{MS},true", "BAD_NUMBER"),
        (f"1,123456789012345678901234567,1.0,1.0,{MS},true", "BAD_NUMBER"),
        (f"1,1E27,1.0,1.0,{MS},true", "BAD_NUMBER"),
        (f"1,abc,1.0,1.0,{MS},true", "BAD_NUMBER"),
        (f"1.5,1.0,1.0,1.0,{MS},true", "BAD_NUMBER"),
        ("1,1.0,1.0,1.0,1754006400,true", "BAD_TIME"),
        (f"1,1.0,1.0,1.0,{MS}000000,true", "BAD_TIME"),
        (f"1,1.0,1.0,1.0,{MS},maybe", "BAD_VALUE"),
        ("id,price,qty,quote_qty,time,is_buyer_maker", "BAD_NUMBER"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str, error_type: str) -> None:
    good = f"7,1.5,2.5,3.75,{MS},false"
    rows = read(f"{good}\n{line}\n{good}\n".encode(), 11, TRADES)
    assert rows.table.num_rows == 2
    (reject,) = rows.rejects
    assert (reject.line, reject.error_type, reject.content) == (12, error_type, line.encode())


@pytest.mark.parametrize("times", [[MS, MS * 1000 + 7], [MS * 1000 + 7, MS * 1000 + 8]])
def test_the_unit_of_a_time_is_told_row_by_row(times: list[int]) -> None:
    text = "".join(f"1,1,1,1,{item},true\n" for item in times).encode()
    for rows in (read_plain(text, TRADES), read_lines(text, 1, TRADES)):
        assert rows is not None
        micros = rows.table["time"].cast(pa.int64()).to_pylist()
        assert micros == [item * 1000 if item == MS else item for item in times]


# Headers.


def test_a_header_is_told_from_data() -> None:
    assert is_header(b"open_time,open")
    assert is_header(b'"calc_time",x')
    assert not is_header(b"1754006400000,1.0")
    assert not is_header(b"-1,1.0")
    assert not is_header(b"")


def test_names_decide_whatever_their_order_and_case() -> None:
    columns = from_header(b"isBuyerMaker,time,qty,price,ID,mood", columns_of("um", "trades"))
    assert [column.name for column in columns] == [
        *("is_buyer_maker", "time", "qty", "price", "id", "mood")
    ]
    assert [column.is_known for column in columns] == [True] * 5 + [False]


@pytest.mark.parametrize(
    "header",
    [
        b"id,price,qty,quote_qty,is_buyer_maker",
        b"id,price,qty,time,is_buyer_maker,price",
        b"id,\xff",
    ],
)
def test_a_header_that_lacks_or_repeats_a_column_is_refused(header: bytes) -> None:
    with pytest.raises(BrokenObjectError) as caught:
        from_header(header, columns_of("um", "trades"))
    assert caught.value.error_type == "BAD_HEADER"


def test_without_a_header_the_number_of_columns_decides() -> None:
    known = columns_of("spot", "trades")
    assert len(from_width([6], known)) == 6
    assert len(from_width([3, 7], known)) == 7
    with pytest.raises(BrokenObjectError):
        from_width([3, 9], known)


# Channels.


def converted(market: str, data: str, line: str, header: str = "") -> dict[str, Any]:
    """Return the one row that a line becomes."""
    known = columns_of(market, data)
    columns = (
        from_header(header.encode(), known) if header else from_width([line.count(",") + 1], known)
    )
    rows = read(line.encode(), 1, columns)
    assert rows.rejects == []
    interval = "1m" if "lines" in data else None
    table, _ = to_channel(Series(market, data, "X", interval), rows.table, columns)
    assert set(table.column_names) <= set(RAW[CHANNELS[data]].schema.names)
    (row,) = table.to_pylist()
    row["extra"] = json.loads(row.get("extra") or "null")
    return row  # type: ignore[no-any-return]


INSTANT = datetime(2025, 8, 1, 0, 0, 0, 123_000, tzinfo=UTC)


def test_a_buyer_who_is_the_maker_was_sold_to() -> None:
    row = converted("spot", "trades", f"9,1.50,2,3,{MS},True,True")
    assert row["ts_event"] == INSTANT
    assert (row["trade_id"], row["price"], row["size"]) == ("9", Decimal("1.5"), Decimal(2))
    assert (row["side"], row["extra"]) == ("sell", None)
    assert converted("spot", "trades", f"9,1,2,3,{MS},False,True")["side"] == "buy"


def test_a_trade_that_was_no_best_match_says_so() -> None:
    row = converted("spot", "aggTrades", f"9,1,2,5,6,{MS},True,False")
    assert (row["first_id"], row["last_id"]) == (5, 6)
    assert row["extra"] == {"is_best_match": False}


def test_the_base_amount_of_a_coin_margined_trade_is_kept() -> None:
    row = converted("cm", "trades", f"9,64000.1,100,0.15624976,{MS},true")
    assert (row["size"], row["extra"]) == (Decimal(100), {"base_qty": "0.15624976"})


def test_a_mark_price_is_that_of_the_close_when_it_is_known() -> None:
    row = converted("um", "markPriceKlines", f"1,1.1,1.4,1.0,1.30,0,{MS},0,60,0,0,0")
    assert (row["ts_event"], row["mark_price"]) == (INSTANT, 1.3)
    assert row["extra"] == {"open": "1.1", "high": "1.4", "low": "1.0", "interval": "1m"}


def test_funding_rates() -> None:
    row = converted("um", "fundingRate", f"{MS},8,-0.00012345")
    assert (row["ts_event"], row["interval_hours"], row["funding_rate"]) == (
        *(INSTANT, 8.0, -0.00012345),
    )


@pytest.mark.parametrize(("transacted", "sent"), [(MS, MS + 4), ("", MS)])
def test_a_ticker_is_of_its_transaction_or_else_of_its_event(transacted: Any, sent: int) -> None:
    row = converted("um", "bookTicker", f"77,1.1,5,1.2,6,{transacted},{sent}")
    assert (row["ts_event"], row["seq"]) == (INSTANT, 77)
    assert [row[f"{side}_{what}"] for side in ("bid", "ask") for what in ("price", "size")] == [
        *(1.1, 5.0, 1.2, 6.0)
    ]
    assert row["extra"] == {"event_time": str(sent)}


def test_an_unknown_column_is_kept_in_extra() -> None:
    header = "calc_time,funding_interval_hours,last_funding_rate,mood"
    assert converted("um", "fundingRate", f'{MS},8,0.1,so "so"', header)["extra"] == {
        "mood": 'so "so"'
    }
    assert converted("um", "fundingRate", f"{MS},8,0.1,", header)["extra"] is None
