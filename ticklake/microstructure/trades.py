"""Rows of compacted trades as arrays."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.microstructure.exact import STORED, Scaled, scaled
from ticklake.microstructure.windows import Floats, Ints

Signs = npt.NDArray[np.int8]

SCHEMA: Final = pa.schema(
    [
        ("ts_event", pa.timestamp("us", tz="UTC")),
        ("ts_capture", pa.timestamp("us", tz="UTC")),
        ("price", STORED),
        ("size", STORED),
        ("side", pa.string()),
    ]
)
"""The columns that are looked at."""


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one symbol in order of time, then of the feed (C01)."""

    ts_us: Ints
    """Microseconds: of receipt where that is known, else of the event."""
    price: Floats
    size: Scaled
    sign: Signs
    """+1 where the aggressor bought, -1 where it sold, 0 where that is unknown."""

    def __len__(self) -> int:
        return len(self.ts_us)


def real(rows: pa.Table) -> pa.Table:
    """Return the rows with a price and a size above 0.

    Exchanges print others, and leave those out of their candles. So do our bars and features.
    """
    is_real = pc.and_(pc.greater(rows["price"], 0), pc.greater(rows["size"], 0))
    return rows if pc.all(is_real).as_py() is not False else rows.filter(is_real)


def in_order(rows: pa.Table) -> pa.Table:
    """Return rows by receive time where there is one; equal times keep the order they have."""
    ts = clock_us(rows)
    if not (ts[1:] < ts[:-1]).any():
        return rows
    return rows.take(pa.array(np.argsort(ts, kind="stable")))


def read_trades(rows: pa.Table) -> Trades:
    """Return rows that are `in_order` as arrays. Raises ValueError if a price or size is null."""
    price = scaled(rows["price"])
    return Trades(
        ts_us=clock_us(rows),
        price=price.as_floats(price.values),
        size=scaled(rows["size"]),
        sign=signs(rows),
    )


def signs(rows: pa.Table) -> Signs:
    """Return +1 for each buy, -1 for each sell, 0 for each other row."""
    bought = pc.fill_null(pc.equal(rows["side"], "buy"), False).to_numpy()
    sold = pc.fill_null(pc.equal(rows["side"], "sell"), False).to_numpy()
    sign: Signs = bought.astype(np.int8) - sold.astype(np.int8)
    return sign


def clock_us(rows: pa.Table) -> Ints:
    """Return the receive time of each row where there is one, else that of the event."""
    ts: Ints = pc.coalesce(rows["ts_capture"], rows["ts_event"]).cast(pa.int64()).to_numpy()
    return ts
