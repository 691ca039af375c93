"""Parquet segments that other collectors spool, in two layouts:

    <root>/ccxt/trades/segment_20250101T000000_20250101T010000.parquet
    <root>/exchange=binance/stream=bbo/symbol=btcusdt/2026-02-03_14-30-00.parquet

What is not in the path (`name=value` folders, the last other folder is the stream) has to be in
columns. Columns are found by their names, as in CSV files, or by a mapping.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from loaders.landing import Item, Request, opened
from loaders.mapping import NO_MAPPING, PARTITION, ColumnMapping
from loaders.source import Source, SourceObject
from ticklake.lake.errors import LakeError

if TYPE_CHECKING:
    from loaders.worker import Sink

LOADER: Final = "spool"
BATCH: Final = 32_768
"""Rows in memory at once: a row group may hold a million books."""
STREAMS: Final = {
    **dict.fromkeys(("trade", "trades", "aggtrade", "aggtrades"), "trades"),
    **dict.fromkeys(("book", "orderbook", "depth", "l2", "l2book"), "order_book"),
    **dict.fromkeys(("ticker", "tickers", "bbo", "quote", "quotes", "bookticker"), "tickers"),
    **dict.fromkeys(("mark", "marks", "markprice", "markprices"), "mark_prices"),
    **dict.fromkeys(("funding", "fundingrate", "fundingrates"), "funding_rates"),
    **dict.fromkeys(("kline", "klines", "ohlcv", "candles"), "klines"),
}
"""The channel of a stream, by its name in lower case without `_` and `-`, or digits at its end."""


def spool_request(
    root: str,
    location: str,
    mapping: ColumnMapping,
    symbols: Sequence[str] | None = None,
    workers: int = 1,
    force: bool = False,
) -> Request:
    """Return the request for all segments below a location.

    Raises LakeError where there is none, or a stream whose channel nobody knows.
    """
    paths = [path for path in opened(location).listing("") if _is_segment(path)]
    if not paths:
        raise LakeError(f"There is no .parquet file below {location}.")
    streams = {path: _stream(path) for path in paths}
    known = dict(mapping.streams)
    channels = {name: known.get(name) or _known(name) for name in streams.values()}
    strange = sorted(name for name, channel in channels.items() if channel is None)
    if strange:
        raise LakeError(
            f"Nobody knows what the streams {', '.join(map(repr, strange))} below {location} are. "
            'Say it in a file of --config: {"streams": {"' + strange[0] + '": "trades"}}.'
        )
    items = [
        Item(location, path, _name(location, path), _parser(path, channels[stream], mapping))
        for path, stream in streams.items()
    ]
    config = "" if mapping == NO_MAPPING else " --config MAPPING"
    narrowed = f" --symbols {','.join(symbols)}" if symbols else ""
    again = f"ticklake land spool {location}{config}{narrowed}"
    return Request(root, LOADER, items, symbols, workers, force, again)


@dataclass(frozen=True, slots=True)
class SpoolParser:
    """Reads a segment, some rows at a time."""

    channel: str
    given: tuple[tuple[str, str], ...]
    """What the path says of exchange, symbol and interval."""
    mapping: ColumnMapping

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a segment. Raises BrokenObjectError."""
        import shutil
        import tempfile

        import pyarrow as pa
        import pyarrow.parquet as pq

        from loaders.agreement import Agreement, refuse_other_kind
        from loaders.columns import MissingColumnError, UnclearColumnsError, deliver, make_plan
        from loaders.decode import BrokenObjectError
        from loaders.limits import too_many_columns

        given = self._agreed(dict(self.given))
        with tempfile.TemporaryFile() as file:
            with source.open(found.path) as stream:
                shutil.copyfileobj(stream, file, 1 << 20)
            file.seek(0)
            try:
                parquet = pq.ParquetFile(file)
            except (pa.ArrowException, OSError) as error:
                raise BrokenObjectError("NOT_PARQUET", f"it cannot be opened: {error}") from None
            names = parquet.schema_arrow.names
            if why := too_many_columns(len(names)):
                raise BrokenObjectError("TOO_MANY_COLUMNS", why)
            if len(set(names)) < len(names):
                raise BrokenObjectError("DUPLICATE_COLUMN", "two columns have the same name")
            refuse_other_kind(self.channel, found.path.rpartition("/")[2], names, self.mapping)
            try:
                plan = make_plan(self.channel, names, self.mapping, given=list(given))
            except MissingColumnError as error:
                raise BrokenObjectError("MISSING_COLUMN", str(error)) from None
            except UnclearColumnsError as error:
                raise BrokenObjectError("UNCLEAR_COLUMNS", str(error)) from None
            agreement = Agreement(
                self.channel, given, plan.given, names, self.mapping, "the path's "
            )
            first = 0
            for table in _tables(parquet):
                where = _described(table, first)
                deliver(plan, table, sink, given, where, agreement=agreement)
                first += table.num_rows
            agreement.finish()
            sink.read(first)

    def _agreed(self, given: dict[str, str]) -> dict[str, str]:
        """Return what the path and the mapping say of all rows. Raises BrokenObjectError."""
        from loaders.agreement import agree
        from loaders.decode import BrokenObjectError

        for name, value in self.mapping.constants:
            if name in given and not agree(name, given[name], value):
                raise BrokenObjectError(
                    f"OTHER_{name.upper()}",
                    f"its path says {given[name]}, and 'constants' of the mapping {value}",
                )
        return given | dict(self.mapping.constants)


def _tables(parquet: Any) -> Iterator[Any]:
    """Yield the rows of a Parquet file. Raises BrokenObjectError."""
    import pyarrow as pa

    from loaders.decode import BrokenObjectError

    batches = parquet.iter_batches(BATCH)
    while True:
        try:
            batch = next(batches, None)
            if batch is not None:
                batch.validate(full=True)  # text that is no UTF-8 is read without a word
        except (pa.ArrowException, OSError) as error:
            raise BrokenObjectError("PARQUET_CORRUPT", f"it cannot be read: {error}") from None
        if batch is None:
            return
        yield pa.Table.from_batches([batch])


def _described(table: Any, first: int) -> Any:
    """Return what says where a row was, and what it held."""
    from loaders.values import plain_value

    def describe(row: int) -> dict[str, Any]:
        content = {name: plain_value(table[name][row]) for name in table.column_names}
        return {"row": first + row, "content": content}

    return describe


def _parser(path: str, channel: str | None, mapping: ColumnMapping) -> SpoolParser:
    assert channel is not None, "streams without a channel are refused before"
    folders = dict(part.split("=", 1) for part in path.split("/")[:-1] if "=" in part)
    folders = {name: unquote(value) for name, value in folders.items()}
    given = {name: mapping.spelled(name, folders[name]) for name in PARTITION if name in folders}
    return SpoolParser(channel, tuple(given.items()), mapping)


def _stream(path: str) -> str:
    """Return the stream that a segment is of."""
    parts = path.split("/")[:-1]
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    plain = [part for part in parts if "=" not in part]
    return named.get("stream") or named.get("channel") or (plain[-1] if plain else "")


def _known(stream: str) -> str | None:
    plain = re.sub(r"[\W_]", "", stream.lower())
    return STREAMS.get(plain) or STREAMS.get(plain.rstrip("0123456789"))


def _is_segment(path: str) -> bool:
    """Return whether a file is whole: collectors hide those that they still write."""
    return path.endswith(".parquet") and not any(
        part.startswith((".", "_")) for part in path.split("/")
    )


def _name(location: str, path: str) -> str:
    from loaders.csv_files import file_name

    return file_name(f"{opened(location).location}/{path}")
