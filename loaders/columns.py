"""From the columns of somebody's table to the columns of a channel.

A column is found by its name, whatever its case and punctuation. Where several names mean the same
column of a channel, the first one of its aliases that the table has is used; two that both can be a
price or a size are refused. A `ColumnMapping` overrides. Columns that mean nothing to the channel
go to `extra`.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders import values
from loaders.agreement import Agreement
from loaders.aliases import ALIASES, COLUMNS, PARTITION, REQUIRED, plain
from loaders.channels import CHANNELS, DECIMAL, LEVELS
from loaders.channels import TIME as INSTANT
from loaders.levels import Level, find_levels, flat_levels, nested_levels
from loaders.limits import listed
from loaders.mapping import NUMBER, TIME, ColumnMapping, said_of
from loaders.values import Clock, Flags, Notation, Values
from ticklake.lake.row_rules import Fault, find_faults

if TYPE_CHECKING:
    from loaders.worker import Sink

_ONE_SIDED: Final = frozenset(("bids", "asks", "bid_price", "ask_price"))
"""Of the required columns, those that need no value in every row."""
_KINDS: Final = {
    DECIMAL: "BAD_DECIMAL",
    pa.float64(): "BAD_NUMBER",
    pa.int64(): "BAD_INTEGER",
    pa.bool_(): "BAD_FLAG",
    LEVELS: "BAD_LEVEL",
}
_WHY: Final = {
    pa.float64(): "is not a finite number",
    pa.int64(): "is not an integer of 64 bits",
    pa.bool_(): "is neither true nor false",
}
_IS_PRESENT: Final = "is present: "
"""Goes before the name of a column of `extra`, for the column that says where it has a value."""
_HINTS: Final = {
    "size is negative": (
        '. If its sign is the side, give {"sign": {"positive": "buy", "negative": "sell"}} in the '
        "mapping"
    ),
    "price times size": (
        '. If the numbers count a smaller unit, give "scale" in the mapping, for example '
        '{"scale": {"size": "1e-18"}}'
    ),
}
"""What the mapping can do about a row that breaks a rule, by the beginning of its message."""
_NO_TRADE: Final = (
    '. If that is so because nothing traded, "where" of the mapping leaves such rows out, for '
    'example {"where": {"open": {"not": null}}}'
)
_TEXT_SHOWN: Final = 60
_LIKELY: Final = 500
_MAKER: Final = {"true": "sell", "false": "buy", "1": "sell", "0": "buy", "t": "sell", "f": "buy"}
_SPECIAL: Final = re.compile(r'["\\\x00-\x1f]')


_ONE_NAME: Final = (
    '. If that line is not the header, give {"skip_lines": 1}; if the columns are separated by '
    'something else, "delimiter"'
)


class MissingColumnError(Exception):
    """A table without a column that the channel needs; the message says which and what to do."""

    def __init__(
        self, channel: str, missing: Sequence[str], names: Sequence[str], example: str | None = None
    ) -> None:
        example = names[0] if example is None and names else example
        target = missing[0].partition(" ")[0]
        said = json.dumps({"columns": {target: example}}, ensure_ascii=False)
        super().__init__(
            f"No column for {', '.join(missing)} of channel {channel}. "
            f"The columns are: {listed(names)}. "
            "Say which is which in the file of --config"
            + (f", for example {said}" if example else "")
            + (_ONE_NAME if len(names) == 1 else "")
        )
        self.missing = missing


class UnclearColumnsError(Exception):
    """A table whose columns do not settle what the channel and the mapping ask for."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The good rows of a table, in order, and the faults of the others."""

    table: pa.Table
    """The columns of the channel, those of the partition that the source has, and for each column
    of `extra` one that says where it has a value."""
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Which rows are bad for one reason, and how to say it of one of them."""

    bad: Flags
    tell: Callable[[int], tuple[str, str]]
    """The type of error and the message of a row."""


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
    given: Mapping[str, str] = field(default_factory=dict)
    """The source columns of exchange, symbol and interval that have to agree with a given one."""
    joined: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The source columns of times that are made of several."""

    def read(self, table: pa.Table) -> Rows:
        """Convert some rows. The table has the columns that the plan was made for."""
        schema = CHANNELS[self.channel].schema
        columns: dict[str, pa.Array] = {}
        judged: list[_Judged] = []
        for item in schema:
            found = self._column(item.name, item.type, table)
            if found is None:
                continue
            if item.name == "size" and self.mapping.sign is not None:
                columns["side"] = _sides_of(found.array, self.mapping.sign)
                found = Values(pc.abs(found.array).cast(item.type), found.bad)
            columns[item.name] = found.array
            if found.bad is not None:
                judged.append(_Judged(found.bad, self._teller(item.name, item.type, table)))
            if item.name in self.needed and found.array.null_count:
                missing = found.array.is_null().to_numpy(zero_copy_only=False)
                hint = _NO_TRADE if self.channel == "klines" else ""
                judged.append(_missing(missing, self._named(item.name), item.name, hint))
        for name, source in self.partition.items():
            texts = self._spelled(name, values.strings(table[source]).array)
            columns[name] = texts
            if texts.null_count:
                missing = texts.is_null().to_numpy(zero_copy_only=False)
                judged.append(_missing(missing, repr(source), name))
        if self.channel == "order_book" and "is_reset" not in columns:
            columns["is_reset"] = pa.array(np.zeros(table.num_rows, bool))
        if self.extra:
            texts_of = {name: values.strings(table[name]).array for name in self.extra}
            columns["extra"] = _as_json(texts_of)
            columns |= {_IS_PRESENT + name: texts.is_valid() for name, texts in texts_of.items()}
        rows = pa.table(columns)
        faults = _first_faults(judged, find_faults(self.channel, rows))
        if faults:
            good = np.ones(table.num_rows, bool)
            good[[fault.row for fault in faults]] = False
            rows = rows.filter(pa.array(good))
        return Rows(rows, faults)

    def wanted(self, table: pa.Table) -> Flags:
        """Return which rows of a table the mapping wants."""
        flags = np.ones(table.num_rows, bool)
        for condition in self.mapping.where:
            texts = values.strings(table[condition.column]).array
            texts = pc.utf8_trim_whitespace(texts)
            is_one = pc.is_in(texts, pa.array([v for v in condition.values if v], pa.string()))
            if None in condition.values:
                absent = pc.is_in(pc.utf8_lower(texts), pa.array(sorted(values.MISSING)))
                is_one = pc.or_(is_one, pc.or_(absent, texts.is_null()))
            flags &= is_one.to_numpy(zero_copy_only=False) != condition.is_not
        return flags

    def _column(self, name: str, kind: pa.DataType, table: pa.Table) -> Values | None:
        if kind == LEVELS:
            price, size = (self._notation(f"{name[:-1]}_{what}") for what in ("price", "size"))
            if self.levels.get(name):
                return flat_levels(table, self.levels[name], price, size)
            return nested_levels(table[self.sources[name]], name, price, size)
        if name in self.joined:
            texts = [values.strings(table[source]).array for source in self.joined[name]]
            joined = pc.binary_join_element_wise(*texts, " ")
            return values.instants(joined, self._clock(name))
        source = self.sources.get(name)
        if name == "side" and self.mapping.sign is not None:
            return None
        if name == "side" and source is None and "is_buyer_maker" in self.sources:
            return values.sides(table[self.sources["is_buyer_maker"]], _MAKER)
        if source is None:
            return None
        column = table[source]
        if kind == INSTANT:
            return values.instants(column, self._clock(name))
        if name == "side":
            return values.sides(column, values.SIDES | dict(self.mapping.side))
        if kind == DECIMAL:
            return values.decimals(column, self._notation(name))
        if kind == pa.float64():
            return values.doubles(column, self._notation(name))
        if kind == pa.int64():
            return values.integers(column, self._notation(name))
        return values.flags(column) if kind == pa.bool_() else values.strings(column)

    def _clock(self, name: str) -> Clock:
        words = (self.mapping.timestamp_format, self.mapping.timestamp_unit, self.mapping.timezone)
        return Clock(*(said_of(word, self.channel, name) for word in words))

    def _notation(self, name: str) -> Notation:
        return Notation(
            said_of(self.mapping.scale, self.channel, name),
            said_of(self.mapping.round, self.channel, name),
            self.mapping.decimal,
            self.mapping.thousands,
        )

    def _spelled(self, name: str, texts: pa.Array) -> pa.Array:
        encoded = texts.dictionary_encode()
        spelled = [
            self.mapping.spelled(name, text.strip()) for text in encoded.dictionary.to_pylist()
        ]
        return pa.array([text or None for text in spelled], pa.string()).take(encoded.indices)

    def _named(self, name: str) -> str:
        """Return the source of a column, for a message."""
        if name in self.joined:
            return " and ".join(map(repr, self.joined[name]))
        if name == "side" and name not in self.sources:
            return repr(self.sources["is_buyer_maker"])
        return repr(self.sources.get(name, name))

    def _text(self, name: str, table: pa.Table, row: int) -> str:
        """Return what a row has in the source of a column."""
        if self.levels.get(name):
            return ""
        sources = self.joined.get(name) or [
            self.sources.get(name) or self.sources.get("is_buyer_maker", "")
        ]
        return " ".join(str(values.plain_value(table[source][row])) for source in sources).strip()

    def _teller(
        self, name: str, kind: pa.DataType, table: pa.Table
    ) -> Callable[[int], tuple[str, str]]:
        def tell(row: int) -> tuple[str, str]:
            text = self._text(name, table, row)
            is_said = f"{self._named(name)} is {_shown(text)}, which"
            if kind == INSTANT:
                error_type, why = values.why_not_a_time(text, self._clock(name))
                return error_type, f"{is_said} {why}"
            if name == "side" and name not in self.sources:
                return "BAD_SIDE", f"{is_said} is neither true nor false"
            if name == "side":
                example = json.dumps({"side": {text: "buy"}}, ensure_ascii=False)
                told = "is not buy or sell. Say what it is in the mapping, for example"
                return "BAD_SIDE", f"{is_said} {told} {example}"
            if kind == LEVELS:
                told = "a list of levels, each a price and a size, or an object from price to size"
                if self.levels.get(name):
                    return _KINDS[kind], f"a level of the {name} is not a price and a size"
                return _KINDS[kind], f"{is_said} is not {told}"
            if kind == DECIMAL:
                why = values.why_not_a_decimal(text, name, self._notation(name))
            else:
                why = _WHY[kind]
            return _KINDS[kind], f"{is_said} {why}"

        return tell


def make_plan(
    channel: str,
    names: Sequence[str],
    mapping: ColumnMapping,
    *,
    given: Sequence[str] = (),
    by_alias: bool = True,
    ignored: Sequence[str] = (),
    sample: Callable[[], Mapping[str, Sequence[str]]] | None = None,
) -> Plan:
    """Return what to do with a table of these columns.

    `given` are the partition columns whose value is known; columns that say them too are found so
    that they can be compared. Without `by_alias` only the mapping says what is what. `ignored`
    columns do not go to `extra`. `sample` returns some values of each column as text, which tell a
    likely column for one that is missing. Raises MissingColumnError and UnclearColumnsError.
    """
    wanted = mapping.of_channel(channel)
    aliases = ALIASES[channel]
    known = set(names)
    keys = CHANNELS[channel].names
    sources: dict[str, str] = {}
    joined: dict[str, tuple[str, ...]] = {}
    missing = []
    for target, source in wanted.items():
        if target not in (*aliases, *PARTITION) or source is None:
            continue
        absent = [
            name for name in ([source] if isinstance(source, str) else source) if name not in known
        ]
        if absent:
            missing.append(f"{target} ({absent[0]!r} of the mapping)")
        elif isinstance(source, str):
            sources[target] = source
        else:
            joined[target] = source
    for condition in mapping.where:
        if condition.column not in known:
            raise UnclearColumnsError(
                f"'where' of the mapping asks for a column {condition.column!r}, which is not "
                f"there. The columns are: {listed(names)}"
            )
    levels: dict[str, list[Level]] = {}
    if channel == "order_book":
        levels = {
            side: find_levels(side, names, wanted)
            for side in ("bids", "asks")
            if side not in wanted
        }
    taken = {*sources.values(), *(name for found in joined.values() for name in found)}
    taken |= {name for side in levels.values() for level in side for name in level.columns}
    looked_for = aliases | {name: PARTITION[name] for name in PARTITION if name in keys}
    by_name = {plain(name): name for name in reversed(names) if name not in taken}
    for target, others in looked_for.items() if by_alias else ():
        if target in wanted or levels.get(target):
            continue
        found = [alias for alias in dict.fromkeys(map(plain, others)) if alias in by_name]
        if not found:
            continue
        is_number = target in REQUIRED[channel] and COLUMNS[channel][target] == NUMBER
        if is_number and len(found) > 1 and found[0] != plain(target):
            _refuse_ambiguous(channel, target, [by_name[alias] for alias in found])
        sources[target] = by_name.pop(found[0])
        taken.add(sources[target])
    if "side" in sources and "is_buyer_maker" in sources:
        taken.discard(sources.pop("is_buyer_maker"))
    if mapping.sign is not None and channel == "trades":
        for name in {"side", "is_buyer_maker"} & sources.keys():
            taken.discard(sources.pop(name))
    found_ones = {*sources, *joined, *(side for side in levels if levels[side])}
    needed = [*REQUIRED[channel], *(name for name in keys if name not in given)]
    missing += [
        name for name in needed if name not in found_ones and wanted.get(name, None) is None
    ]
    if missing:
        target = missing[0].partition(" ")[0]
        free = [name for name in names if name not in taken or name == sources.get("ts_capture")]
        example = _likely(channel, target, free, sample() if sample else None)
        raise MissingColumnError(channel, missing, names, example or "")
    partition = {name: sources.pop(name) for name in PARTITION if name in sources}
    placed = {*taken, *ignored}
    return Plan(
        channel,
        sources,
        levels,
        {name: source for name, source in partition.items() if name not in given},
        [name for name in names if name not in placed],
        mapping,
        [name for name in REQUIRED[channel] if name not in _ONE_SIDED],
        {name: source for name, source in partition.items() if name in given},
        joined,
    )


def _refuse_ambiguous(channel: str, target: str, columns: Sequence[str]) -> None:
    listed = " and ".join(map(repr, columns))
    example = json.dumps({"columns": {target: columns[0]}}, ensure_ascii=False)
    raise UnclearColumnsError(
        f"The columns {listed} can each be the {target} of channel {channel}. Say which one is, in "
        f"the file of --config, for example {example}"
    )


def _likely(
    channel: str, target: str, names: Sequence[str], sample: Mapping[str, Sequence[str]] | None
) -> str | None:
    """Return the column that most likely is the one that is missing, None if none is likely."""
    kind = COLUMNS[channel].get(target)
    known = ALIASES[channel].get(target) or PARTITION.get(target) or (target,)
    words = {*map(plain, known)}
    if kind == TIME:
        words |= {"time", "date", "stamp"}

    def fits(name: str) -> bool:
        if sample is None or kind not in (TIME, NUMBER):
            return True
        texts = pa.array([*sample.get(name, ())], pa.string())
        found = values.instants(texts) if kind == TIME else values.doubles(texts)
        good = len(texts) - found.array.null_count
        # Dates of another format are times too: it is the name that tells.
        is_named = any(word in plain(name) for word in ("time", "date", "stamp"))
        return good > 0 or (kind == TIME and is_named)

    def likeness(name: str) -> float:
        text = plain(name)
        contained = max((len(word) for word in words if len(word) > 2 and word in text), default=0)
        ratio = max(difflib.SequenceMatcher(None, word, text).ratio() for word in words)
        return ratio + (0.5 if contained else 0)

    likely = [name for name in names[:_LIKELY] if fits(name)]
    if kind not in (TIME, NUMBER):  # any text could be it: only the name tells
        likely = [name for name in likely if likeness(name) > 0.7]
    return max(likely, key=likeness, default=None)


def deliver(
    plan: Plan,
    table: pa.Table,
    sink: "Sink",
    given: Mapping[str, str],
    describe: Callable[[int], Mapping[str, Any]],
    told: set[Fault] | None = None,
    agreement: Agreement | None = None,
) -> None:
    """Convert some rows and give them to the sink.

    `given` holds the partition values that no column has. `describe` returns where a row was, and
    its content. Faults that are `told` are not told again, as where rows go to two channels; those
    of these rows join them. `agreement` looks at the rows. Raises BrokenObjectError if it refuses.
    """
    wanted = plan.wanted(table)
    places = np.arange(table.num_rows)
    if not wanted.all():
        sink.skip("where", int((~wanted).sum()))
        table, places = table.filter(pa.array(wanted)), places[wanted]
    if agreement is not None:
        agreement.look(table)
    rows = plan.read(table)
    for fault in rows.faults:
        if told is None or fault not in told:
            sink.reject(fault.error_type, fault.message, **describe(int(places[fault.row])))
        else:
            sink.fold(1)
    if told is not None:
        told.update(rows.faults)
    for key, part in split(rows.table, list(plan.partition)):
        where = {**given, **key}
        if agreement is not None and plan.channel == "order_book":
            agreement.books(part)
        if agreement is not None and plan.channel == "klines":
            closes = part["close_time"] if "close_time" in part.column_names else None
            agreement.candles(
                where,
                part["open_time"].combine_chunks(),
                None if closes is None else closes.combine_chunks(),
            )
        if sink.symbols is not None and where.get("symbol") not in sink.symbols:
            sink.skip("other symbols", part.num_rows)
            continue
        for name in plan.extra:
            count = pc.sum(part[_IS_PRESENT + name]).as_py()
            if count:
                sink.extra(name, count)
        columns = [name for name in part.column_names if not name.startswith(_IS_PRESENT)]
        part = part.select([name for name in columns if name not in plan.partition])
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


def _first_faults(judged: Sequence[_Judged], by_rule: Sequence[Fault]) -> list[Fault]:
    """Return one fault for each bad row: of the first column that has one, else of a rule."""
    faults: dict[int, Fault] = {}
    for one in judged:
        for row in np.flatnonzero(one.bad).tolist():
            if row not in faults:
                faults[row] = Fault(row, *one.tell(row))
    for fault in by_rule:
        hint = next((hint for said, hint in _HINTS.items() if fault.message.startswith(said)), "")
        faults.setdefault(fault.row, Fault(fault.row, fault.error_type, fault.message + hint))
    return [faults[row] for row in sorted(faults)]


def _missing(flags: Flags, source: str, name: str, hint: str = "") -> _Judged:
    told = f"there is no {source} ({name}){hint}"
    return _Judged(flags, lambda _: ("MISSING_FIELD", told))


def _sides_of(sizes: pa.Array, sides: tuple[str, str]) -> pa.Array:
    """Return the side that the sign of each size tells, null for 0."""
    zero = pa.scalar(0, sizes.type)
    negative = pc.if_else(pc.less(sizes, zero), sides[1], pa.scalar(None, pa.string()))
    return pc.if_else(pc.greater(sizes, zero), sides[0], negative)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _TEXT_SHOWN else text[:_TEXT_SHOWN] + "...")


def _as_json(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return the values of some columns as JSON objects, null where all are missing."""
    pieces = [
        pc.binary_join_element_wise(f",{json.dumps(name)}:", _quoted(texts), "").fill_null("")
        for name, texts in columns.items()
    ]
    joined = pc.binary_join_element_wise(*pieces, "")
    objects = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(joined, 1), "}", "")
    return pc.if_else(pc.equal(joined, ""), None, objects)


def _quoted(texts: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(texts, _SPECIAL.pattern)).as_py():
        return pc.binary_join_element_wise('"', texts, '"', "")
    encoded = texts.dictionary_encode()
    quoted = [json.dumps(text, ensure_ascii=False) for text in encoded.dictionary.to_pylist()]
    return pa.array(quoted, pa.string()).take(encoded.indices)
