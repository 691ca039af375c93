"""The raw columns of a fill, and which source field each one comes from.

Prices, sizes, fees and what is counted like them are exact decimals; other text stays what the
source wrote. An object without a field and one with a null in it mean the same.
"""

from typing import Final

import pyarrow as pa

DECIMAL: Final = pa.decimal128(38, 12)

LIQUIDATION_FIELDS: Final = ("liquidatedUser", "markPx", "method")

FILL_TYPES: Final[dict[str, pa.DataType]] = {
    "user": pa.string(),
    "coin": pa.string(),
    "px": DECIMAL,
    "sz": DECIMAL,
    "side": pa.string(),
    "startPosition": DECIMAL,
    "dir": pa.string(),
    "closedPnl": DECIMAL,
    "hash": pa.string(),
    "oid": pa.int64(),
    "crossed": pa.bool_(),
    "fee": DECIMAL,
    "tid": pa.int64(),
    "feeToken": pa.string(),
    "cloid": pa.string(),
    "builder": pa.string(),
    "builderFee": DECIMAL,
    "twapId": pa.int64(),
    "deployerFee": DECIMAL,
    "priorityGas": DECIMAL,
    "liquidation": pa.struct([(name, pa.string()) for name in LIQUIDATION_FIELDS]),
}

REQUIRED: Final = (
    *("coin", "px", "sz", "side", "time", "startPosition", "dir", "closedPnl"),
    *("hash", "oid", "crossed", "fee", "tid", "feeToken"),
)

DECIMALS: Final = tuple(name for name, kind in FILL_TYPES.items() if kind == DECIMAL)
"""Fields that must fit their type to the last digit, as must the text of `liquidation.markPx`.

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
    "side",
    "dir",
    "feeToken",
    "builder",
    "liquidation.method",
)
"""Columns worth a dictionary; for the others it costs time and makes the file larger (measured)."""
