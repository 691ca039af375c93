"""Whether the rows of an object are what they are landed as.

Its own columns may name an exchange, a symbol or an interval; they must agree with the one that was
given. The distance of candles must agree with their interval. What looks like trades or whole books
may be something else, such as changes of a book. All of that is known only as the object is read:
what does not agree is refused as a whole, and nothing of it lands.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders import values
from loaders.aliases import NUMBERED, PARTITION, PARTS_OF_SYMBOLS, plain
from loaders.decode import BrokenObjectError
from loaders.mapping import ColumnMapping

_SHOWN: Final = 5

# Venues that changed their names, or are known by a short one, as Tardis calls them.
_VENUES: Final = {
    "okx": "okex",
    "htx": "huobi",
    "gate": "gateio",
    "gdax": "coinbase",
    "cbse": "coinbase",
    "coinbasepro": "coinbase",
    "binancespot": "binance",
}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNITS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "t"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "hourly"), "h"),
    **dict.fromkeys(("d", "day", "days", "daily"), "d"),
    **dict.fromkeys(("w", "wk", "week", "weeks", "weekly"), "w"),
}
_USUAL: Final = frozenset(
    f"{count}{unit}"
    for unit, counts in {
        "s": (1, 5, 10, 15, 30),
        "m": (1, 3, 5, 10, 15, 30),
        "h": (1, 2, 3, 4, 6, 8, 12),
        "d": (1, 3),
        "w": (1,),
    }.items()
    for count in counts
)
_DISTANCES: Final = 10_000
_FEW_CHANGES: Final = 0.2
"""The share of whole books that may have a level of size 0."""
_LONG_ENOUGH: Final = 3
"""Letters of a symbol that no column holds by chance, as S for a sale."""

_LIQUIDATIONS: Final = frozenset(
    ("liquidation", "liquidations", "liq", "liqs", "forceorder", "forceorders")
)
_DERIVED: Final = "mark prices, index prices or premiums"
_NAMED: Final = {
    **dict.fromkeys(("trade", "trades", "aggtrade", "aggtrades", "prints"), "trades"),
    **dict.fromkeys(_LIQUIDATIONS, "liquidations"),
    **dict.fromkeys(("quotes", "quote", "bbo", "bookticker", "tickers"), "tickers"),
    **dict.fromkeys(("kline", "klines", "ohlc", "ohlcv", "candle", "candles"), "klines"),
    **dict.fromkeys(("orderbook", "orderbooks", "book", "books", "depth", "l2book"), "order_book"),
    **dict.fromkeys(
        ("incremental", "depthupdate", "depthupdates", "l2update", "l2updates", "diffs", "mbo"),
        "changes of a book",
    ),
    **dict.fromkeys(
        (
            *("markpriceklines", "indexpriceklines", "premiumindexklines"),
            *("markprice", "markprices", "indexprice", "indexprices", "premiumindex"),
        ),
        _DERIVED,
    ),
    **dict.fromkeys(("openinterest", "openinterests"), "open interest"),
    **dict.fromkeys(("funding", "fundingrate", "fundingrates"), "funding_rates"),
}
"""What the words of a file's name say that it holds."""
_ORDERS: Final = frozenset(
    (
        *("bankruptcyprice", "bkpx", "bkloss", "accumulatedfillquantity", "accumulatedfilledqty"),
        *("lastfillquantity", "lastfilledquantity", "originalquantity"),
    )
)
"""Columns of liquidation orders."""
_IS_WHOLE: Final = frozenset(("snapshot", "issnapshot"))
_LEVEL_SIDES: Final = {
    "type": frozenset(("a", "ask", "asks", "bid", "bids")),
    "side": frozenset(("ask", "asks", "bid", "bids")),
}
"""What columns of these names say of a level of a book."""
_TRADE_IDS: Final = frozenset(("tradeid", "id", "tid", "aggtradeid", "trdmatchid", "guid"))
_ONE_SIDE: Final = frozenset(("sideisbid", "isbid", "isask"))
"""Columns that say on which side of a book a level is."""
_STATUS: Final = frozenset(("status", "orderstatus", "state"))
_STATES: Final = frozenset(
    (
        *("new", "open", "filled", "unfilled", "partiallyfilled", "partial", "closed"),
        *("canceled", "cancelled", "expired", "rejected"),
    )
)
"""What a column of these names says of an order."""
_PREVIOUS: Final = frozenset(
    ("prevseqid", "pu", "prevupdateid", "prevseq", "previousupdateid", "firstupdateid")
)
"""Columns that only a change of a book has."""
_OF_BOOKS: Final = frozenset((*_IS_WHOLE, *_ONE_SIDE, "updatetype", *_PREVIOUS))
_KIND_OF_ROW: Final = frozenset(
    ("action", "type", "event", "eventtype", "updatetype", "msgtype", "messagetype", "recordtype")
)
_CHANGES: Final = frozenset(
    ("update", "delta", "diff", "l2update", "change", "insert", "delete", "remove", "set", "add")
)
_NOT_TRADES: Final = frozenset(
    (
        *("add", "cancel", "modify", "clear", "insert", "update", "delete", "change", "l2update"),
        *("quote", "quotes", "bbo", "order", "depth", "book", "open", "done", "received"),
        *("set", "make"),
    )
)
_WHOLE_PRICE: Final = re.compile(r"-?[0-9]{8,}")
_BEST: Final = (("bid_px_00", "bid_price"), ("ask_px_00", "ask_price"))
_PRICES: Final = {
    "trades": (("price", "price"),),
    "order_book": _BEST,
    "tickers": (*_BEST, ("price", "last_price")),
    "mark_prices": (),
    "funding_rates": (),
    "klines": tuple((name, name) for name in ("open", "high", "low", "close")),
}
"""The price columns of Databento that each channel takes, and what they are there."""
_DATABENTO_ACTIONS: Final = frozenset("acmrfn")  # all but T, the trades

Ints = npt.NDArray[np.int64]


def spelling(symbol: str) -> str:
    """Return a symbol without its case, and without punctuation that no digit or name needs."""
    return re.sub(r"(?<=[a-z])[\W_](?=[a-z0-9])|(?<=[0-9])[\W_](?=[a-z])", "", symbol.lower())


def seconds_of(interval: str) -> int | None:
    """Return the length of an interval such as 1m, 4h or 1DAY; None if it is not one of those."""
    text = interval.strip()
    shape = re.fullmatch(r"(\d*)\s*([A-Za-z]+)|([A-Za-z]+)\s*(\d+)", text)
    if shape is None or text.endswith("M"):  # months differ in length
        return None
    count, unit = (shape[1], shape[2]) if shape[2] else (shape[4], shape[3])
    known = _UNITS.get(unit.lower().removeprefix("pt"))
    return None if known is None else int(count or 1) * _SECONDS[known]


def agree(name: str, said: str, wanted: str) -> bool:
    """Return whether two exchanges, symbols or intervals are one, but for how they are written."""
    if said == wanted:
        return True
    if name == "symbol":
        return spelling(said) == spelling(wanted)
    if name == "exchange":
        first, second = (_VENUES.get(plain(text), plain(text)) for text in (said, wanted))
        return first == second
    length = seconds_of(wanted)
    if length is None:
        return plain(said) == plain(wanted) and said.endswith("M") == wanted.endswith("M")
    if said.isdecimal():  # of an unknown unit: the distance of the candles decides
        return length in (int(said), int(said) * 60, int(said) // 1000)
    return seconds_of(said) == length


def refuse_other_kind(
    channel: str, path: str, names: Sequence[str], mapping: ColumnMapping
) -> None:
    """Raise BrokenObjectError if the name of a file or of its columns say that it holds others."""
    if mapping.channel == channel:
        return
    named = _kinds_named(path)
    columns = {plain(name) for name in names}
    wanted = mapping.of_channel(channel)
    is_said = all(isinstance(wanted.get(name), str) for name in ("price", "size"))
    other, why = "", ""
    if channel == "trades":
        others = named - {"trades"}
        if "liquidations" in named or (others and "trades" not in named):
            other = "liquidations" if "liquidations" in named else min(others)
            why = "its name says so"
        elif columns & _ORDERS:
            other, why = "liquidations", _columns_say(names, _ORDERS)
        elif columns & _OF_BOOKS:
            other, why = "changes of a book", _columns_say(names, _OF_BOOKS)
        elif {"open", "high", "low", "close"} <= columns and not is_said:
            other, why = "klines", "it has columns for open, high, low and close"
        elif (
            any(name.startswith(("bid", "bestbid")) for name in columns)
            and any(name.startswith(("ask", "bestask")) for name in columns)
            and not (is_said or columns & {"side", "tradeid", "tid", "takerside", "isbuyermaker"})
        ):
            other = "tickers"
            why = "it has bids and asks, and neither a side nor a trade id"
    elif channel == "klines":
        other, why = _DERIVED if _DERIVED in named else "", "its name says so"
    elif channel == "order_book" and "changes of a book" in named:
        other, why = "changes of a book", "its name says so"
    if other:
        raise BrokenObjectError(
            "OTHER_KIND",
            f"it looks like {other}: {why}. It was to be landed as {channel}. If that is right, "
            f'give {{"channel": "{channel}"}} in the file of --config',
        )


def _kinds_named(path: str) -> set[str]:
    folder, _, base = path.rpartition("/")
    words, parts = _words(base)
    kinds = {_NAMED[word] for word in words if word in _NAMED}
    kinds = kinds or {_NAMED[part] for part in parts if part in _NAMED}
    if _DERIVED in kinds:
        kinds -= {"klines"}
    if _LIQUIDATIONS & _words(folder.rpartition("/")[2])[0] and "trades" not in kinds:
        kinds.add("liquidations")
    return kinds


def _words(text: str) -> tuple[set[str], set[str]]:
    """Return the words of a name, also each two as one, and the parts of words in camel case."""
    words = [word.lower() for word in re.findall(r"[A-Za-z]+[0-9]*|[0-9]+", text)]
    joined = {"".join(words[place : place + 2]) for place in range(len(words) - 1)}
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)}
    return {*words, *joined}, parts


def _columns_say(names: Iterable[str], known: Iterable[str]) -> str:
    found = next(name for name in names if plain(name) in known)
    return f"it has a column {found!r}"


@dataclass(slots=True)
class Agreement:
    """What the rows of one object have said so far."""

    channel: str
    given: Mapping[str, str]
    """The exchange, symbol and interval that hold for all rows."""
    columns: Mapping[str, str]
    """The columns of the object that say these too."""
    names: Sequence[str]
    """All columns of the object."""
    mapping: ColumnMapping
    by: str = "--"
    """How the given ones were given: an option, or the path."""
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _grids: dict[tuple[str, ...], "_Grid"] = field(default_factory=dict)
    _told: list[tuple[str, str]] = field(default_factory=list)
    _others: list[str] = field(default_factory=list)
    _is_first: bool = True
    _books: int = 0
    _changes: int = 0
    """Books with a level of size 0."""

    def __post_init__(self) -> None:
        # The mapping may say which column is the symbol, or that none is.
        if "symbol" in self.given and "symbol" not in self.mapping.of_channel(self.channel):
            known = {*map(plain, PARTITION["symbol"]), *NUMBERED, *PARTS_OF_SYMBOLS} - {
                plain(self.columns.get("symbol", ""))
            }
            self._others = [name for name in self.names if plain(name) in known]
        if self.mapping.channel == self.channel:
            return
        for name in self.names:
            word = plain(name)
            is_of_book = self.channel == "order_book" and (
                word in _IS_WHOLE or word in _PREVIOUS or name == "U"
            )
            is_kind = self.channel in ("trades", "order_book") and word in _KIND_OF_ROW
            is_kind |= self.channel == "trades" and (
                word in _STATUS or (word == "side" and not self.mapping.side)
            )
            if is_of_book or is_kind:
                self._told.append((name, word))

    def look(self, table: pa.Table) -> None:
        """Look at rows that are wanted, as they are in the object. Raises BrokenObjectError."""
        for name, wanted in self.given.items():
            if name in self.columns:
                self._compare(name, self.columns[name], wanted, table)
        if self._is_first:
            self._is_first = False
            self._others += self._unknown_symbols(table)
        for column in self._others:
            # Another column was taken for the symbol, but several of these are several.
            seen = self._seen.setdefault(column, set())
            seen.update(_distinct(table, column))
            if len(seen) > 1:
                self._refuse_several("symbol", column, seen)
        for column, word in self._told:
            self._look_at_kind(column, word, table)
        self._look_at_scale(table)

    def candles(
        self, where: Mapping[str, str], open_times: pa.Array, close_times: pa.Array | None = None
    ) -> None:
        """Look at the times of candles of one symbol and interval."""
        key = (where.get("exchange", ""), where.get("symbol", ""), where.get("interval", ""))
        times = open_times.drop_null().cast(pa.int64()).to_numpy()
        grid = self._grids.setdefault(key, _Grid())
        grid.add(times // 10**6)
        if close_times is not None and len(times):
            length = pc.subtract(close_times, open_times).drop_null().cast(pa.int64()).to_numpy()
            grid.longest = max(grid.longest, -(-int(length.max(initial=0)) // 10**6))

    def books(self, rows: pa.Table) -> None:
        """Look at books that are good rows.

        A level of size 0 is one that is taken out, which few whole books have. Some vendors fill
        the levels that a book lacks with a price and a size of 0: these tell nothing.
        """
        is_change = np.zeros(rows.num_rows, np.bool_)
        for side in ("bids", "asks"):
            lists = rows[side].combine_chunks()
            levels, of_row = lists.flatten(), pc.list_parent_indices(lists)
            is_gone = pc.and_(
                pc.equal(levels.field("size"), 0.0), pc.greater(levels.field("price"), 0.0)
            )
            is_change[of_row.filter(is_gone).to_numpy()] = True
        self._books += rows.num_rows
        self._changes += int(is_change.sum())

    def finish(self) -> None:
        """Say what only all rows together tell. Raises BrokenObjectError."""
        if self.mapping.channel != "order_book" and self._changes > _FEW_CHANGES * self._books:
            raise BrokenObjectError(
                "CHANGES_OF_A_BOOK",
                f"{self._changes:,} of its {self._books:,} books have levels of size 0, which take "
                "a level out: these rows are changes of a book, not whole books. If each row is a "
                'whole book, give {"channel": "order_book"} in the file of --config',
            )
        for (_, symbol, interval), grid in self._grids.items():
            length = seconds_of(interval)
            found = None if length is None else grid.other_than(length, self.mapping.sparse)
            if found is None:
                continue
            said = f"{self.by}interval" if "interval" in self.given else "their interval column"
            sparse = ""
            if length is not None and found > length:
                sparse = (
                    '. If candles without a trade are left out, give {"sparse": true} in the file '
                    "of --config"
                )
            raise BrokenObjectError(
                "OTHER_INTERVAL",
                f"its candles of {symbol} are {_written(found)} apart, and {said} says {interval}. "
                f"Land it with the interval {_written(found)}{sparse}",
            )

    def _unknown_symbols(self, table: pa.Table) -> list[str]:
        """Return the columns of any name that have the given symbol, and perhaps others."""
        wanted = self.given.get("symbol")
        if wanted is None or len(wanted) < _LONG_ENOUGH:
            return []
        if "symbol" in self.mapping.of_channel(self.channel):
            return []
        known = {*self._others, *self.columns.values()}
        found = []
        for name in table.column_names:
            column = table[name]
            is_of_fees = any(word in plain(name) for word in ("fee", "commission"))
            if name in known or is_of_fees or not pa.types.is_string(column.type):
                continue
            if pc.any(pc.equal(pc.utf8_lower(column), wanted.lower())).as_py():
                found.append(name)
        return found

    def _compare(self, name: str, column: str, wanted: str, table: pa.Table) -> None:
        seen = self._seen.setdefault(name, set())
        for value in _distinct(table, column):
            seen.add(self.mapping.spelled(name, value))
        if len(seen) > 1:
            self._refuse_several(name, column, seen)
        said = next(iter(seen), wanted)
        if not agree(name, said, wanted):
            raise BrokenObjectError(
                f"OTHER_{name.upper()}",
                f"its column {column!r} says {said}, and {self.by}{name} {wanted}. "
                f"{self._without(name, f'it lands as {said}')}If they are the same, give "
                f'{{"rename": {{"{name}": {{"{said}": "{wanted}"}}}}}} in the file of --config; if '
                f'the column is something else, {{"columns": {{"{name}": null}}}}',
            )

    def _refuse_several(self, name: str, column: str, seen: set[str]) -> None:
        listed = ", ".join(sorted(seen)[:_SHOWN])
        raise BrokenObjectError(
            f"SEVERAL_{name.upper()}S",
            f"its column {column!r} has several values ({listed}), and {self.by}{name} gives one. "
            f"{self._without(name, 'each row lands by its own')}If the column is something else, "
            f'give {{"columns": {{"{name}": null}}}} in the file of --config',
        )

    def _without(self, name: str, what: str) -> str:
        return f"Leave out --{name}, and {what}. " if self.by == "--" else ""

    def _look_at_kind(self, column: str, word: str, table: pa.Table) -> None:
        said = {value.lower() for value in _distinct(table, column)}
        if self.channel == "trades":
            has_ids = not {*map(plain, self.names)}.isdisjoint(_TRADE_IDS)
            levels = said & _LEVEL_SIDES.get(word, frozenset())
            if levels and not has_ids:
                raise BrokenObjectError(
                    "OTHER_KIND",
                    f"it looks like levels of a book: its column {column!r} says {min(levels)}, "
                    "and no column is the id of a trade. It was to be landed as trades. If that is "
                    'right, give {"channel": "trades"} in the file of --config',
                )
            if word == "side":
                return
            if word in _STATUS:
                states = {plain(value) for value in said} & _STATES
                if states:
                    raise BrokenObjectError(
                        "OTHER_KIND",
                        f"it looks like orders, perhaps of liquidations: its column {column!r} "
                        f"says {min(states)}. It was to be landed as trades. If that is right, "
                        'give {"channel": "trades"} in the file of --config',
                    )
                return
            others = said & _NOT_TRADES
            if word == "action":
                others |= said & _DATABENTO_ACTIONS
            if others:
                raise BrokenObjectError(
                    "NOT_ALL_TRADES",
                    f"its column {column!r} says that not all rows are trades: it has "
                    f"{', '.join(sorted(others)[:_SHOWN])}. Say which rows are, for example "
                    f'{{"where": {{"{column}": "T"}}}} in the file of --config',
                )
            return
        if word in _IS_WHOLE:
            changes = said & {"false", "f", "0", "no", "n"}
        elif word in _KIND_OF_ROW:
            changes = said & _CHANGES
        else:
            changes = said - {"-1", "0"}  # what a snapshot has
        if changes:
            raise BrokenObjectError(
                "CHANGES_OF_A_BOOK",
                f"its column {column!r} says {min(changes)}: these rows are changes of a book, not "
                'whole books. Only whole books can be landed from such files; "where" in the '
                "file of --config chooses rows, for example those of snapshots, and "
                '{"channel": "order_book"} says that each row is a whole book. `ticklake land '
                "tardis` and `ticklake land capture` rebuild books from their changes",
            )

    def _look_at_scale(self, table: pa.Table) -> None:
        """Refuse the integers of Databento's prices, which count 1e-9, if nothing says so."""
        if self.mapping.scale or not {"rtype", "publisher_id"} <= set(self.names):
            return
        prices = {name: target for name, target in _PRICES[self.channel] if name in self.names}
        for column in prices:
            texts = _distinct(table, column)
            if texts and all(_WHOLE_PRICE.fullmatch(text) for text in texts):
                example = json.dumps({"scale": dict.fromkeys(prices.values(), "1e-9")})
                raise BrokenObjectError(
                    "NO_SCALE",
                    f"its column {column!r} has {texts[0]}: whole numbers of Databento count 1e-9. "
                    f"Give {example} in the file of --config",
                )


class _Grid:
    """The distances of the candles of one symbol, as they come in."""

    def __init__(self) -> None:
        self._distances: Counter[int] = Counter()
        self._divisor = 0
        self._low = 0
        self._high = 0
        self._is_empty = True
        self.longest = 0
        """Seconds from the open of a candle to its close."""

    def add(self, times: Ints) -> None:
        times = np.unique(times)
        if not len(times):
            return
        found = np.diff(times)
        low, high = int(times[0]), int(times[-1])
        if not self._is_empty:
            if low > self._high:
                found = np.append(found, low - self._high)
            elif high < self._low:
                found = np.append(found, self._low - high)
            low, high = min(low, self._low), max(high, self._high)
        self._low, self._high, self._is_empty = low, high, False
        distances, counts = np.unique(found, return_counts=True)
        if len(distances):
            self._divisor = math.gcd(self._divisor, int(np.gcd.reduce(distances)))
        for distance, count in zip(distances.tolist(), counts.tolist(), strict=True):
            if distance in self._distances or len(self._distances) < _DISTANCES:
                self._distances[distance] += count

    def other_than(self, length: int, sparse: bool) -> int | None:
        """Return the interval that these candles have, None if it can be the one of `length`."""
        if not self._distances:  # one candle: its close says how long it is
            return self.longest if self.longest > length else None
        most = max(self._distances.values())
        found = min(item for item, count in self._distances.items() if count == most)
        if found == length:
            return None
        if found % length:
            return found
        # Candles without a trade may be missing. Those of a longer interval are all on its grid.
        is_longer = self._divisor == found and _written(found) in _USUAL
        return found if is_longer and not sparse else None


def _distinct(table: pa.Table, column: str) -> list[str]:
    texts = values.strings(pc.unique(table[column])).array
    return [text.strip() for text in texts.drop_null().to_pylist() if text.strip()]


def _written(seconds: int) -> str:
    for unit, length in reversed(_SECONDS.items()):
        if seconds % length == 0 and (unit != "w" or seconds == length):
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
