"""The columns of raw fills as they are read, and those of fills as they are handed over."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loaders.hyperliquid.schema import RAW_SCHEMA

TEXT: Final = pa.string()
REPEATED_TEXT: Final = pa.dictionary(pa.int32(), TEXT)
"""Text that comes as a dictionary and numbers in it; in Parquet it is text like any other."""
DECIMAL: Final = pa.decimal128(38, 12)

DICTIONARIES: Final = ("coin", "user", "px", "sz", "side", "dir", "hash", "fee", "feeToken")
"""Raw columns that are read as a dictionary: decoding them to text takes longer."""
RAW_TYPES: Final = {
    field.name: REPEATED_TEXT if field.name in DICTIONARIES else field.type for field in RAW_SCHEMA
}
SOURCES: Final = {
    "symbol": "coin",
    "ts_event": "ts_event",
    "block_time": "block_time",
    "block_number": "block_number",
    "event_index": "event_index",
    "user": "user",
    "side": "side",
    "price": "px",
    "size": "sz",
    "is_taker": "crossed",
    "direction": "dir",
    "start_position": "startPosition",
    "closed_pnl": "closedPnl",
    "fee": "fee",
    "fee_token": "feeToken",
    "builder_fee": "builderFee",
    "deployer_fee": "deployerFee",
    "priority_gas": "priorityGas",
    "tid": "tid",
    "oid": "oid",
    "cloid": "cloid",
    "hash": "hash",
    "builder": "builder",
    "twap_id": "twapId",
    "liquidated_user": "liquidation.liquidatedUser",
    "liquidation_mark_price": "liquidation.markPx",
    "liquidation_method": "liquidation.method",
    "local_time": "local_time",
    "extra": "extra",
}
"""The raw column, or field of one, that each column comes from."""
DECIMALS: Final = (
    *("price", "size", "start_position", "closed_pnl", "fee"),
    *("builder_fee", "deployer_fee", "priority_gas", "liquidation_mark_price"),
)
SIDES: Final = {"B": "buy", "A": "sell"}


def _type(name: str, source: str) -> pa.DataType:
    if name in DECIMALS:
        return DECIMAL
    return RAW_TYPES.get(source, TEXT)


FILLS: Final = pa.schema([(name, _type(name, source)) for name, source in SOURCES.items()])

Numbers = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]


def numbers(array: pa.Array) -> Numbers:
    """Return the values of a column of numbers or times without copying them.

    Where a value is null, it is any number.
    """
    width = array.type.bit_width // 8
    kind = np.dtype(f"i{width}")
    return np.frombuffer(array.buffers()[1] or b"", kind)[array.offset : array.offset + len(array)]


def known(array: pa.Array) -> Flags | None:
    """Return which values are not null, or None if all are there."""
    if not array.null_count:
        return None
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def filled(array: pa.Array, instead: int) -> Numbers:
    """Return the values of a column of numbers or times, with some number instead of null."""
    are_known = known(array)
    return numbers(array) if are_known is None else np.where(are_known, numbers(array), instead)


def texts(array: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Return the bytes of a column of text, and the n + 1 places between its values."""
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets or bytes(4), np.int32)
    return np.frombuffer(data or b"", np.uint8), places[
        array.offset : array.offset + len(array) + 1
    ]
