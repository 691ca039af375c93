"""Reading captures: what lines mean, that the fast reading says the same, and the rebuilt book."""

import gzip
import io
import json
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.capture import reading, tables
from loaders.capture.captures import EXCHANGES, CaptureParser, captures
from loaders.capture.fields import FaultError
from loaders.capture.lines import LineReader, Lines
from loaders.capture.records import read_line
from loaders.channels import CHANNELS
from loaders.decode import BrokenObjectError, chunks
from loaders.source import LocalSource, SourceObject
from tests.captures import Kline, Market
from ticklake.microstructure.book_rebuild import SequenceRule

FUTURES, SPOT = SequenceRule.FUTURES, SequenceRule.SPOT
PREFIX = "1723161255088176367 "
RECEIVED = datetime(2024, 8, 8, 23, 54, 15, 88176, UTC)
AT_MS = 1_723_161_256_322
AT = datetime(2024, 8, 8, 23, 54, 16, 322000, UTC)

# Real lines, but for the shortened levels and the mark price, which is that of the documentation.
TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256323,"T":1723161256322,'
    '"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)
TICKER = (
    '{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT",'
    '"b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}'
)
DEPTH = (
    '{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,'
    '"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,'
    '"b":[["58710.20","0.014"],["61510.90","0.000"]],"a":[["61800.30","2.510"]]}}'
)
SNAPSHOT = (
    '{"lastUpdateId":5123107832010,"E":1723161256501,"T":1723161256493,'
    '"bids":[["61800.20","2.909"],["61510.90","0.696"]],"asks":[["61800.30","2.000"]]}'
)
AGGREGATE = (
    '{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,'
    '"l":105,"T":1672515782136,"m":true,"M":true}'
)
SPOT_TICKER = (
    '{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000",'
    '"A":"40.66000000"}'
)
SPOT_DEPTH = (
    '{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,'
    '"b":[["0.0024","10"]],"a":[]}'
)
MARK = (
    '{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000",'
    '"i":"11784.62659091","P":"11784.25641265","r":"0.00038167","T":1562306400000}'
)
LINES = [TRADE, TICKER, DEPTH, AGGREGATE, SPOT_TICKER, MARK]


@dataclass
class Basket:
    """Stands in for the engine's sink."""

    symbols: frozenset[str] | None = None
    parts: dict[tuple[str, str], list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    rejects: list[tuple[str, int | None]] = field(default_factory=list)
    extras: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    unwanted: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    folded: int = 0

    def rows(self, channel: str, table: pa.Table, *, exchange: str, symbol: str) -> None:
        assert exchange in EXCHANGES
        if self.symbols is None or symbol in self.symbols:
            self.parts[channel, symbol].append(table)
        else:
            self.skip("other symbols", table.num_rows)

    def read(self, count: int) -> None:
        self.lines += count

    def skip(self, reason: str, count: int = 1) -> None:
        self.unwanted[reason] += count

    def fold(self, count: int) -> None:
        self.folded += count

    def check(self) -> None:
        """Require that each line is a row, or rejected, or not wanted, or a part of other rows."""
        kept = sum(table.num_rows for parts in self.parts.values() for table in parts)
        assert self.lines == kept + len(self.rejects) + self.unwanted.total() + self.folded

    def reject(self, kind: str, message: str, *, line: int | None = None, content: Any = 0) -> None:
        assert message
        self.rejects.append((kind, line))

    def extra(self, name: str, count: int = 1) -> None:
        self.extras[name] += count

    def note(self, message: str) -> None:
        self.notes.append(message)

    def tables(self) -> dict[tuple[str, str], pa.Table]:
        joined = {key: pa.concat_tables(parts) for key, parts in self.parts.items()}
        return {key: table.combine_chunks() for key, table in joined.items() if table.num_rows}

    def only(self, channel: str) -> pa.Table:
        (found,) = (table for (name, _), table in self.tables().items() if name == channel)
        return found


class Text:
    """A source with one object in it."""

    location = "memory"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self.data)


def read(
    text: str | list[str],
    exchange: str = "binance-futures",
    path: str = "capture.jsonl",
    **how: Any,
) -> Basket:
    lines = text if isinstance(text, str) else "".join(f"{line}\n" for line in text)
    data = gzip.compress(lines.encode()) if path.endswith(".gz") else lines.encode()
    symbols = how.pop("symbols", None)
    basket = Basket(symbols)
    parser = CaptureParser(exchange, how.pop("levels", 20), **how)
    found = SourceObject(path, len(data), "tag")
    reading.read_capture(parser, Text(data), found, basket)  # type: ignore[arg-type]
    basket.check()
    return basket


def read_gzip(data: bytes) -> Basket:
    basket = Basket()
    parser, found = CaptureParser("binance-futures", 20), SourceObject("a.gz", len(data), "tag")
    reading.read_capture(parser, Text(data), found, basket)  # type: ignore[arg-type]
    basket.check()
    return basket


def row_of(line: str, channel: str, exchange: str = "binance-futures") -> dict[str, Any]:
    (row,) = read([line], exchange).only(channel).to_pylist()
    return row  # type: ignore[no-any-return]


def test_a_trade() -> None:
    assert row_of(PREFIX + TRADE, "trades") == {
        "ts_event": AT,
        "ts_capture": RECEIVED,
        "trade_id": "5266583935",
        "price": Decimal("61800.300000000000"),
        "size": Decimal("0.006000000000"),
        "side": "buy",
        "first_id": None,
        "last_id": None,
        "extra": None,
    }


def test_an_aggregated_trade_of_a_maker_who_buys_is_a_sale() -> None:
    row = row_of(AGGREGATE, "trades", "binance")
    assert (row["side"], row["trade_id"]) == ("sell", "12345")
    assert (row["first_id"], row["last_id"], row["ts_capture"]) == (100, 105, None)


def test_a_trade_that_is_none_of_the_market_keeps_its_type_and_zeros_land() -> None:
    line = TRADE.replace("MARKET", "NA").replace("61800.30", "0").replace("0.006", "0")
    row = row_of(line, "trades")
    assert (row["price"], row["size"], row["extra"]) == (0, 0, '{"X":"NA"}')


def test_a_ticker() -> None:
    row = row_of(PREFIX + TICKER, "tickers")
    assert row.pop("ts_event") == datetime(2024, 8, 8, 23, 54, 16, 313000, UTC)
    assert row == {
        "ts_capture": RECEIVED,
        "seq": 5123107839020,
        "bid_price": 61800.20,
        "bid_size": 2.507,
        "ask_price": 61800.30,
        "ask_size": 2.510,
        "extra": None,
    }


def test_a_spot_ticker_has_the_time_it_was_received() -> None:
    row = row_of(PREFIX + SPOT_TICKER, "tickers", "binance")
    assert (row["ts_event"], row["ts_capture"]) == (RECEIVED, RECEIVED)
    assert read([SPOT_TICKER], "binance").rejects == [("NO_TIME", 1)]


def test_a_mark_price_and_its_funding_rate() -> None:
    basket = read([MARK])
    (mark,) = basket.only("mark_prices").to_pylist()
    assert (mark["mark_price"], mark["index_price"]) == (11794.15, 11784.62659091)
    assert mark["extra"] == '{"P":"11784.25641265"}'
    assert basket.extras == {"P": 1}
    (funding,) = basket.only("funding_rates").to_pylist()
    assert funding["funding_rate"] == 0.00038167
    assert funding["next_funding_ts"] == datetime(2019, 7, 5, 6, tzinfo=UTC)
    assert funding["ts_event"] == mark["ts_event"] == datetime(2019, 7, 5, 5, 43, tzinfo=UTC)


def test_a_contract_without_funding_has_no_rate() -> None:
    line = MARK.replace('"0.00038167","T":1562306400000', '"","T":0')
    assert {channel for channel, _ in read([line, line, MARK, line]).tables()} == {
        "mark_prices",
        "funding_rates",
    }
    assert {channel for channel, _ in read([line, line]).tables()} == {"mark_prices"}


def test_the_book() -> None:
    (row,) = read([SNAPSHOT, PREFIX + DEPTH]).only("order_book").to_pylist()
    assert row == {
        "ts_event": datetime(2024, 8, 8, 23, 54, 16, 298000, UTC),
        "ts_capture": RECEIVED,
        "seq": 5123107837557,
        "is_reset": True,
        "bids": [{"price": 61800.2, "size": 2.909}, {"price": 58710.2, "size": 0.014}],
        "asks": [{"price": 61800.3, "size": 2.51}],
    }


def test_an_array_of_events_is_so_many_events() -> None:
    line = '{"stream":"!markPrice@arr","data":[%s,%s]}' % (MARK, MARK.replace("BTC", "ETH"))  # noqa: UP031
    assert {symbol for _, symbol in read([line]).tables()} == {"BTCUSDT", "ETHUSDT"}


def test_columns_are_those_of_the_channels() -> None:
    basket = read([SNAPSHOT, TRADE, TICKER, DEPTH, MARK])
    assert len(basket.parts) == 5
    for (channel, _), table in basket.tables().items():
        schema = CHANNELS[channel].schema
        assert all(table.schema.field(name) == schema.field(name) for name in table.column_names)


@pytest.mark.parametrize(
    ("line", "error_type"),
    [
        ("{", "BAD_JSON"),
        (TRADE[:-1], "BAD_JSON"),
        (TRADE.replace("0.006", "\\ud800"), "BAD_JSON"),
        (TRADE.replace('"t":', '"s":"X","t":'), "BAD_JSON"),
        (f"17231612550881763 {TRADE}"[2:], "BAD_JSON"),
        (TRADE.replace("5266583935", "NaN"), "BAD_JSON"),
        (TRADE.replace('"e":"trade"', '"e":"forceOrders"'), "UNKNOWN_STREAM"),
        (TRADE.replace('"e":"trade",', ""), "UNKNOWN_STREAM"),
        ("[1]", "UNKNOWN_STREAM"),
        ('"text"', "UNKNOWN_STREAM"),
        (DEPTH.replace("@depth@0ms", "@depth5").replace("depthUpdate", "trade"), "UNKNOWN_STREAM"),
        (TRADE.replace('"p":"61800.30",', ""), "MISSING_FIELD"),
        (TRADE.replace('"61800.30"', "null"), "MISSING_FIELD"),
        (TRADE.replace('"s":"BTCUSDT",', ""), "MISSING_FIELD"),
        (AGGREGATE.replace('"f":100,', ""), "MISSING_FIELD"),
        (DEPTH.replace(',"pu":5123107831937', ""), "MISSING_FIELD"),
        (TRADE.replace("61800.30", "61800.30x"), "BAD_NUMBER"),
        (TRADE.replace("61800.30", "1e5"), "BAD_NUMBER"),
        (TRADE.replace("61800.30", "-1"), "BAD_NUMBER"),
        (TRADE.replace("61800.30", ""), "BAD_NUMBER"),
        (TRADE.replace("61800.30", "0.0000000000001"), "BAD_NUMBER"),
        (TRADE.replace("61800.30", "1" * 27), "BAD_NUMBER"),
        (TRADE.replace("5266583935", '"5266583935"'), "BAD_NUMBER"),
        (TRADE.replace("1723161256322", "172316125632"), "BAD_NUMBER"),
        (DEPTH.replace("58710.20", "58710."), "BAD_NUMBER"),
        (DEPTH.replace("58710.20", "-5"), "BAD_NUMBER"),
        (DEPTH.replace('["61800.30","2.510"]', '["61800.30"]'), "BAD_LEVEL"),
        (DEPTH.replace('[["61800.30","2.510"]]', '"none"'), "BAD_LEVEL"),
        (TRADE.replace("false", '"false"'), "BAD_VALUE"),
    ],
)
def test_a_line_that_cannot_be_used_is_set_aside_and_the_others_land(
    line: str, error_type: str
) -> None:
    basket = read([TRADE, line, TRADE])
    assert basket.rejects == [(error_type, 2)]
    assert basket.only("trades").num_rows == 2


def test_a_book_of_the_other_venue_is_set_aside() -> None:
    assert read([TRADE, DEPTH], "binance").rejects == [("WRONG_EXCHANGE", 2)]


def test_answers_to_subscriptions_and_empty_lines_are_no_fault() -> None:
    basket = read(['{"result":null,"id":1}', "", PREFIX + '{"id":2,"result":["a"]}', " "])
    assert (basket.rejects, basket.tables()) == ([], {})


def test_a_snapshot_that_the_websocket_api_answers_with_begins_a_book() -> None:
    answer = f'{{"id":"x","status":200,"result":{SNAPSHOT},"rateLimits":[]}}'
    assert read([answer, DEPTH]).tables() == read([SNAPSHOT, DEPTH]).tables()
    assert ("order_book", "BTCUSDT") in read([PREFIX + answer, DEPTH]).tables()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            TRADE.replace('"X"', '"nq":"0.005","more":[1.50,null],"X"'),
            '{"nq":"0.005","more":[1.50,null]}',
        ),
        (TRADE[:-1] + ',"node":3}', '{"message.node":3}'),
    ],
)
def test_fields_without_a_column_go_to_extra(line: str, text: str) -> None:
    basket = read([line, line])
    assert basket.only("trades")["extra"].to_pylist() == [text, text]
    assert basket.extras == dict.fromkeys(json.loads(text), 2)


def test_times_of_three_units_mean_the_same() -> None:
    micros = TRADE.replace(str(AT_MS), f"{AT_MS}000")
    received = [f"{PREFIX[:digits]} {micros}" for digits in (13, 16, 19)]
    table = read([TRADE, *received]).only("trades")
    assert table["ts_event"].to_pylist() == [AT] * 4
    in_ms = RECEIVED.replace(microsecond=88000)
    assert table["ts_capture"].to_pylist() == [None, in_ms, RECEIVED, RECEIVED]


# ---- the fast reading


def results(reader: LineReader, text: str, *, exactly: bool) -> Any:
    lines = reader.read(text.encode(), 1, exactly=exactly)
    found = {key: rows for key, rows in lines.rows.items() if key[0] != "depth"}
    books = {key: events_of(lines, key) for key in lines.rows if key[0] == "depth"}
    return found, books, lines.rejects, lines.extra, lines.answers


def events_of(lines: Lines, key: Any) -> Any:
    events = tables.book_events(lines.rows[key])
    arrays = [events.is_snapshot, events.first_id, events.last_id, events.previous_id]
    for levels in (events.bids, events.asks):
        arrays += [levels.offsets, levels.price, levels.size]
    return [array.tolist() for array in (*arrays, events.ts_event.view(np.int64))]


def reverse(line: str) -> str:
    """Return a line with the fields of its event in another order."""
    content = json.loads(line)
    event = dict(reversed(content.get("data", content).items()))
    content = {"stream": content["stream"], "data": event} if "data" in content else event
    return json.dumps(content, separators=(",", ":"))


ALIKE: list[Callable[[str], str]] = [
    str,
    lambda line: PREFIX + line,
    lambda line: PREFIX + json.dumps(json.loads(line)),
    reverse,
]
WRITINGS = [
    *ALIKE,
    lambda line: json.dumps(json.loads(line), separators=(",", ": ")),
    lambda line: f"[{line}]",
    lambda line: f" {line}",
]
ODD = (
    "0",
    "-0",
    "01",
    "-1",
    "1.",
    ".5",
    "1.50",
    "1e5",
    "1" * 25,
    "1" * 19,
    "",
    " 1",
    "0." + "1" * 13,
)
CHARACTERS = st.sampled_from('0159-+.,:eE"[]{}\\ aTbu\u00e9')


@settings(max_examples=400)
@given(st.data())
def test_the_fast_reading_says_what_the_exact_one_says(data: st.DataObject) -> None:
    rule = data.draw(st.sampled_from(SequenceRule))
    known = [SPOT_DEPTH if rule is SPOT else DEPTH, *LINES]
    pairs = st.tuples(st.sampled_from(known), st.sampled_from(WRITINGS))
    taught = [write(line) for line, write in data.draw(st.lists(pairs, min_size=1, max_size=6))]
    lines = []
    for line in data.draw(st.lists(st.sampled_from(taught), min_size=1, max_size=6)):
        number = data.draw(st.sampled_from([None, *re.finditer(r"[0-9.]+", line)]))
        if number is not None:
            odd = data.draw(st.sampled_from(ODD))
            line = line[: number.start()] + odd + line[number.end() :]
        for _ in range(data.draw(st.sampled_from([0, 0, 1, 2]))):
            place, width = data.draw(st.integers(0, len(line))), data.draw(st.integers(0, 3))
            line = line[:place] + data.draw(st.text(CHARACTERS, max_size=3)) + line[place + width :]
        lines.append(line)
    text = "\n".join(lines)
    fast = LineReader(rule)
    fast.read("\n".join(taught).encode(), 1)
    expected = results(LineReader(rule), text, exactly=True)
    try:
        got = results(fast, text, exactly=False)
    except tables.RefusedError:
        return  # the chunk would be read again, exactly
    assert got == expected


@pytest.mark.parametrize("line", [TRADE, TICKER, DEPTH, AGGREGATE, MARK])
@pytest.mark.parametrize("write", ALIKE)
def test_lines_written_alike_are_read_fast(
    line: str, write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = LineReader(FUTURES)
    text = f"{write(line)}\n".encode()
    exact = reader.read(text, 1)
    monkeypatch.setattr("loaders.capture.lines.read_line", None)
    assert reader.read(text, 1) == exact


def test_levels_that_only_look_right_are_read_exactly() -> None:
    for levels in (
        '"5"," 6"',
        '"5"],["6"',
        '"5,6"',
        '"5.","6"',
        '".5","6"',
        '"5","6"],"7"',
        '"5","6","7"',
    ):
        bad = DEPTH.replace('"61800.30","2.510"', levels)
        basket = read([SNAPSHOT, DEPTH, DEPTH, bad, TRADE])
        assert [line for _, line in basket.rejects] == [4], levels
        assert basket.only("trades").num_rows == 1


def test_reads_a_line_that_names_no_event() -> None:
    with pytest.raises(FaultError, match="without a name"):
        read_line(b"{}", FUTURES)


# ---- whole captures


@pytest.fixture(scope="module")
def market() -> tuple[Market, str]:
    made = Market(seed=7)
    return made, "".join(made.lines(60_000, snapshot_every=25_000))


def the_real_capture(data: Path) -> str:
    return gzip.decompress(
        (data / "binance_capture/usdm_btcusdt_20240808.gz").read_bytes()
    ).decode()


def tickers_that_the_book_equals(text: str, exchange: str = "binance-futures") -> int:
    """Compare each best bid and ask with the row of the book that has the same update id."""
    basket = read(text, exchange)
    book = {row["seq"]: row for row in basket.only("order_book").to_pylist()}
    equal = 0
    for ticker in basket.only("tickers").to_pylist():
        row = book.get(ticker["seq"])
        if row is None:
            continue
        sides = row["bids"][0], row["asks"][0]
        assert [(side["price"], side["size"]) for side in sides] == [
            (ticker["bid_price"], ticker["bid_size"]),
            (ticker["ask_price"], ticker["ask_size"]),
        ], ticker
        equal += 1
    return equal


def test_the_top_of_the_book_is_the_best_bid_and_ask(market: tuple[Market, str]) -> None:
    assert tickers_that_the_book_equals(market[1]) > 500


def test_the_top_of_the_book_is_the_best_bid_and_ask_on_spot() -> None:
    lines = Market(seed=8, is_futures=False, is_wrapped=False).lines(20_000)
    assert tickers_that_the_book_equals("".join(lines), "binance") > 150


def test_the_top_of_the_book_is_the_best_bid_and_ask_in_the_real_capture(shared_data: Path) -> None:
    assert tickers_that_the_book_equals(the_real_capture(shared_data)) > 600


def klines_of(trades: pa.Table) -> dict[int, Kline]:
    """Sum trades up by minute of their event time, as the venue does: prints of zero count not."""
    klines: dict[int, Kline] = {}
    for row in trades.to_pylist():
        price, size = row["price"], row["size"]
        if not price or not size:
            continue
        minute = int(row["ts_event"].timestamp()) // 60 * 60_000
        kline = klines.setdefault(minute, Kline(price, price, price, price))
        kline.high, kline.low = max(kline.high, price), min(kline.low, price)
        kline.close = price
        is_buy = row["side"] == "buy"
        kline.volume += size
        kline.quote_volume += price * size
        kline.count += 1
        kline.taker_buy_volume += size * is_buy
        kline.taker_buy_quote_volume += price * size * is_buy
    return klines


def test_trades_add_up_to_the_klines_of_the_venue(market: tuple[Market, str]) -> None:
    made, text = market
    klines = klines_of(read(text).only("trades"))
    assert len(klines) >= 2
    assert klines == made.klines


def test_trades_of_the_real_capture_add_up_to_the_real_klines(shared_data: Path) -> None:
    klines = klines_of(read(the_real_capture(shared_data)).only("trades"))
    path = next((shared_data / "binance_klines").glob("BTCUSDT-1m-usdm-*.csv"))
    published = {
        int(values[0]): Kline(
            *map(Decimal, values[1:6]),
            Decimal(values[7]),
            int(values[8]),
            *map(Decimal, values[9:11]),
        )
        for values in (line.split(",") for line in path.read_text().splitlines()[1:])
    }
    whole = sorted(klines)[1:]  # the capture begins within the first minute
    assert len(whole) == 5
    assert {minute: klines[minute] for minute in whole} == {
        minute: published[minute] for minute in whole
    }


@pytest.mark.parametrize("size", [3_000, 50_000])
@pytest.mark.parametrize("interval_ms", [0, 1_000])
def test_where_chunks_are_cut_changes_nothing(
    size: int, interval_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = list(Market(seed=9).lines(4_000, snapshot_every=1_500))
    for place in range(700, len(lines), 700):
        lines[place:place] = ["{}\n", DEPTH.replace("58710.20", "58710.") + "\n"]
    text = "".join(lines)
    whole = read(text, interval_ms=interval_ms)
    monkeypatch.setattr(reading, "chunks", partial(chunks, size=size))
    parts = read(text, interval_ms=interval_ms)
    assert parts.tables() == whole.tables()
    assert parts.extras == whole.extras
    assert parts.rejects == whole.rejects
    assert len(whole.rejects) > 2


def test_an_interval_thins_the_book_out() -> None:
    text = "".join(Market(seed=10).lines(6_000))
    every = read(text).only("order_book")
    thin = read(text, interval_ms=500, levels=3).only("order_book")
    times = thin["ts_event"].cast(pa.int64()).to_numpy() // 500_000
    assert 10 < thin.num_rows < every.num_rows / 5
    assert len(np.unique(times)) >= thin.num_rows - 1  # the reset is shown besides
    assert max(map(len, thin["bids"].to_pylist())) == 3


def test_a_capture_of_several_symbols_has_a_book_each() -> None:
    markets = [Market(seed, name, names_its_snapshots=True) for seed, name in ((1, "A"), (2, "B"))]
    each = ["".join(made.lines(2_000)) for made in markets]
    both = "".join(
        line
        for pair in zip(*(text.splitlines(keepends=True) for text in each), strict=False)
        for line in pair
    )
    together, alone = read(both).tables(), [read(text).tables() for text in each]
    for (channel, symbol), table in together.items():
        assert table == alone["AB".index(symbol)][channel, symbol].slice(0, table.num_rows)
    assert {symbol for _, symbol in together} == {"A", "B"}
    assert {symbol for _, symbol in read(both, symbols=frozenset("B")).tables()} == {"B"}


def best_levels(levels: int, number: int, *, spot: bool = False, symbol: str = "BTCUSDT") -> str:
    """Return a partial book whose prices and ids go up with `number`."""
    bids = f'[["{100 + number}","1"],["{99 + number}","2"]]'
    asks = f'[["{101 + number}","3"],["{102 + number}","4"]]'
    event = f'{{"lastUpdateId":{number},"bids":{bids},"asks":{asks}}}'
    if not spot:
        time = 1723161256299 + number
        event = (
            f'{{"e":"depthUpdate","E":{time},"T":{time - 1},"s":"{symbol}","U":{number},'
            f'"u":{number},"pu":{number - 1},"b":{bids},"a":{asks}}}'
        )
    stream = f"{symbol.lower()}@depth{levels}@100ms"
    prefix = f"{1723161255088 + number}000000 "
    return f'{prefix}{{"stream":"{stream}","data":{event}}}'


@pytest.mark.parametrize("spot", [True, False])
def test_each_partial_book_is_a_whole_book(spot: bool) -> None:
    exchange = "binance" if spot else "binance-futures"
    basket = read([best_levels(5, number, spot=spot) for number in range(1, 40)], exchange)
    assert basket.rejects == []
    table = basket.only("order_book")
    rows = table.to_pylist()
    assert [row["seq"] for row in rows] == list(range(1, 40))
    assert [row["is_reset"] for row in rows] == [True] + [False] * 38
    assert rows[1]["bids"] == [{"price": 102, "size": 1}, {"price": 101, "size": 2}]
    assert rows[1]["asks"] == [{"price": 103, "size": 3}, {"price": 104, "size": 4}]
    received = datetime(2024, 8, 8, 23, 54, 15, 90_000, tzinfo=UTC)
    happened = datetime(2024, 8, 8, 23, 54, 16, 300_000, tzinfo=UTC)
    assert rows[1]["ts_capture"] == received
    assert rows[1]["ts_event"] == (received if spot else happened)
    thin = read([best_levels(5, number, spot=spot) for number in range(1, 40)], exchange, levels=1)
    assert {len(row["asks"]) for row in thin.only("order_book").to_pylist()} == {1}


def test_partial_books_keep_the_last_of_each_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [best_levels(20, number) for number in range(1, 60)]
    found = read(lines, interval_ms=20).only("order_book")
    # The first one is kept as a reset. Event times end in 299 ms and more.
    assert found["seq"].to_pylist() == [1, 21, 41, 59]
    monkeypatch.setattr(reading, "chunks", partial(chunks, size=700))
    assert read(lines, interval_ms=20).only("order_book") == found


def test_a_partial_book_of_spot_needs_the_time_it_was_received() -> None:
    bare = best_levels(5, 1, spot=True).partition(" ")[2]
    assert read([bare], "binance").rejects == [("NO_TIME", 1)]


def test_a_partial_book_of_the_other_market_is_refused() -> None:
    assert read([best_levels(5, 1)], "binance").rejects == [("WRONG_EXCHANGE", 1)]
    assert read([best_levels(5, 1, spot=True)]).rejects == [("WRONG_EXCHANGE", 1)]


def test_of_several_streams_of_a_book_one_has_to_be_named() -> None:
    lines = [
        best_levels(5, 1),
        best_levels(20, 2),
        best_levels(20, 3),
        best_levels(5, 9, symbol="ETHUSDT"),
    ]
    with pytest.raises(BrokenObjectError, match=r"depth5 and depth20.*--book"):
        read(lines)
    basket = read(lines, book="depth20")
    assert basket.only("order_book")["seq"].to_pylist() == [2, 3]
    with pytest.raises(BrokenObjectError, match="AMBIGUOUS_BOOK"):
        read([PREFIX + DEPTH, best_levels(5, 1)])
    assert read([PREFIX + DEPTH, best_levels(5, 1)], book="depth").tables() == {}
    assert read(lines, symbols=frozenset(["ETHUSDT"])).only("order_book").num_rows == 1


def polled(number: int, time: str = "") -> str:
    text = best_levels(5, number, spot=True)
    event = text[text.index('{"lastUpdateId"') : -1]
    return text.partition(" ")[0] + " " + event.replace('"bids"', time + '"bids"')


def test_snapshots_without_any_differences_are_whole_books() -> None:
    lines = [polled(number) for number in (1, 2, 3)]
    found = read(lines, "binance", snapshot_symbol="BTCUSDT").only("order_book")
    assert found["seq"].to_pylist() == [1, 2, 3]
    assert [row[0]["price"] for row in found["bids"].to_pylist()] == [101, 102, 103]
    assert found["is_reset"].to_pylist() == [True, False, False]
    # With differences they are what a book begins with.
    rest = [*lines, SPOT_DEPTH.replace("BNBBTC", "BTCUSDT")]
    assert read(rest, "binance", snapshot_symbol="BTCUSDT").tables() == {}
    timeless = [line.partition(" ")[2] for line in lines]
    basket = read(timeless, "binance", snapshot_symbol="BTCUSDT")
    assert basket.rejects == [("NO_TIME", None)]


def test_events_without_a_channel_are_counted_and_are_no_fault() -> None:
    force = TRADE.replace('"e":"trade"', '"e":"forceOrder"')
    basket = read([force, TRADE, force])
    assert basket.rejects == []
    assert basket.only("trades").num_rows == 1
    assert basket.unwanted == {"forceOrder, which has no channel": 2}


@pytest.mark.parametrize(
    ("line", "venue"),
    [
        ('{"topic":"orderbook.500.XRPUSDT","type":"snapshot","ts":1,"data":{"s":"X"}}', "Bybit"),
        ('{"topic":"/market/level2:BTC-USDT","data":{}}', "KuCoin"),
        ('{"instId":"BTC-USDT","action":"snapshot","ts":"1","asks":[],"bids":[]}', "OKX"),
        ('{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}', "OKX"),
        ('{"arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"},"data":[]}', "Bitget"),
        ('{"channel":"l2Book","data":{"coin":"BTC","levels":[[],[]]}}', "Hyperliquid"),
        ('{"channel":"trades","data":[{"coin":"BTC","px":"1"}]}', "Hyperliquid"),
        ('{"type":"match","product_id":"BTC-USD"}', "Coinbase"),
    ],
)
def test_a_message_of_another_venue_is_called_so(line: str, venue: str) -> None:
    with pytest.raises(FaultError, match=f"this looks like {venue} ") as error:
        read_line(line.encode(), SequenceRule.SPOT)
    assert error.value.error_type == "UNKNOWN_STREAM"


def test_whose_a_snapshot_without_a_symbol_is() -> None:
    other = TRADE.replace("BTC", "ETH").replace("btc", "eth")
    assert ("order_book", "BTCUSDT") in read([SNAPSHOT, "", DEPTH]).tables()
    assert ("order_book", "BTCUSDT") in read([DEPTH, SNAPSHOT]).tables()
    for lines in ([SNAPSHOT, DEPTH, other], [other, DEPTH, SNAPSHOT], [other, SNAPSHOT, DEPTH]):
        with pytest.raises(BrokenObjectError, match="BTCUSDT, ETHUSDT"):
            read(lines)
        given = read(lines, snapshot_symbol="BTCUSDT", symbols=frozenset({"BTCUSDT"}))
        assert ("order_book", "BTCUSDT") in given.tables()
    named = f'{{"stream":"btcusdt@snapshot","data":{SNAPSHOT}}}'
    assert ("order_book", "BTCUSDT") in read([other, named, DEPTH]).tables()
    assert read([SNAPSHOT]).rejects == [("UNKNOWN_SYMBOL", None)]


def test_the_latest_of_two_snapshots_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    later = SNAPSHOT.replace("5123107832010", "5123107832020").replace("2.909", "7.000")
    first = SNAPSHOT.replace('"asks":[', '"asks":[' + '["70000.00","1.000"],' * 20)
    following = DEPTH.replace('"pu":5123107831937', '"pu":5123107837557').replace(
        "7557,", "7558,", 1
    )
    text = f"{first}\n{TRADE}\n{later}\n{DEPTH}\n{following}\n"
    for size in (len(text), len(first) + 1):
        monkeypatch.setattr(reading, "chunks", partial(chunks, size=size))
        rows = read(text).only("order_book").to_pylist()
        assert [(row["is_reset"], row["bids"][0]["size"]) for row in rows] == [
            (True, 7.0),
            (False, 7.0),
        ]


def test_says_what_gave_no_book() -> None:
    assert read([DEPTH]).notes == [
        "BTCUSDT: 1 depth updates without a book, before a snapshot or after one of 0 gaps"
    ]


def test_the_last_line_needs_no_newline_and_may_be_cut_off() -> None:
    line = PREFIX + TRADE
    for cut, rejects in ((0, []), (9, [("BAD_JSON", 2)])):
        basket = read(f"{line}\n{line[: len(line) - cut]}")
        assert basket.rejects == rejects
        assert basket.only("trades").num_rows == 2 - len(rejects)


def test_of_a_cut_gzip_all_whole_lines_are_read() -> None:
    lines = list(Market(seed=11).lines(3_000))
    data = gzip.compress("".join(lines).encode())
    cut = zlib.decompressobj(31).decompress(data[:-2_000]).decode()
    basket = read_gzip(data[:-2_000])
    whole = cut[: cut.rfind("\n") + 1]
    assert 0 < len(whole.splitlines()) < len(lines)
    assert basket.rejects == [("GZIP_TRUNCATED", len(whole.splitlines()) + 1)]
    assert basket.tables() == read(whole).tables()
    with pytest.raises(BrokenObjectError, match="GZIP_CORRUPT"):
        read_gzip(b"[1]\n" + data)


def test_captures_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    parser = CaptureParser("binance", 20)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00.jsonl.gz").touch()
    files = [str(tmp_path / name / "00.jsonl.gz") for name in ("b", "a", "b")]
    items = captures("lake", [*files, "s3://bucket/deep/00.jsonl"], parser).items
    assert [item.path for item in items] == ["00.jsonl.gz", "00.jsonl.gz", "00.jsonl"]
    assert len({item.name for item in items}) == 3
    assert all(item.name.startswith("00-") for item in items)
    assert items[-1].source == "s3://bucket/deep"
    assert LocalSource(items[0].source).survey([items[0].path])
