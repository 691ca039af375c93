"""From the texts of values to columns of the raw channels, and to events for the book."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from loaders.capture.fields import Row, Value
from loaders.channels import CHANNELS, DECIMAL, TIME
from ticklake.microstructure.book_rebuild import BookEvents, Levels

_MICROSECONDS: Final = 10**15
_NANOSECONDS: Final = 10**18
"""From here on a time since 1970 is in that unit, below in milliseconds."""


class RefusedError(Exception):
    """Levels that are not written as usual: only the exact reading can judge them."""


def trades(rows: Sequence[Row]) -> pa.Table:
    """Return the rows of trades."""
    _, capture, time, trade_id, first, last, price, size, is_maker, extra = _columns(rows)
    return _table(
        "trades",
        ts_event=_times(time),
        ts_capture=_times(capture),
        trade_id=trade_id,
        price=price.cast(DECIMAL),
        size=size.cast(DECIMAL),
        # m: is the buyer the maker? Then the aggressor sold.
        side=pc.if_else(pc.equal(is_maker, "true"), "sell", "buy"),
        first_id=first.cast(pa.int64()),
        last_id=last.cast(pa.int64()),
        extra=extra,
    )


def tickers(rows: Sequence[Row]) -> pa.Table:
    """Return the rows of best bids and asks."""
    _, capture, time, seq, bid, bid_size, ask, ask_size, extra = _columns(rows)
    return _table(
        "tickers",
        ts_event=_times(time),
        ts_capture=_times(capture),
        seq=seq.cast(pa.int64()),
        bid_price=bid.cast(pa.float64()),
        bid_size=bid_size.cast(pa.float64()),
        ask_price=ask.cast(pa.float64()),
        ask_size=ask_size.cast(pa.float64()),
        extra=extra,
    )


def mark_prices(rows: Sequence[Row]) -> pa.Table:
    """Return the rows of mark prices."""
    _, capture, time, mark, index, _, _, extra = _columns(rows)
    return _table(
        "mark_prices",
        ts_event=_times(time),
        ts_capture=_times(capture),
        mark_price=mark.cast(pa.float64()),
        index_price=index.cast(pa.float64()),
        extra=extra,
    )


def has_funding(row: Row) -> bool:
    """Return whether a row of a mark price has a funding rate."""
    return bool(row[5])


def funding_rates(rows: Sequence[Row]) -> pa.Table:
    """Return the funding rates of rows that all have one."""
    _, capture, time, _, _, rate, next_funding, _ = _columns(rows)
    return _table(
        "funding_rates",
        ts_event=_times(time),
        ts_capture=_times(capture),
        funding_rate=rate.cast(pa.float64()),
        next_funding_ts=_times(pc.if_else(pc.equal(next_funding, "0"), None, next_funding)),
    )


def book_events(rows: Sequence[Row]) -> BookEvents:
    """Return snapshots and differences. Raises RefusedError."""
    _, capture, time, first, last, previous, bids, asks, _ = zip(*rows, strict=True)
    levels = _levels([*bids, *asks])
    first_id = _texts(first).cast(pa.int64())
    return BookEvents(
        is_snapshot=first_id.is_null().to_numpy(zero_copy_only=False),
        first_id=_filled(first_id),
        last_id=_filled(_texts(last).cast(pa.int64())),
        previous_id=_filled(_texts(previous).cast(pa.int64())),
        ts_event=_times(_texts(time)).to_numpy(zero_copy_only=False),
        ts_capture=_times(_texts(capture)).to_numpy(zero_copy_only=False),
        bids=levels.between(0, len(rows)),
        asks=levels.between(len(rows), 2 * len(rows)),
    )


def _levels(texts: Sequence[Value]) -> Levels:
    """Parse texts like `["61800.20","2.909"],["61800.10","0.696"]`, all at once."""
    filled = [text for text in texts if text]
    counts = [text.count(b"],[") + 1 if text else 0 for text in texts]
    offsets = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    total = int(offsets[-1])
    if not total:
        return Levels(offsets, np.zeros(0), np.zeros(0))
    text = b",".join(filled)
    lines = text[2:-2].replace(b'"],["', b"\n").replace(b'","', b",")
    # Each level was `["price","size"]` if its two values came out of just as many separators.
    _require(text.startswith(b'["') and text.endswith(b'"]'))
    _require(text.count(b'"],["') == total - 1 and text.count(b'","') == total)
    _require(not lines.translate(None, b"0123456789.,\n"))
    whole = b"\n" + lines + b"\n"
    _require(not any(bad in whole for bad in (b"\n.", b",.", b".,", b".\n", b"\n\n")))
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(lines),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=["price", "size"], block_size=len(lines) + 1
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={"price": pa.float64(), "size": pa.float64()}, null_values=[]
            ),
        )
    except pa.ArrowInvalid:
        raise RefusedError from None
    _require(table.num_rows == total)
    return Levels(offsets, table["price"].to_numpy(), table["size"].to_numpy())


def _columns(rows: Sequence[Row]) -> list[Any]:
    return [_texts(column) for column in zip(*rows, strict=True)]


def _texts(values: Sequence[Value]) -> Any:
    return pa.array(values, pa.string())


def _times(texts: Any) -> Any:
    """Return times since 1970, in ms, us or ns by their magnitude, floored to microseconds."""
    time = texts.cast(pa.int64())
    time = pc.if_else(
        pc.less(time, _MICROSECONDS),
        pc.multiply(time, 1000),
        pc.if_else(pc.less(time, _NANOSECONDS), time, pc.divide(time, 1000)),
    )
    return time.cast(TIME)


def _filled(ids: Any) -> Any:
    return pc.fill_null(ids, 0).to_numpy()


def _table(channel: str, **columns: Any) -> pa.Table:
    schema = CHANNELS[channel].schema
    return pa.table(columns, pa.schema([schema.field(name) for name in columns]))


def _require(holds: bool) -> None:
    if not holds:
        raise RefusedError
