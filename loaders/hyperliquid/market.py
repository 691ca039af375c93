"""Market data of the Hyperliquid archive: order books, and mark prices with funding.

Objects are `market_data/<YYYYMMDD>/<H>/l2Book/<COIN>.lz4`, a book of 20 levels a side a line, and
`asset_ctxs/<YYYYMMDD>.csv.lz4`, a line a minute and coin. One real line of a book (shortened):

    {"time":"2025-08-01T00:00:02.064957108","ver_num":1,"raw":{"channel":"l2Book","data":
     {"coin":"BTC","time":1754006401435,"levels":[[{"px":"115637.0","sz":"7.89718","n":7}],
     [{"px":"115638.0","sz":"0.2","n":1}]]}}}
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from loaders.hyperliquid.schema import END_TIME_MS, FIRST_TIME_MS
from loaders.landing import Item, Request, opened
from loaders.source import Source, SourceObject

if TYPE_CHECKING:
    from loaders.worker import Sink

LOADER: Final = "hyperliquid-market"
EXCHANGE: Final = "hyperliquid"
BATCH: Final = 4_096
CHANNELS: Final = ("order_book", "asset_ctxs")
FUNDING_HOURS: Final = "1"

_LEVEL_FIELDS: Final = {"px", "sz", "n"}
_CONTEXT_TIME: Final = (("ts_event", "time"), ("symbol", "coin"))


def market_between(
    root: str,
    source: str,
    channel: str,
    start: date,
    end: date,
    coins: Sequence[str] | None = None,
    workers: int = 1,
    force: bool = False,
) -> Request:
    """Return the request for the days from `start` to `end`, both included.

    Without `coins` the books that there are have to be listed, which a web server cannot do.
    """
    days = [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
    if channel == "order_book":
        items = list(_books(source, days, coins))
    else:
        items = [
            Item(source, f"asset_ctxs/{day:%Y%m%d}.csv.lz4", f"asset_ctxs-{day:%Y%m%d}", _CONTEXTS)
            for day in days
        ]
    again = (
        f"ticklake land hyperliquid-market --channel {channel} "
        f"--source {opened(source).location} "
        f"--start {start:%Y%m%d} --end {end:%Y%m%d}"
    ) + (f" --coins {','.join(coins)}" if coins else "")
    return Request(root, LOADER, items, coins, workers, force, again, remembers_absent=True)


def _books(source: str, days: Sequence[date], coins: Sequence[str] | None) -> Iterator[Item]:
    found = opened(source)
    for day in days:
        for hour in range(24):
            folder = f"market_data/{day:%Y%m%d}/{hour}/l2Book"
            if coins is None:
                paths = sorted(path for path in found.listing(folder) if path.endswith(".lz4"))
            else:
                paths = [f"{folder}/{coin}.lz4" for coin in coins]
            for path in paths:
                coin = path.removeprefix(f"{folder}/").removesuffix(".lz4")
                coin = coin.replace("/", "%2F")  # PURR/USDC: a name is no path
                yield Item(source, path, f"l2Book-{day:%Y%m%d}-{hour:02d}-{coin}", BooksParser())


@dataclass(frozen=True, slots=True)
class BooksParser:
    """Reads an hour of books of one coin, line by line."""

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read an hour. Raises BrokenObjectError."""
        from loaders.decode import chunks, count_lines

        batch = _Batch(sink)
        number = 0
        with source.open(found.path) as stream:
            for chunk in chunks(stream):
                sink.read(count_lines(chunk.text))
                for line in chunk.text.removesuffix(b"\n").split(b"\n"):
                    number += 1
                    if not line.strip():
                        continue
                    try:
                        batch.append(*_book(line))
                    except _FaultError as fault:
                        sink.reject(fault.error_type, str(fault), line=number, content=line)
        batch.flush()


@dataclass(frozen=True, slots=True)
class ContextsParser:
    """Reads a day of the contexts of all coins: a line has a mark price and a funding rate."""

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a day. Raises BrokenObjectError."""
        import pyarrow as pa

        from loaders.columns import MissingColumnError, deliver, make_plan
        from loaders.csv_files import described, reject_line
        from loaders.csv_lines import CsvObject
        from loaders.decode import BrokenObjectError
        from loaders.mapping import ColumnMapping
        from ticklake.lake.row_rules import Fault

        given = {"exchange": EXCHANGE}
        funding = ["time", "coin", "funding"]
        marks = ColumnMapping(
            (*_CONTEXT_TIME, ("mark_price", "mark_px"), ("index_price", "oracle_px"))
        )
        rates = ColumnMapping(
            (*_CONTEXT_TIME, ("funding_rate", "funding"), ("interval_hours", "interval_hours"))
        )
        with source.open(found.path) as stream:
            text = CsvObject(stream, "lz4")
            others = [name for name in text.names if name != "funding"]
            try:
                of_marks = make_plan(
                    "mark_prices", others, marks, given=list(given), by_alias=False
                )
                of_rates = make_plan(
                    "funding_rates",
                    [*funding, "interval_hours"],
                    rates,
                    given=list(given),
                    by_alias=False,
                )
                if "funding" not in text.names:
                    raise MissingColumnError("funding_rates", ["funding"], text.names)
            except MissingColumnError as error:
                raise BrokenObjectError("MISSING_COLUMN", str(error)) from None
            for lines in text.lines(lambda bad: reject_line(sink, bad), sink.skip):
                sink.fold(-len(lines.numbers))  # a line gives rows of two channels
                told: set[Fault] = set()
                deliver(of_marks, lines.table.select(others), sink, given, described(lines), told)
                hours = pa.repeat(FUNDING_HOURS, lines.table.num_rows)
                table = lines.table.select(funding).append_column("interval_hours", hours)
                deliver(of_rates, table, sink, given, described(lines), told)
            sink.read(text.read)


_CONTEXTS: Final = ContextsParser()


class _FaultError(Exception):
    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class _Batch:
    """Book rows on their way to the sink, of one coin at a time."""

    def __init__(self, sink: "Sink") -> None:
        self._sink = sink
        self._coin = ""
        self._rows: list[dict[str, Any]] = []

    def append(self, coin: str, row: dict[str, Any], unknown: Sequence[str]) -> None:
        if coin != self._coin or len(self._rows) >= BATCH:
            self.flush()
            self._coin = coin
        self._rows.append(row)
        for name in unknown:
            self._sink.extra(name)

    def flush(self) -> None:
        if not self._rows:
            return
        import pyarrow as pa

        from loaders.channels import CHANNELS

        table = pa.Table.from_pylist(self._rows, CHANNELS["order_book"].schema)
        self._sink.rows("order_book", table, exchange=EXCHANGE, symbol=self._coin)
        self._rows.clear()


def _book(line: bytes) -> tuple[str, dict[str, Any], list[str]]:
    """Return the coin, the row, and the names of fields that went to `extra`."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise _FaultError("BAD_JSON", "the line is no JSON") from None
    try:
        data = content["raw"]["data"]
        coin, moment, (bids, asks) = data["coin"], data["time"], data["levels"]
        received = content.get("time")
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _FaultError("MISSING_FIELD", "no raw.data with coin, time and two levels") from None
    if type(coin) is not str or not coin:
        raise _FaultError("BAD_VALUE", "'coin' is no name")
    if type(moment) is not int or not FIRST_TIME_MS <= moment < END_TIME_MS:
        raise _FaultError("BAD_TIME", "'time' is no time in milliseconds since 2020")
    extra = {
        name: value
        for name, value in (*content.items(), *data.items())
        if name not in ("time", "raw", "coin", "levels")
    }
    sides = {"bids": _levels(bids), "asks": _levels(asks)}
    if any(level.keys() - _LEVEL_FIELDS for level in (*bids, *asks)):
        extra["levels"] = data["levels"]
    row = {
        "ts_event": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment),
        "ts_capture": _instant(received),
        "is_reset": False,
        **sides,
        "bid_order_counts": _order_counts(bids),
        "ask_order_counts": _order_counts(asks),
        "extra": json.dumps(extra, separators=(",", ":")) if extra else None,
    }
    return coin, row, list(extra)


def _instant(text: Any) -> datetime | None:
    """Return an ISO time, which is UTC unless it says otherwise, cut to microseconds."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise _FaultError("BAD_TIME", "the line's 'time' is no ISO time") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _order_counts(levels: list[dict[str, Any]]) -> list[int | None] | None:
    """Return the number of orders per level, null if unknown; None if all are unknown."""
    counts = [level.get("n") for level in levels]
    known = [count if type(count) is int and 0 <= count < 1 << 31 else None for count in counts]
    return known if any(count is not None for count in known) else None


def _levels(levels: Any) -> list[dict[str, float]]:
    try:
        found = [{"price": float(level["px"]), "size": float(level["sz"])} for level in levels]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _FaultError("BAD_LEVEL", "a level has no px and sz that are numbers") from None
    if not all(math.isfinite(value) for level in found for value in level.values()):
        raise _FaultError("BAD_LEVEL", "a level is not finite")
    return found
