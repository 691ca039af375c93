"""The raw channels: the columns that loaders land, and how they are partitioned.

`models/sources` declares the same columns to dbt; a test compares the two. Times are microseconds
since the epoch, UTC. `extra` is a JSON object with the fields that have no column, null where there
are none. A loader may leave out a nullable column.
"""

from typing import Final

import pyarrow as pa

from loaders.hyperliquid.schema import RAW_SCHEMA, REPEATING
from ticklake.lake.paths import BY_DAY, BY_SYMBOL
from ticklake.lake.segments import Channel

TIME: Final = pa.timestamp("us", tz="UTC")
DECIMAL: Final = pa.decimal128(38, 12)
LEVELS: Final = pa.list_(
    pa.struct([pa.field("price", pa.float64()), pa.field("size", pa.float64())])
)
ORDER_COUNTS: Final = pa.list_(pa.int32())

CHANNELS: Final = {
    channel.name: channel
    for channel in (
        Channel(
            "fills",
            BY_DAY,
            RAW_SCHEMA,
            dictionary=REPEATING,
        ),
        Channel(
            "trades",
            BY_SYMBOL,
            pa.schema(
                [
                    ("ts_event", TIME),
                    ("ts_capture", TIME),
                    ("trade_id", pa.string()),
                    ("price", DECIMAL),
                    ("size", DECIMAL),
                    ("side", pa.string()),  # of the aggressor: buy, sell or null
                    ("first_id", pa.int64()),  # of an aggregated trade
                    ("last_id", pa.int64()),
                    ("extra", pa.string()),
                ]
            ),
            dictionary=("price", "size", "side"),
        ),
        Channel(
            "order_book",
            BY_SYMBOL,
            pa.schema(
                [
                    ("ts_event", TIME),
                    ("ts_capture", TIME),
                    ("seq", pa.int64()),
                    ("is_reset", pa.bool_()),
                    ("bids", LEVELS),  # best first
                    ("asks", LEVELS),
                    ("bid_order_counts", ORDER_COUNTS),  # of each level of bids
                    ("ask_order_counts", ORDER_COUNTS),
                    ("extra", pa.string()),
                ]
            ),
            dictionary=("bids.list.element.price", "asks.list.element.price"),
        ),
        Channel(
            "tickers",
            BY_SYMBOL,
            pa.schema(
                [
                    ("ts_event", TIME),
                    ("ts_capture", TIME),
                    ("seq", pa.int64()),
                    ("bid_price", pa.float64()),
                    ("bid_size", pa.float64()),
                    ("ask_price", pa.float64()),
                    ("ask_size", pa.float64()),
                    ("last_price", pa.float64()),
                    ("extra", pa.string()),
                ]
            ),
            dictionary=("bid_price", "bid_size", "ask_price", "ask_size", "last_price"),
        ),
        Channel(
            "mark_prices",
            BY_DAY,
            pa.schema(
                [
                    ("symbol", pa.string()),
                    ("ts_event", TIME),
                    ("ts_capture", TIME),
                    ("mark_price", pa.float64()),
                    ("index_price", pa.float64()),
                    ("extra", pa.string()),
                ]
            ),
            dictionary=("symbol",),
        ),
        Channel(
            "funding_rates",
            BY_DAY,
            pa.schema(
                [
                    ("symbol", pa.string()),
                    ("ts_event", TIME),
                    ("ts_capture", TIME),
                    ("funding_rate", pa.float64()),
                    ("interval_hours", pa.float64()),
                    ("next_funding_ts", TIME),
                    ("extra", pa.string()),
                ]
            ),
            dictionary=("symbol",),
        ),
        Channel(
            "klines",
            ("exchange", "symbol", "interval", "month"),
            pa.schema(
                [
                    ("open_time", TIME),
                    ("open", DECIMAL),
                    ("high", DECIMAL),
                    ("low", DECIMAL),
                    ("close", DECIMAL),
                    ("volume", DECIMAL),
                    ("close_time", TIME),
                    ("quote_volume", DECIMAL),
                    ("count", pa.int64()),
                    ("taker_buy_volume", DECIMAL),
                    ("taker_buy_quote_volume", DECIMAL),
                    ("ignore", pa.string()),
                    ("extra", pa.string()),
                ]
            ),
            time_column="open_time",
        ),
    )
}
