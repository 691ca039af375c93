"""The raw columns of a fill, and which source field each one comes from.

Strings stay exactly what the source wrote. An object without a field and one with a null in it mean
the same.
"""

from typing import Final

import pyarrow as pa

LIQUIDATION_FIELDS: Final = ("liquidatedUser", "markPx", "method")

FILL_TYPES: Final[dict[str, pa.DataType]] = {
    "user": pa.string(),
    "coin": pa.string(),
    "px": pa.string(),
    "sz": pa.string(),
    "side": pa.string(),
    "startPosition": pa.string(),
    "dir": pa.string(),
    "closedPnl": pa.string(),
    "hash": pa.string(),
    "oid": pa.int64(),
    "crossed": pa.bool_(),
    "fee": pa.string(),
    "tid": pa.int64(),
    "feeToken": pa.string(),
    "cloid": pa.string(),
    "builder": pa.string(),
    "builderFee": pa.string(),
    "twapId": pa.int64(),
    "deployerFee": pa.string(),
    "priorityGas": pa.string(),
    "liquidation": pa.struct([(name, pa.string()) for name in LIQUIDATION_FIELDS]),
}

REQUIRED: Final = (
    *("coin", "px", "sz", "side", "time", "startPosition", "dir", "closedPnl"),
    *("hash", "oid", "crossed", "fee", "tid", "feeToken"),
)

DECIMALS: Final = (
    *("px", "sz", "startPosition", "closedPnl", "fee"),
    *("builderFee", "deployerFee", "priorityGas"),
)
"""Fields that must fit decimal(38, 12) to the last digit, as must `liquidation.markPx`.

Those that are not required may be JSON numbers too.
"""

NOT_NEGATIVE: Final = ("px", "sz")

INTEGER_DIGITS: Final = 26
FRACTION_DIGITS: Final = 12

SIDES: Final = ("A", "B")

FIRST_TIME_MS: Final = 1_577_836_800_000
"""2020-01-01: before there was a chain. An earlier time is not in milliseconds."""
END_TIME_MS: Final = 4_102_444_800_000
"""2100-01-01, first time that is not accepted."""

RAW_SCHEMA: Final = pa.schema(
    [
        ("ts_event", pa.timestamp("us", tz="UTC")),
        ("block_time", pa.timestamp("ns")),
        ("block_number", pa.int64()),
        ("event_index", pa.int32()),
        *FILL_TYPES.items(),
        ("local_time", pa.timestamp("ns")),
        ("extra", pa.string()),
    ]
)

REPEATING: Final = (
    "user",
    "coin",
    "px",
    "sz",
    "side",
    "dir",
    "fee",
    "feeToken",
    "builder",
    "liquidation.method",
)
"""Columns worth a dictionary; for the others it costs time and makes the file larger (measured).

For `sz` and `fee` merging gains what landing loses: each distinct number is parsed once. For `hash`
it does not, even where eight fills have the same.
"""
