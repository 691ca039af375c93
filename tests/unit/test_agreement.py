"""Whether rows agree with what they are landed as."""

from typing import Any

import pyarrow as pa
import pytest

from loaders.agreement import Agreement, agree, refuse_other_kind, seconds_of
from loaders.channels import LEVELS
from loaders.decode import BrokenObjectError
from loaders.mapping import NO_MAPPING, ColumnMapping

TRADES = ("timestamp", "price", "size")


@pytest.mark.parametrize(
    ("name", "said", "wanted", "expected"),
    [
        ("symbol", "btc/usdt", "BTCUSDT", True),
        ("symbol", "BTC-PERP", "BTC_PERP", True),
        ("symbol", "ETHUSDT", "BTCUSDT", False),
        ("symbol", "BTC/USDT:USDT", "BTCUSDT", False),
        ("symbol", "BTC-24032-950000-C", "BTC-240329-50000-C", False),
        ("symbol", "@107", "107", False),
        ("exchange", "BINANCE_FUTURES", "binance-futures", True),
        ("exchange", "Binance Spot", "binance", True),
        ("exchange", "OKX", "okex", True),
        ("exchange", "binance-futures", "binance", False),
        ("interval", "1min", "1m", True),
        ("interval", "60", "1m", True),
        ("interval", "60", "1h", True),
        ("interval", "1HRS", "1h", True),
        ("interval", "1M", "1m", False),
        ("interval", "5m", "1m", False),
    ],
)
def test_spellings_agree_and_other_things_do_not(
    name: str, said: str, wanted: str, expected: bool
) -> None:
    assert agree(name, said, wanted) is expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m", 60), ("4h", 14_400), ("D1", 86_400), ("15MIN", 900), ("1M", None), ("x", None)],
)
def test_lengths_of_intervals(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


def candles(minutes: list[int], interval: str, parts: int = 1, **said: Any) -> str:
    """Return why candles that open at these minutes are refused, or nothing."""
    agreement = Agreement(
        "klines", {"interval": interval, "symbol": "S"}, {}, (), ColumnMapping(**said)
    )
    times = [1_700_000_040_000_000 + minute * 60_000_000 for minute in minutes]
    size = -(-len(times) // parts)
    for begin in range(0, len(times), size):
        array = pa.array(times[begin : begin + size], pa.timestamp("us", "UTC"))
        agreement.candles({"symbol": "S", "interval": interval}, array)
    try:
        agreement.finish()
    except BrokenObjectError as error:
        return error.message
    return ""


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_candles_agree_with_their_interval(parts: int, reverse: bool) -> None:
    def said(minutes: list[int], interval: str, **words: Any) -> str:
        return candles(minutes[:: -1 if reverse else 1], interval, parts, **words)

    five = [0, 5, 10, 15, 20, 25]
    assert said(five, "5m") == ""
    assert "5m apart, and --interval says 1m" in said(five, "1m")
    assert said(five, "1m", sparse=True) == ""
    assert "5m apart" in said(five, "1h", sparse=True)
    # Minutes without a trade are left out, and one candle is off the grid.
    assert said([0, 1, 2, 3, 7, 8, 30], "1m") == ""
    assert said([0, 1396], "1m") == ""
    # No venue has candles of two minutes: a trade every second minute makes such distances.
    assert said([0, 2, 4, 6, 8, 10], "1m") == ""


@pytest.mark.parametrize(
    ("channel", "path", "names", "kind"),
    [
        ("trades", "binance_liquidations_2020.csv", TRADES, "liquidations"),
        ("trades", "forceOrders-BTC.csv", TRADES, "liquidations"),
        ("trades", "liquidations/BTC.csv", TRADES, "liquidations"),
        ("trades", "BTC_quotes.csv", TRADES, "tickers"),
        ("trades", "BTCUSDT-bookTicker.csv", TRADES, "tickers"),
        ("trades", "incremental_book_L2.csv", TRADES, "changes of a book"),
        ("trades", "a.csv", (*TRADES, "side", "is_snapshot"), "changes of a book"),
        ("trades", "a.csv", (*TRADES, "side", "bankruptcyPrice"), "liquidations"),
        ("trades", "a.csv", ("time", "open", "high", "low", "close", "volume"), "klines"),
        ("trades", "a.csv", ("time", "bid", "ask", "last", "volume"), "tickers"),
        ("order_book", "incremental_book_L2.csv", ("ts", "bids", "asks"), "changes of a book"),
        ("klines", "BTCUSDT-markPriceKlines.csv", ("open_time",), "mark prices"),
    ],
)
def test_what_a_file_is_comes_from_its_name_and_its_columns(
    channel: str, path: str, names: tuple[str, ...], kind: str
) -> None:
    with pytest.raises(BrokenObjectError, match=f"looks like {kind}") as caught:
        refuse_other_kind(channel, path, names, NO_MAPPING)
    assert caught.value.error_type == "OTHER_KIND"
    assert f'"channel": "{channel}"' in caught.value.message
    refuse_other_kind(channel, path, names, ColumnMapping(channel=channel))


@pytest.mark.parametrize(
    ("channel", "path", "names"),
    [
        ("trades", "trades_and_quotes.csv", TRADES),
        ("trades", "BTCUSDT-aggTrades-2024.csv", TRADES),
        ("trades", "a.csv", (*TRADES, "side", "bid_px_00", "ask_px_00")),
        ("trades", "delta_BTC.csv", TRADES),
        ("klines", "BTCUSDT-klines.csv", ("open_time",)),
    ],
)
def test_names_that_fit_are_not_refused(channel: str, path: str, names: tuple[str, ...]) -> None:
    refuse_other_kind(channel, path, names, NO_MAPPING)


def looked(of: str, column: str, values: list[Any], **said: Any) -> str | None:
    names = (column, "bids", "asks")
    agreement = Agreement(of, {"symbol": "S"}, {}, names, ColumnMapping(**said))
    try:
        agreement.look(pa.table({name: pa.array(values) for name in names}))
    except BrokenObjectError as error:
        return error.error_type
    return None


@pytest.mark.parametrize(
    ("column", "values", "is_changes"),
    [
        ("snapshot", ["true", "false"], True),
        ("isSnapshot", [True, False], True),
        ("is_snapshot", ["true", "true"], False),
        ("action", ["snapshot", "update"], True),
        ("action", ["A", "T"], False),
        ("type", ["delta"], True),
        ("prevSeqId", ["-1", "17"], True),
        ("prevSeqId", ["-1", None], False),
        ("U", [5], True),
        ("u", [5], False),
    ],
)
def test_changes_are_not_whole_books(column: str, values: list[Any], is_changes: bool) -> None:
    expected = "CHANGES_OF_A_BOOK" if is_changes else None
    assert looked("order_book", column, values) == expected
    assert looked("order_book", column, values, channel="order_book") is None


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("action", ["T", "A"], "NOT_ALL_TRADES"),
        ("type", ["trade", "quote"], "NOT_ALL_TRADES"),
        ("action", ["T"], None),
        ("type", ["limit", "market", ""], None),
        ("type", ["b", "a"], "OTHER_KIND"),
        ("type", ["b", "s"], None),
        ("side", ["bid", "ask"], "OTHER_KIND"),
        ("side", ["buy", "sell", "B", "A", "N"], None),
        ("instrument_id", [1, 2], "SEVERAL_SYMBOLS"),
        ("instrument_id", [1, 1], None),
    ],
)
def test_rows_of_several_kinds_or_instruments_are_not_one_tape(
    column: str, values: list[Any], expected: str | None
) -> None:
    assert looked("trades", column, values) == expected


def test_a_column_that_is_said_not_to_be_the_symbol_is_not_compared() -> None:
    columns = (("symbol", None),)
    assert looked("trades", "market", ["spot", "perp"]) == "SEVERAL_SYMBOLS"
    assert looked("trades", "market", ["spot", "perp"], columns=columns) is None


def refused(symbol: str, **columns: list[str]) -> str | None:
    """Return why trades with these columns are refused as those of one symbol."""
    agreement = Agreement("trades", {"symbol": symbol}, {}, tuple(columns), NO_MAPPING)
    try:
        agreement.look(pa.table(columns))
    except BrokenObjectError as error:
        return error.error_type
    return None


@pytest.mark.parametrize("name", ["tradingsymbol", "Asset Pair", "what", "base_currency", "expiry"])
def test_a_column_of_any_name_that_has_the_symbol_and_others_is_of_several(name: str) -> None:
    known = "base_currency" in name or name == "expiry"
    values = ["BTC", "ETH"] if known else ["BTCUSDT", "ETHUSDT"]
    assert refused("BTCUSDT", **{name: values}) == "SEVERAL_SYMBOLS"
    assert refused("BTCUSDT", **{name: values[:1] * 2}) is None


def test_a_short_symbol_and_the_currency_of_fees_are_no_instruments() -> None:
    assert refused("S", kind=["B", "S"]) is None
    assert refused("BTC", fee_currency=["BTC", "BNB"]) is None


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("status", "filled", "OTHER_KIND"),
        ("order_status", "PARTIALLY_FILLED", "OTHER_KIND"),
        ("status", "ok", None),
        ("action", "make", "NOT_ALL_TRADES"),
    ],
)
def test_orders_are_not_trades(column: str, value: str, expected: str | None) -> None:
    assert refused("BTCUSDT", **{column: [value, value]}) == expected


@pytest.mark.parametrize("column", ["side_is_bid", "isBid", "update_type"])
def test_levels_of_one_side_are_not_trades(column: str) -> None:
    with pytest.raises(BrokenObjectError, match="changes of a book"):
        refuse_other_kind("trades", "a.csv", (*TRADES, column), NO_MAPPING)


@pytest.mark.parametrize(("seconds", "is_refused"), [(3_600, True), (60, False), (59, False)])
def test_one_candle_is_as_long_as_its_close_says(seconds: int, is_refused: bool) -> None:
    given = {"symbol": "S", "interval": "1m"}
    agreement = Agreement("klines", given, {}, (), NO_MAPPING)
    begin = 1_700_000_040_000_000
    times = (
        pa.array([time], pa.timestamp("us", "UTC"))
        for time in (begin, begin + seconds * 1_000_000 - 1_000)
    )
    agreement.candles(given, *times)
    if is_refused:
        with pytest.raises(BrokenObjectError, match="are 1h apart"):
            agreement.finish()
    else:
        agreement.finish()


@pytest.mark.parametrize(
    ("levels", "is_refused"),
    [
        ([(2.0, 1.0), (1.0, 0.0)], True),
        ([(2.0, 1.0), (0.0, 0.0)], False),
        ([(2.0, 1.0), (1.0, 3.0)], False),
        ([], False),
    ],
)
def test_levels_of_size_0_are_of_changes(
    levels: list[tuple[float, float]], is_refused: bool
) -> None:
    sides = pa.array([[{"price": price, "size": size} for price, size in levels], []], LEVELS)
    rows = pa.table({"bids": pa.array([[], []], LEVELS), "asks": sides})
    said = Agreement("order_book", {}, {}, (), ColumnMapping(channel="order_book"))
    few = Agreement("order_book", {}, {}, (), NO_MAPPING)
    many = Agreement("order_book", {}, {}, (), NO_MAPPING)
    for agreement in (said, few, many):
        agreement.books(rows)
    few.books(pa.table({side: pa.array([[]] * 9, LEVELS) for side in ("bids", "asks")}))
    said.finish()
    few.finish()
    if is_refused:
        with pytest.raises(BrokenObjectError, match="1 of its 2 books have levels of size 0"):
            many.finish()
    else:
        many.finish()


@pytest.mark.parametrize("channel", ["trades", "klines"])
@pytest.mark.parametrize("name", ["BTCUSD-index-price.csv", "BTCUSDT_1_markPrice.csv"])
def test_index_and_mark_prices_are_neither_trades_nor_their_candles(
    channel: str, name: str
) -> None:
    with pytest.raises(BrokenObjectError, match="looks like mark prices, index prices"):
        refuse_other_kind(channel, name, TRADES, NO_MAPPING)
