"""The names by which the columns of a channel are known in the tables of others.

Names are compared without case and punctuation: `Trade ID`, `tradeId` and `trade_id` are one.
"""

import re
from typing import Final

from loaders.channels import CHANNELS, DECIMAL
from loaders.channels import TIME as INSTANT
from loaders.levels import LEVEL_COLUMNS
from loaders.mapping import NUMBER, OTHER, TIME

_EVENT: Final = (
    *("ts_event", "timestamp", "datetime", "time", "unix", "unix_timestamp", "date", "ts"),
    *("event_time", "date_time", "gmt_time", "utc_time", "time_utc", "timestamp_ms"),
)
_EVENTS: Final = (
    *_EVENT,
    *("exchange_timestamp", "exchange_time", "exchange_ts", "time_exchange", "origin_time"),
    *("transact_time", "trade_time", "created_time", "participant_timestamp"),
)
_CAPTURE: Final = (
    *("ts_capture", "capture_ts", "capture_time", "local_timestamp", "local_time", "local_ts"),
    *("received_at", "received_time", "receive_time", "receipt_timestamp", "recv_ts", "recv_time"),
    *("ts_recv", "time_coinapi", "sip_timestamp"),
)
_SEQUENCE: Final = (
    *("seq", "sequence", "seq_num", "seq_id", "sequence_number"),
    *("update_id", "last_update_id", "nonce", "u"),
)


def _quote(side: str, what: str, *others: str) -> tuple[str, ...]:
    return (
        f"{side}_{what}",
        f"best_{side}_{what}",
        *(f"{best}{side}_{other}" for best in ("", "best_") for other in others),
    )


ALIASES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "trades": {
        "ts_event": (*_EVENTS, "mts"),
        "ts_capture": _CAPTURE,
        "trade_id": ("trade_id", "id", "tid", "agg_trade_id", "trd_match_id", "guid", "deal_id"),
        "price": ("price", "close", "last", "px", "trade_price"),
        "size": (
            *("size", "volume", "quantity", "amount", "qty", "sz", "trade_size"),
            *("size(base)", "base_size", "base_amount", "base_volume", "volume(base)"),
        ),
        "side": (
            *("side", "aggressor_side", "taker_side", "aggressor", "taker_order_side"),
            *("direction", "trade_side"),
        ),
        "is_buyer_maker": (
            *("is_buyer_maker", "buyer_maker", "maker_is_buyer"),
            *("taker_side_sell", "sell", "is_sell"),
        ),
        "first_id": ("first_id", "first_trade_id"),
        "last_id": ("last_id", "last_trade_id"),
    },
    "order_book": {
        "ts_event": _EVENTS,
        "ts_capture": _CAPTURE,
        "seq": _SEQUENCE,
        "is_reset": ("is_reset", "reset"),
        "bids": ("bids", "bid"),
        "asks": ("asks", "ask"),
    },
    "tickers": {
        "ts_event": _EVENTS,
        "ts_capture": _CAPTURE,
        "seq": _SEQUENCE,
        "bid_price": (*_quote("bid", "price", "px"), "best_bid", "bid", "bid_px_00"),
        "bid_size": (
            *_quote("bid", "size", "qty", "quantity", "amount", "volume", "sz", "sx"),
            "bid_sz_00",
        ),
        "ask_price": (*_quote("ask", "price", "px"), "best_ask", "ask", "ask_px_00"),
        "ask_size": (
            *_quote("ask", "size", "qty", "quantity", "amount", "volume", "sz", "sx"),
            "ask_sz_00",
        ),
        "last_price": ("last_price", "last", "close", "price"),
    },
    "mark_prices": {
        "ts_event": _EVENTS,
        "ts_capture": _CAPTURE,
        "mark_price": ("mark_price", "mark", "mark_px"),
        "index_price": ("index_price", "index", "index_px", "oracle_price", "oracle_px"),
    },
    "funding_rates": {
        "ts_event": (*_EVENTS, "funding_time", "calc_time"),
        "ts_capture": _CAPTURE,
        "funding_rate": ("funding_rate", "rate", "funding", "last_funding_rate"),
        "interval_hours": ("interval_hours", "funding_interval_hours", "funding_interval"),
        "next_funding_ts": ("next_funding_ts", "next_funding_time", "funding_timestamp"),
    },
    "klines": {
        "open_time": (
            *("open_time", "start_time", "window_start", "time_period_start", *_EVENT),
            *("start", "timestamp_open", "kline_open_time", "mts"),
        ),
        "open": ("open", "open_price", "price_open", "o"),
        "high": ("high", "high_price", "price_high", "h"),
        "low": ("low", "low_price", "price_low", "l"),
        "close": ("close", "close_price", "price_close", "c"),
        "volume": ("volume", "vol", "base_volume", "volume_traded", "v", "size"),
        "close_time": ("close_time", "end_time", "time_period_end"),
        "quote_volume": ("quote_volume", "quote_asset_volume", "turnover", "vol_ccy_quote"),
        "count": (
            *("count", "trade_count", "trades", "number_of_trades", "trades_count"),
            *("tradecount", "transactions"),
        ),
        "taker_buy_volume": ("taker_buy_volume", "taker_buy_base_asset_volume"),
        "taker_buy_quote_volume": ("taker_buy_quote_volume", "taker_buy_quote_asset_volume"),
        "ignore": ("ignore",),
    },
}
REQUIRED: Final = {
    "trades": ("ts_event", "price", "size"),
    "order_book": ("ts_event", "bids", "asks"),
    "tickers": ("ts_event", "bid_price", "ask_price"),
    "mark_prices": ("ts_event", "mark_price"),
    "funding_rates": ("ts_event", "funding_rate"),
    "klines": ("open_time", "open", "high", "low", "close", "volume"),
}
"""Columns that a table must have."""

PARTITION: Final = {
    "exchange": ("exchange", "venue", "exch", "exchange_id", "exchange_name", "exchange_code"),
    "symbol": (
        *("symbol", "instrument", "ticker", "market", "pair", "instrument_name", "inst_id"),
        *("product_id", "currency_pair", "trading_pair", "contract", "symbol_id", "contract_code"),
        *("sym", "coin", "market_id", "market_name", "symbol_name", "security", "s"),
        *("contract_name", "pair_name", "asset_pair", "market_pair", "trading_symbol"),
        *("symbol_code", "instrument_code", "ric"),
    ),
    "interval": (
        *("interval", "timeframe", "resolution", "granularity", "bar_size", "kline_interval"),
        *("tf", "bar_interval", "bar_length", "candle_interval", "candle_size"),
        *("freq", "frequency"),
    ),
}
NUMBERED: Final = frozenset(("instrumentid", "securityid", "contractid", "assetid"))
"""Numbers that stand for an instrument: no symbol, but one of each in a file of one symbol."""
PARTS_OF_SYMBOLS: Final = frozenset(
    (
        *("base", "basecurrency", "baseasset", "basesymbol", "basecoin", "basetoken"),
        *("asset", "underlying", "underlyingasset", "currency", "token", "crypto"),
        *("expiry", "expiration", "expirydate", "expirationdate", "maturity", "strike"),
        *("strikeprice", "optiontype", "putcall", "isin", "figi", "cusip", "indexname"),
    )
)
"""What a file of one symbol has one of, although it is not the symbol."""


def _kind(channel: str, name: str) -> str:
    if name == "is_buyer_maker":
        return OTHER
    kind = CHANNELS[channel].schema.field(name).type
    return TIME if kind == INSTANT else NUMBER if kind in (DECIMAL, "double") else OTHER


COLUMNS: Final = {
    channel: {
        **{name: _kind(channel, name) for name in aliases},
        **dict.fromkeys(PARTITION, OTHER),
        **dict.fromkeys(LEVEL_COLUMNS if channel == "order_book" else (), NUMBER),
    }
    for channel, aliases in ALIASES.items()
}
"""What a mapping can name in each channel, and what it holds."""


def plain(name: str) -> str:
    """Return a name without its case and punctuation."""
    return re.sub(r"[\W_]", "", name.lower())
