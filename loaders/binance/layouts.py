"""The columns of each kind of file, and which column of a file is which.

Files come with a header row or without one. Without one the columns are in the order below, and
those that are `optional` may lack at the end. With one, names decide, whatever their case and
underscores; columns with other names are kept as text.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loaders.decode import BrokenObjectError
from loaders.limits import listed, too_many_columns

Kind = Literal["integer", "decimal", "double", "time", "flag", "text", "skip"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file."""

    name: str
    kind: Kind
    aliases: tuple[str, ...] = ()
    optional: bool = False
    fallback: str = ""
    """The column that is read instead where a field is empty."""
    is_known: bool = True


def columns_of(market: str, data: str) -> tuple[Column, ...]:
    """Return the columns of a kind of data in the order of files without a header."""
    if data == "trades" and market == "cm":
        # What a contract is worth is not in the row, so this cannot be worked out from it.
        return tuple(_BASE_QTY if column.name == "quote_qty" else column for column in _TRADES)
    return _COLUMNS[data]


def is_header(line: bytes) -> bool:
    """Return whether a line names columns: its first field begins with a letter."""
    return re.match(rb'\s*"?[A-Za-z_]', line) is not None


def from_header(line: bytes, known: Sequence[Column]) -> list[Column]:
    """Return the columns that a header names. Raises BrokenObjectError."""
    if why := too_many_columns(line.count(b",") + 1):
        raise BrokenObjectError("TOO_MANY_COLUMNS", why)
    try:
        names = [name.strip().strip('"').strip() for name in line.decode().split(",")]
    except UnicodeDecodeError:
        raise BrokenObjectError("BAD_HEADER", "the header is not UTF-8") from None
    by_name = {_plain(name): item for item in known for name in (item.name, *item.aliases)}
    columns = [by_name.get(_plain(name)) or Column(name, "text", is_known=False) for name in names]
    there = Counter(column.name for column in columns)
    twice = sorted(name for name, count in there.items() if count > 1)
    if twice:
        raise BrokenObjectError("BAD_HEADER", f"the header names {listed(twice)} twice")
    needed = (item.name for item in known if not item.optional and item.kind != "skip")
    missing = [name for name in needed if name not in there]
    if missing:
        raise BrokenObjectError(
            "BAD_HEADER", f"the header has no {', '.join(missing)}: {listed(names)}"
        )
    return columns


def from_width(widths: Sequence[int], known: Sequence[Column]) -> list[Column]:
    """Return the columns of a file without a header whose first lines have these many fields.

    The first line with a number of fields that can be decides. Raises BrokenObjectError.
    """
    least = sum(not column.optional for column in known)
    for width in widths:
        if least <= width <= len(known):
            return list(known[:width])
    if not widths:
        return list(known)
    raise BrokenObjectError(
        "BAD_HEADER",
        f"the first line has {widths[0]} columns and names none of them; "
        f"expected {least}{f' to {len(known)}' if least < len(known) else ''}",
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "")


_MAKER: Final = Column("is_buyer_maker", "flag")
_BEST: Final = Column("is_best_match", "flag", optional=True)
_BASE_QTY: Final = Column("base_qty", "text")

_TRADES: Final = (
    Column("id", "integer", ("trade_id",)),
    Column("price", "decimal"),
    Column("qty", "decimal", ("quantity",)),
    Column("quote_qty", "skip"),  # price times size
    Column("time", "time", ("timestamp",)),
    _MAKER,
    _BEST,
)
_AGG_TRADES: Final = (
    Column("agg_trade_id", "integer"),
    Column("price", "decimal"),
    Column("quantity", "decimal", ("qty",)),
    Column("first_trade_id", "integer"),
    Column("last_trade_id", "integer"),
    Column("transact_time", "time", ("time", "timestamp")),
    _MAKER,
    _BEST,
)
_KLINES: Final = (
    Column("open_time", "time"),
    Column("open", "decimal"),
    Column("high", "decimal"),
    Column("low", "decimal"),
    Column("close", "decimal"),
    Column("volume", "decimal"),
    Column("close_time", "time"),
    Column("quote_volume", "decimal"),
    Column("count", "integer"),
    Column("taker_buy_volume", "decimal"),
    Column("taker_buy_quote_volume", "decimal"),
    Column("ignore", "text"),
)
_MARK_PRICE_KLINES: Final = (
    Column("open_time", "skip"),
    Column("open", "text"),
    Column("high", "text"),
    Column("low", "text"),
    Column("close", "double"),
    Column("volume", "skip"),  # this and what follows is zero, or says nothing of a mark price
    Column("close_time", "time"),
    Column("quote_volume", "skip"),
    Column("count", "skip"),
    Column("taker_buy_volume", "skip"),
    Column("taker_buy_quote_volume", "skip"),
    Column("ignore", "skip"),
)
_FUNDING_RATES: Final = (
    Column("calc_time", "time"),
    Column("funding_interval_hours", "double"),
    Column("last_funding_rate", "double"),
)
_BOOK_TICKERS: Final = (
    Column("update_id", "integer"),
    Column("best_bid_price", "double"),
    Column("best_bid_qty", "double"),
    Column("best_ask_price", "double"),
    Column("best_ask_qty", "double"),
    Column("transaction_time", "time", fallback="event_time"),
    Column("event_time", "text"),
)
_COLUMNS: Final = {
    "trades": _TRADES,
    "aggTrades": _AGG_TRADES,
    "klines": _KLINES,
    "markPriceKlines": _MARK_PRICE_KLINES,
    "fundingRate": _FUNDING_RATES,
    "bookTicker": _BOOK_TICKERS,
}
