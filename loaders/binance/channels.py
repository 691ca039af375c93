"""From the columns of a file to the columns of a raw channel.

What has no column goes to `extra` as it was written. Left out is only what the row says already:
`quote_qty` of trades (price times size) and `is_best_match` where it is true, as it is everywhere.

Klines of COIN-margined futures count contracts: `volume` and `taker_buy_volume` land as published,
in contracts, and `quote_volume` and `taker_buy_quote_volume` hold the amount of the base asset.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from loaders.binance.archive import Series
from loaders.binance.layouts import Column

_KLINES: Final = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume"),
    *("count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)

Extra = list[tuple[str, pa.ChunkedArray]]
"""Fields with their values as JSON, null where there is none."""


def to_channel(
    series: Series, table: pa.Table, columns: Sequence[Column]
) -> tuple[pa.Table, Extra]:
    """Return rows of the series' channel, and what of them went to `extra`."""
    fields, extra = _CONVERSIONS[series.data](table)
    extra += [
        (name, _quoted(table[name]))
        for name in table.column_names
        if name in {column.name for column in columns if not column.is_known}
    ]
    if series.interval and series.data != "klines":
        interval = pa.chunked_array([pa.repeat(f'"{series.interval}"', table.num_rows)])
        extra.append(("interval", interval))
    if extra:
        fields["extra"] = _objects(extra)
    return pa.table(fields), extra


def _trades(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], Extra]:
    fields, extra = _executions(table, "time", "id", "qty")
    if "base_qty" in table.column_names:
        extra.append(("base_qty", _quoted(table["base_qty"])))
    return fields, extra


def _agg_trades(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], Extra]:
    fields, extra = _executions(table, "transact_time", "agg_trade_id", "quantity")
    fields |= {"first_id": table["first_trade_id"], "last_id": table["last_trade_id"]}
    return fields, extra


def _executions(
    table: pa.Table, time: str, number: str, size: str
) -> tuple[dict[str, pa.ChunkedArray], Extra]:
    fields = {
        "ts_event": table[time],
        "trade_id": table[number].cast(pa.string()),
        "price": table["price"],
        "size": table[size],
        # A buyer who is the maker was there first: the seller came and took.
        "side": pc.if_else(table["is_buyer_maker"], "sell", "buy"),
    }
    best = "is_best_match"
    if best not in table.column_names or pc.all(table[best]).as_py():
        return fields, []
    return fields, [(best, pc.if_else(table[best], pa.scalar(None, pa.string()), "false"))]


def _klines(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], Extra]:
    return {name: table[name] for name in _KLINES}, []


def _mark_price_klines(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], Extra]:
    """Take the close, which is known when the interval ends; the way there goes to `extra`."""
    fields = {"ts_event": table["close_time"], "mark_price": table["close"]}
    return fields, [(name, _quoted(table[name])) for name in ("open", "high", "low")]


def _funding_rates(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], Extra]:
    return {
        "ts_event": table["calc_time"],
        "funding_rate": table["last_funding_rate"],
        "interval_hours": table["funding_interval_hours"],
    }, []


def _book_tickers(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], Extra]:
    fields = {
        "ts_event": table["transaction_time"],
        "seq": table["update_id"],
        "bid_price": table["best_bid_price"],
        "bid_size": table["best_bid_qty"],
        "ask_price": table["best_ask_price"],
        "ask_size": table["best_ask_qty"],
    }
    return fields, [("event_time", _quoted(table["event_time"]))]


_CONVERSIONS: Final[dict[str, Callable[[pa.Table], tuple[dict[str, pa.ChunkedArray], Extra]]]] = {
    "trades": _trades,
    "aggTrades": _agg_trades,
    "klines": _klines,
    "markPriceKlines": _mark_price_klines,
    "fundingRate": _funding_rates,
    "bookTicker": _book_tickers,
}


def _quoted(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text as JSON strings, null where it is empty."""
    if pc.any(pc.match_substring_regex(texts, r'["\\\x00-\x1f]')).as_py():
        quoted = [json.dumps(text, ensure_ascii=False) for text in texts.to_pylist()]
        strings = pa.chunked_array([pa.array(quoted, pa.string())])
    else:
        strings = pc.binary_join_element_wise('"', texts, '"', "")
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), strings)


def _objects(extra: Extra) -> pa.ChunkedArray:
    """Return JSON objects of some fields, null where all are."""
    nothing = pa.scalar(None, pa.string())
    members = [
        pc.binary_join_element_wise(f",{json.dumps(name)}:", values, "").fill_null("")
        for name, values in extra
    ]
    inner = pc.utf8_slice_codeunits(pc.binary_join_element_wise(*members, ""), 1)
    objects = pc.binary_join_element_wise("{", inner, "}", "")
    return pc.if_else(pc.equal(inner, ""), nothing, objects)
