"""From the columns of somebody's table to the columns of a channel.

A column is found by its name, whatever its case and punctuation: `Trade ID`, `tradeId` and
`trade_id` are one. Where several names mean the same column of a channel, the first one of ALIASES
that the table has is used. A `Mapping` overrides. Columns that mean nothing to the channel go to
`extra`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders import values
from loaders.channels import CHANNELS, DECIMAL, LEVELS, TIME
from loaders.levels import LEVEL_COLUMNS, Level, find_levels, flat_levels, nested_levels
from loaders.mapping import ColumnMapping
from loaders.values import Flags, Values
from ticklake.lake.row_rules import Fault, find_faults

if TYPE_CHECKING:
    from loaders.worker import Sink

_EVENT: Final = ("ts_event", "timestamp", "datetime", "time", "date", "ts", "event_time")
_EVENTS: Final = (
    *_EVENT,
    *("exchange_timestamp", "exchange_time", "exchange_ts", "transact_time", "trade_time"),
)
_CAPTURE: Final = (
    *("ts_capture", "capture_ts", "capture_time", "local_timestamp", "local_time", "local_ts"),
    *("received_at", "receive_time", "receipt_timestamp", "recv_ts", "recv_time", "ts_recv"),
)
_SEQUENCE: Final = ("seq", "sequence", "seq_num", "update_id", "last_update_id", "nonce", "u")

ALIASES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "trades": {
        "ts_event": _EVENTS,
        "ts_capture": _CAPTURE,
        "trade_id": ("trade_id", "id", "tid", "agg_trade_id"),
        "price": ("price", "close", "last", "px", "trade_price"),
        "size": ("size", "volume", "quantity", "amount", "qty", "sz", "trade_size"),
        "side": ("side", "aggressor_side", "taker_side", "aggressor", "taker_order_side"),
        "is_buyer_maker": ("is_buyer_maker", "buyer_maker", "maker_is_buyer"),
        "first_id": ("first_id", "first_trade_id"),
        "last_id": ("last_id", "last_trade_id"),
    },
    "order_book": {
        "ts_event": _EVENTS,
        "ts_capture": _CAPTURE,
        "seq": _SEQUENCE,
        "is_reset": ("is_reset", "reset"),
        "bids": ("bids",),
        "asks": ("asks",),
    },
    "tickers": {
        "ts_event": _EVENTS,
        "ts_capture": _CAPTURE,
        "seq": _SEQUENCE,
        "bid_price": ("bid_price", "best_bid_price", "best_bid", "bid", "bid_px"),
        "bid_size": (
            *("bid_size", "bid_qty", "bid_quantity", "bid_amount", "bid_volume", "bid_sz"),
            *("best_bid_size", "best_bid_qty", "best_bid_quantity", "best_bid_amount"),
        ),
        "ask_price": ("ask_price", "best_ask_price", "best_ask", "ask", "ask_px"),
        "ask_size": (
            *("ask_size", "ask_qty", "ask_quantity", "ask_amount", "ask_volume", "ask_sz"),
            *("best_ask_size", "best_ask_qty", "best_ask_quantity", "best_ask_amount"),
        ),
        "last_price": ("last_price", "last", "close", "price"),
    },
    "mark_prices": {
        "ts_event": _EVENTS,
        "ts_capture": _CAPTURE,
        "mark_price": ("mark_price", "mark", "mark_px"),
        "index_price": ("index_price", "index", "index_px", "oracle_price", "oracle_px"),
    },
    "funding_rates": {
        "ts_event": (*_EVENTS, "funding_time", "calc_time"),
        "ts_capture": _CAPTURE,
        "funding_rate": ("funding_rate", "rate", "funding", "last_funding_rate"),
        "interval_hours": ("interval_hours", "funding_interval_hours", "funding_interval"),
        "next_funding_ts": ("next_funding_ts", "next_funding_time", "funding_timestamp"),
    },
    "klines": {
        "open_time": ("open_time", "start_time", *_EVENT),
        "open": ("open", "open_price", "o"),
        "high": ("high", "high_price", "h"),
        "low": ("low", "low_price", "l"),
        "close": ("close", "close_price", "c"),
        "volume": ("volume", "vol", "base_volume", "v", "size"),
        "close_time": ("close_time", "end_time"),
        "quote_volume": ("quote_volume", "quote_asset_volume", "turnover"),
        "count": ("count", "trade_count", "trades", "number_of_trades"),
        "taker_buy_volume": ("taker_buy_volume", "taker_buy_base_asset_volume"),
        "taker_buy_quote_volume": ("taker_buy_quote_volume", "taker_buy_quote_asset_volume"),
        "ignore": ("ignore",),
    },
}
REQUIRED: Final = {
    "trades": ("ts_event", "price", "size"),
    "order_book": ("ts_event", "bids", "asks"),
    "tickers": ("ts_event", "bid_price", "ask_price"),
    "mark_prices": ("ts_event", "mark_price"),
    "funding_rates": ("ts_event", "funding_rate"),
    "klines": ("open_time", "open", "high", "low", "close", "volume"),
}
"""Columns that a table must have."""
_ONE_SIDED: Final = frozenset(("bids", "asks", "bid_price", "ask_price"))
"""Of those, the columns that need no value in every row."""

PARTITION: Final = {
    "exchange": ("exchange", "venue"),
    "symbol": ("symbol", "instrument", "ticker", "market", "pair"),
    "interval": ("interval", "timeframe"),
}

COLUMNS: Final = {
    channel: {*aliases, *PARTITION, *(LEVEL_COLUMNS if channel == "order_book" else ())}
    for channel, aliases in ALIASES.items()
}
"""What a mapping can name in each channel."""

_KINDS: Final = {
    TIME: ("BAD_TIME", "no time between 1980 and 2100"),
    DECIMAL: ("BAD_DECIMAL", "no number that fits decimal(38, 12)"),
    pa.float64(): ("BAD_NUMBER", "no finite number"),
    pa.int64(): ("BAD_INTEGER", "no integer of 64 bits"),
    pa.bool_(): ("BAD_FLAG", "neither true nor false"),
    LEVELS: ("BAD_LEVEL", "no list of prices with their sizes"),
}
_MAKER: Final = {"true": "sell", "false": "buy", "1": "sell", "0": "buy", "t": "sell", "f": "buy"}
_SPECIAL: Final = re.compile(r'["\\\x00-\x1f]')


class MissingColumnError(Exception):
    """A table without a column that the channel needs; the message says which and what to do."""

    def __init__(self, channel: str, missing: Sequence[str], names: Sequence[str]) -> None:
        example = json.dumps({"columns": {missing[0].partition(" ")[0]: names[0]}})
        super().__init__(
            f"No column for {', '.join(missing)} of channel {channel}. The columns are: "
            f"{', '.join(names)}. Say which is which in the file of --config, for example {example}"
        )
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Rows:
    """The good rows of a table, in order, and the faults of the others."""

    table: pa.Table
    """The columns of the channel, then those of the partition that the source has."""
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which column of a source becomes which column of a channel."""

    channel: str
    sources: Mapping[str, str]
    levels: Mapping[str, Sequence[Level]]
    """The flat columns of each side of a book."""
    partition: Mapping[str, str]
    """The source columns of exchange, symbol and interval."""
    extra: Sequence[str]
    """Columns that have no place in the channel."""
    mapping: ColumnMapping
    needed: Sequence[str]
    """Columns of the channel without which a row is bad."""

    def read(self, table: pa.Table) -> Rows:
        """Convert some rows. The table has the columns that the plan was made for."""
        schema = CHANNELS[self.channel].schema
        columns: dict[str, pa.Array] = {}
        judged: list[tuple[Flags, str, str]] = []
        for item in schema:
            found = self._column(item.name, item.type, table)
            if found is None:
                continue
            columns[item.name] = found.array
            if found.bad is not None:
                judged.append((found.bad, *self._named(item.name, item.type)))
            if item.name in self.needed and found.array.null_count:
                missing = found.array.is_null().to_numpy(zero_copy_only=False)
                told = f"there is no {self.sources[item.name]!r} ({item.name})"
                judged.append((missing, "MISSING_FIELD", told))
        for name, source in self.partition.items():
            found = values.strings(table[source])
            columns[name] = found.array
            if found.array.null_count:
                missing = found.array.is_null().to_numpy(zero_copy_only=False)
                judged.append((missing, "MISSING_FIELD", f"there is no {source!r} ({name})"))
        if self.channel == "order_book" and "is_reset" not in columns:
            columns["is_reset"] = pa.array(np.zeros(table.num_rows, bool))
        if self.extra:
            columns["extra"] = _as_json(table, self.extra)
        rows = pa.table(columns)
        faults = _first_faults(judged, find_faults(self.channel, rows))
        if faults:
            good = np.ones(table.num_rows, bool)
            good[[fault.row for fault in faults]] = False
            rows = rows.filter(pa.array(good))
        return Rows(rows, faults)

    def _column(self, name: str, kind: pa.DataType, table: pa.Table) -> Values | None:
        if self.levels.get(name):
            return flat_levels(table, self.levels[name])
        source = self.sources.get(name)
        if name == "side" and source is None and "is_buyer_maker" in self.sources:
            return values.sides(table[self.sources["is_buyer_maker"]], _MAKER)
        if source is None:
            return None
        column = table[source]
        if kind == TIME:
            return values.instants(column, self.mapping.timestamp_format)
        if name == "side":
            return values.sides(column, values.SIDES | dict(self.mapping.side))
        return _CONVERSIONS[kind](column)

    def _named(self, name: str, kind: pa.DataType) -> tuple[str, str]:
        if name == "side":
            source = self.sources.get(name) or self.sources["is_buyer_maker"]
            return "BAD_SIDE", f"{source!r} says no side that is known"
        error_type, what = _KINDS[kind]
        source = self.sources.get(name, name)
        return error_type, f"{source!r} is {what}"


_CONVERSIONS: Final[dict[pa.DataType, Callable[[pa.Array], Values]]] = {
    DECIMAL: values.decimals,
    pa.float64(): values.doubles,
    pa.int64(): values.integers,
    pa.bool_(): values.flags,
    pa.string(): values.strings,
    LEVELS: nested_levels,
}


def make_plan(
    channel: str,
    names: Sequence[str],
    mapping: ColumnMapping,
    *,
    given: Sequence[str] = (),
    by_alias: bool = True,
    ignored: Sequence[str] = (),
) -> Plan:
    """Return what to do with a table of these columns.

    `given` are the partition columns whose value is known, so no column is looked for. Without
    `by_alias` only the mapping says what is what. `ignored` columns do not go to `extra`. Raises
    MissingColumnError.
    """
    wanted = mapping.of_channel(channel)
    aliases = ALIASES[channel]
    sources = {}
    for target, source in wanted.items():
        if target in (*aliases, *PARTITION) and source in names:
            sources[target] = source
    missing = [
        f"{target} ({source!r} of the mapping)"
        for target, source in wanted.items()
        if target in (*aliases, *PARTITION) and source not in names
    ]
    levels: dict[str, list[Level]] = {}
    if channel == "order_book":
        levels = {
            side: find_levels(side, names, wanted)
            for side in ("bids", "asks")
            if side not in wanted
        }
    in_levels = {name for side in levels.values() for level in side for name in level.columns}
    taken = {*sources.values(), *in_levels}
    partition_by = CHANNELS[channel].partition_by
    looked_for = aliases | {
        name: known
        for name, known in PARTITION.items()
        if name in partition_by and name not in given
    }
    by_name = {plain(name): name for name in reversed(names) if name not in taken}
    for target, known in looked_for.items() if by_alias else ():
        if target in wanted or levels.get(target):
            continue
        alias = next((alias for alias in map(plain, known) if alias in by_name), None)
        if alias is not None:
            sources[target] = by_name.pop(alias)
            taken.add(sources[target])
    if "side" in sources and "is_buyer_maker" in sources:
        taken.discard(sources.pop("is_buyer_maker"))
    found = {*sources, *(side for side in levels if levels[side])}
    needed = [*REQUIRED[channel]]
    needed += [name for name in partition_by[:-1] if name not in given]
    missing += [name for name in needed if name not in found and name not in wanted]
    if missing:
        raise MissingColumnError(channel, missing, names)
    partition = {name: sources.pop(name) for name in PARTITION if name in sources}
    extra = [name for name in names if name not in {*taken, *partition.values(), *ignored}]
    valued = [name for name in REQUIRED[channel] if name not in _ONE_SIDED]
    return Plan(channel, sources, levels, partition, extra, mapping, valued)


def deliver(
    plan: Plan,
    table: pa.Table,
    sink: "Sink",
    given: Mapping[str, str],
    describe: Callable[[int], Mapping[str, Any]],
    told: set[Fault] | None = None,
) -> None:
    """Convert some rows and give them to the sink.

    `given` holds the partition values that no column has. `describe` returns where a row was, and
    its content. Faults that are `told` are not told again, as where rows go to two channels; those
    of these rows join them.
    """
    rows = plan.read(table)
    for fault in rows.faults:
        if told is None or fault not in told:
            sink.reject(fault.error_type, fault.message, **describe(fault.row))
    if told is not None:
        told.update(rows.faults)
    for key, part in split(rows.table, list(plan.partition)):
        where = {**given, **key}
        if sink.symbols is not None and where.get("symbol") not in sink.symbols:
            continue
        for name, count in _names_in(part, plan.extra).items():
            sink.extra(name, count)
        part = part.select([name for name in part.column_names if name not in plan.partition])
        sink.rows(
            plan.channel,
            part,
            exchange=where["exchange"],
            symbol=where.get("symbol"),
            interval=where.get("interval"),
        )


def split(table: pa.Table, names: Sequence[str]) -> list[tuple[dict[str, str], pa.Table]]:
    """Return the rows of each combination of values, in order of their first appearance."""
    if not table.num_rows:
        return []
    if not names:
        return [({}, table)]
    code = np.zeros(table.num_rows, np.int64)
    for name in names:
        encoded = table[name].combine_chunks().dictionary_encode()
        code = code * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy()
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    parts = []
    for group in np.argsort(first):
        key = {name: table[name][int(first[group])].as_py() for name in names}
        part = table if len(first) == 1 else table.filter(pa.array(inverse == group))
        parts.append((key, part))
    return parts


def plain(name: str) -> str:
    """Return a name without its case and punctuation."""
    return re.sub(r"[\W_]", "", name.lower())


def _first_faults(
    judged: Sequence[tuple[Flags, str, str]], by_rule: Sequence[Fault]
) -> list[Fault]:
    """Return one fault for each bad row: of the first column that has one, else of a rule."""
    faults: dict[int, Fault] = {}
    for bad, error_type, message in judged:
        for row in np.flatnonzero(bad).tolist():
            faults.setdefault(row, Fault(row, error_type, message))
    for fault in by_rule:
        faults.setdefault(fault.row, fault)
    return [faults[row] for row in sorted(faults)]


def _as_json(table: pa.Table, names: Sequence[str]) -> pa.Array:
    """Return the values of some columns as JSON objects, null where all are missing."""
    pieces = []
    for name in names:
        quoted = _quoted(values.strings(table[name]).array)
        pieces.append(
            pc.binary_join_element_wise(f",{json.dumps(name)}:", quoted, "").fill_null("")
        )
    joined = pc.binary_join_element_wise(*pieces, "")
    objects = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(joined, 1), "}", "")
    return pc.if_else(pc.equal(joined, ""), None, objects)


def _quoted(texts: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(texts, _SPECIAL.pattern)).as_py():
        return pc.binary_join_element_wise('"', texts, '"', "")
    encoded = texts.dictionary_encode()
    quoted = [json.dumps(text, ensure_ascii=False) for text in encoded.dictionary.to_pylist()]
    return pa.array(quoted, pa.string()).take(encoded.indices)


def _names_in(table: pa.Table, names: Sequence[str]) -> Counter[str]:
    """Count the rows with a value in `extra` of each column that has no place."""
    counts: Counter[str] = Counter()
    for name in names:
        head = json.dumps(name) + ":"
        there = pc.sum(pc.match_substring(table["extra"], head)).as_py()
        if there:
            counts[name] = there
    return counts
