"""The file of `--config`: what the rows of somebody's tables mean. docs/mapping.md has examples.

    {
      "columns": {"price": "px", "trades.ts_event": "T", "bid_price": "b{}_px", "trade_id": null},
      "timestamp_format": "%d/%m/%Y %H:%M:%S",
      "timezone": "America/New_York",
      "side": {"1": "buy", "2": "sell", "0": null},
      "scale": {"size": "1e-18"},
      "header": ["T", "px", "qty"]
    }

A column of a channel may be written with its channel, as `trades.price`, which wins over `price`.
Every word is checked when the file is read.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from ticklake.lake.errors import LakeError

Pairs = tuple[tuple[str, str], ...]
Columns = Mapping[str, Mapping[str, str]]
"""The columns that a mapping can name in each channel, and what each of them holds."""

TIME: Final = "time"
NUMBER: Final = "number"
OTHER: Final = "other"
"""What a column of a channel holds, for `Columns`."""

UNITS: Final = ("s", "ms", "us", "ns")
PARTITION: Final = ("exchange", "symbol", "interval")
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)")
_DECIMAL_MARKS: Final = (".", ",")
_DIGITS: Final = range(1, 39)
_DECIMALS: Final = range(13)  # of decimal(38, 12)


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a number is rounded, half to even: to decimals, or to significant digits."""

    decimals: int | None = None
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column of the source must hold in the rows that are wanted."""

    column: str
    values: tuple[str | None, ...]
    """Texts; None is a missing value."""
    is_not: bool = False
    """Whether it must hold anything but these."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What a mapping file says. Part of the ledger: with another mapping objects land again.

    If a word can be given per column, "" is the key of what holds for all columns.
    """

    columns: tuple[tuple[str, str | tuple[str, ...] | None], ...] = ()
    """The source column of a column; several whose texts are joined; None for no column at all."""
    timestamp_format: Pairs = ()
    timestamp_unit: Pairs = ()
    timezone: Pairs = ()
    side: tuple[tuple[str, str | None], ...] = ()
    sign: tuple[str, str] | None = None
    """The side of a trade with a positive size, and of one with a negative size."""
    scale: tuple[tuple[str, Decimal], ...] = ()
    round: tuple[tuple[str, Rounding], ...] = ()
    decimal: str = "."
    thousands: str = ""
    where: tuple[Condition, ...] = ()
    constants: Pairs = ()
    rename: tuple[tuple[str, Pairs], ...] = ()
    symbol_case: str | None = None
    sparse: bool = False
    """Whether candles without a trade are left out."""
    channel: str | None = None
    """What the rows are, whatever the names of the file and of its columns suggest."""
    streams: Pairs = ()
    header: tuple[str, ...] | bool | None = None
    """The names of the columns; True: the first line has them; False: they have none."""
    delimiter: str | None = None
    encoding: str | None = None
    skip_lines: int = 0
    member: str | None = None

    def of_channel(self, channel: str) -> dict[str, str | tuple[str, ...] | None]:
        """Return the source column of each column of a channel; what names the channel wins."""
        general = {name: source for name, source in self.columns if "." not in name}
        own = {
            name.partition(".")[2]: source
            for name, source in self.columns
            if name.startswith(f"{channel}.")
        }
        return general | own

    def constant(self, name: str) -> str | None:
        """Return the exchange, symbol or interval of all rows, None where it is not given."""
        return dict(self.constants).get(name)

    def spelled(self, name: str, value: str) -> str:
        """Return an exchange, symbol or interval as the mapping wants it to be written."""
        for renamed, pairs in self.rename:
            if renamed == name:
                value = dict(pairs).get(value, value)
        if name != "symbol" or self.symbol_case is None:
            return value
        return value.upper() if self.symbol_case == "upper" else value.lower()


NO_MAPPING: Final = ColumnMapping()


def said_of(pairs: Iterable[tuple[str, Any]], channel: str, column: str) -> Any:
    """Return what a word says of a column of a channel, None if it says nothing."""
    known = dict(pairs)
    names = (f"{channel}.{column}", column, "")
    return next((known[name] for name in names if name in known), None)


def read_mapping(path: str | None, channels: Columns) -> ColumnMapping:
    """Return what a file says. `channels` are the columns that each channel can be given.

    Raises LakeError if the file says anything that has no meaning.
    """
    if path is None:
        return NO_MAPPING
    try:
        content = json.loads(Path(path).read_bytes(), parse_float=Decimal)
    except OSError as error:
        raise LakeError(f"The mapping {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise LakeError(f"The mapping {path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise LakeError(f"The mapping {path} should be an object with {_listed(_WORDS)}.")
    for word in content:
        if word not in _WORDS:
            raise LakeError(f"The mapping {path} has {word!r}; it can have {_listed(_WORDS)}.")
    try:
        said = {
            word: _WORDS[word](value, channels)
            for word, value in content.items()
            if value is not None
        }
        mapping = ColumnMapping(**said)
        _check_together(mapping)
    except _UnclearError as error:
        raise LakeError(f"In the mapping {path}, {error}") from None
    return mapping


class _UnclearError(Exception):
    """What a word says has no meaning: the end of a sentence that begins with the file."""


def _columns(value: Any, channels: Columns) -> Any:
    pairs: list[tuple[str, str | tuple[str, ...] | None]] = []
    for name, source in _object("columns", value).items():
        kind = _kind_of("columns", name, channels)
        if isinstance(source, list) and source and all(isinstance(item, str) for item in source):
            if kind != TIME:
                raise _UnclearError(
                    f"'columns' gives several columns for {name!r}. Only times can be made of "
                    "several columns, such as a date and a time of day."
                )
            pairs.append((name, tuple(source)))
        elif source is None or isinstance(source, str):
            pairs.append((name, source))
        else:
            raise _UnclearError(
                "'columns' should be an object of texts: the name of a column of the file for each "
                "column of the channel, or null if the file has no such column."
            )
    return tuple(pairs)


def _timestamp_format(form: Any, _: str) -> str:
    told = (
        f"'timestamp_format' is {form!r}, which Python's strptime does not know. "
        "An example is %d/%m/%Y %H:%M:%S.%f, and %z is an offset such as +0100."
    )
    if not isinstance(form, str) or "%" not in form:
        raise _UnclearError(told)
    try:
        datetime.strptime(datetime(2001, 2, 3, tzinfo=UTC).strftime(form), form)
    except ValueError:
        raise _UnclearError(told) from None
    return form


def _timestamp_unit(unit: Any, _: str) -> str:
    if unit not in UNITS:
        raise _UnclearError(f"'timestamp_unit' is {unit!r}; it can be {_listed(UNITS)}.")
    return str(unit)


def _timezone(zone: Any, _: str) -> str:
    told = (
        f"'timezone' is {zone!r}. It should be a name of the IANA time zone database, such as "
        "America/New_York, or an offset such as +05:30."
    )
    if not isinstance(zone, str):
        raise _UnclearError(told)
    offset = _OFFSET.fullmatch(zone)
    if offset:
        if int(offset[2]) > 15 or int(offset[3]) > 59:
            raise _UnclearError(told)
        return f"{offset[1]}{offset[2]}:{offset[3]}"
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise _UnclearError(told) from None
    return zone


def _side(value: Any, _: Columns) -> Any:
    words = _object("side", value)
    if not all(side in ("buy", "sell", None) for side in words.values()):
        raise _UnclearError("the values of 'side' are buy, sell or null, for the word of each.")
    return tuple((word.lower(), side) for word, side in words.items())


def _sign(value: Any, _: Columns) -> tuple[str, str]:
    sides = _object("sign", value)
    if sides.keys() != {"positive", "negative"} or {*sides.values()} != {"buy", "sell"}:
        raise _UnclearError(
            "'sign' should say the side of positive and of negative sizes, for example "
            '{"positive": "buy", "negative": "sell"}.'
        )
    return sides["positive"], sides["negative"]


def _scale(factor: Any, name: str) -> Decimal:
    try:
        if isinstance(factor, bool) or not isinstance(factor, int | str | Decimal):
            raise InvalidOperation
        number = Decimal(factor)
        if not number.is_finite() or number <= 0:
            raise InvalidOperation
    except InvalidOperation:
        raise _UnclearError(
            f"'scale' of {name!r} is {factor!r}. It should be the positive number that values are "
            'multiplied by, for example "1e-9".'
        ) from None
    return number


def _round(to: Any, name: str) -> Rounding:
    if type(to) is int and to in _DECIMALS:
        return Rounding(decimals=to)
    digits = to["digits"] if isinstance(to, dict) and to.keys() == {"digits"} else None
    if type(digits) is int and digits in _DIGITS:
        return Rounding(digits=digits)
    raise _UnclearError(
        f"'round' of {name!r} is {to!r}. It should be a number of decimals from 0 to 12, or "
        '{"digits": 15} for significant digits, from 1 to 38.'
    )


def _decimal(mark: Any, _: Columns) -> str:
    if mark not in _DECIMAL_MARKS:
        raise _UnclearError(f"'decimal' is {mark!r}; it can be {_listed(_DECIMAL_MARKS)}.")
    return str(mark)


def _thousands(mark: Any, _: Columns) -> str:
    if not isinstance(mark, str) or len(mark) != 1 or mark.isalnum() or mark in "+-":
        raise _UnclearError(f"'thousands' is {mark!r}; it should be one character, such as ','.")
    return mark


def _where(value: Any, _: Columns) -> tuple[Condition, ...]:
    found = []
    for column, wanted in _object("where", value).items():
        is_not = isinstance(wanted, dict)
        if is_not and wanted.keys() != {"not"}:
            raise _UnclearError(
                f"'where' of {column!r} should be a value, a list of values, or "
                '{"not": ...} with one of these. null is a missing value.'
            )
        values = wanted["not"] if is_not else wanted
        values = values if isinstance(values, list) else [values]
        if not values or not all(
            item is None or isinstance(item, str | bool | int | Decimal) for item in values
        ):
            raise _UnclearError(f"'where' of {column!r} should have texts, numbers or null.")
        found.append(Condition(column, tuple(map(_as_text, values)), is_not))
    return tuple(found)


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _constants(value: Any, _: Columns) -> Pairs:
    return tuple(_texts("constants", _partition_object("constants", value)).items())


def _rename(value: Any, _: Columns) -> tuple[tuple[str, Pairs], ...]:
    return tuple(
        (name, tuple(_texts(f"rename.{name}", pairs).items()))
        for name, pairs in _partition_object("rename", value).items()
    )


def _symbol_case(case: Any, _: Columns) -> str:
    if case not in ("upper", "lower"):
        raise _UnclearError(f"'symbol_case' is {case!r}; it can be upper or lower.")
    return str(case)


def _sparse(value: Any, _: Columns) -> bool:
    if not isinstance(value, bool):
        raise _UnclearError(f"'sparse' is {value!r}; it should be true or false.")
    return value


def _channel(channel: Any, channels: Columns) -> str:
    if channel not in channels:
        raise _UnclearError(f"'channel' is {channel!r}; it can be {_listed(channels)}.")
    return str(channel)


def _streams(value: Any, channels: Columns) -> Pairs:
    streams = _texts("streams", value)
    for channel in streams.values():
        if channel not in channels:
            raise _UnclearError(f"the values of 'streams' are channels: {_listed(channels)}.")
    return tuple(streams.items())


def _header(names: Any, _: Columns) -> tuple[str, ...] | bool:
    if isinstance(names, bool):
        return names
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and name for name in names)
        or len(set(names)) < len(names)
    ):
        raise _UnclearError(
            "'header' should be a list of column names, each different; or false if the file has "
            "no header, so that its columns are column_1, column_2 and so on; or true if its first "
            "line is the header, whatever it looks like."
        )
    return tuple(names)


def _delimiter(mark: Any, _: Columns) -> str:
    if not isinstance(mark, str) or len(mark) != 1 or mark.isalnum() or mark in '"\r\n':
        raise _UnclearError(
            f"'delimiter' is {mark!r}; it should be one character, such as ; or | or \\t."
        )
    return mark


def _encoding(name: Any, _: Columns) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, TypeError):
        raise _UnclearError(
            f"'encoding' is {name!r}, which Python does not know. Examples are latin-1, cp1252 and "
            "utf-16."
        ) from None


def _skip_lines(count: Any, _: Columns) -> int:
    if type(count) is not int or count < 0:
        raise _UnclearError(
            f"'skip_lines' is {count!r}; it should be the number of lines before the header."
        )
    return count


def _member(glob: Any, _: Columns) -> str:
    if not isinstance(glob, str) or not glob:
        raise _UnclearError(
            f"'member' is {glob!r}; it should be the name of a file in a ZIP, or a pattern such as "
            "*trades*.csv."
        )
    return glob


def _said_by_column(
    word: str, parse: Callable[[Any, str], Any], kind: str, *, of_all: bool
) -> Callable[[Any, Columns], Any]:
    """Return the reader of a word that is said of some columns, or of all if `of_all`."""

    def read(value: Any, channels: Columns) -> Any:
        if of_all and not isinstance(value, dict):
            return (("", parse(value, "")),)
        found = []
        for name, item in _object(word, value).items():
            actual = _kind_of(word, name, channels)
            if actual != kind:
                raise _UnclearError(f"{word!r} has {name!r}, which is not a {kind}.")
            found.append((name, parse(item, name)))
        return tuple(found)

    return read


_WORDS: Final[dict[str, Callable[[Any, Columns], Any]]] = {
    "columns": _columns,
    "timestamp_format": _said_by_column("timestamp_format", _timestamp_format, TIME, of_all=True),
    "timestamp_unit": _said_by_column("timestamp_unit", _timestamp_unit, TIME, of_all=True),
    "timezone": _said_by_column("timezone", _timezone, TIME, of_all=True),
    "side": _side,
    "sign": _sign,
    "scale": _said_by_column("scale", _scale, NUMBER, of_all=False),
    "round": _said_by_column("round", _round, NUMBER, of_all=False),
    "decimal": _decimal,
    "thousands": _thousands,
    "where": _where,
    "constants": _constants,
    "rename": _rename,
    "symbol_case": _symbol_case,
    "sparse": _sparse,
    "channel": _channel,
    "streams": _streams,
    "header": _header,
    "delimiter": _delimiter,
    "encoding": _encoding,
    "skip_lines": _skip_lines,
    "member": _member,
}


def _check_together(mapping: ColumnMapping) -> None:
    if mapping.decimal == mapping.thousands:
        raise _UnclearError("'decimal' and 'thousands' are the same character.")
    if mapping.sign and mapping.of_channel("trades").get("side"):
        raise _UnclearError("'sign' and a column for 'side' both say the side: keep one of them.")
    both = dict(mapping.timestamp_format).keys() & dict(mapping.timestamp_unit).keys()
    if both:
        raise _UnclearError(
            "'timestamp_format' and 'timestamp_unit' are said of the same columns: keep one."
        )


def _kind_of(word: str, name: str, channels: Columns) -> str:
    """Return what a column holds. Raises _UnclearError if there is no such column."""
    channel, dot, column = name.rpartition(".")
    if dot:
        known = dict(channels.get(channel, {}))
    else:
        known = {key: kind for columns in channels.values() for key, kind in columns.items()}
    if column not in known:
        where = f"channel {channel!r} does not have" if dot else "no channel has"
        raise _UnclearError(
            f"{word!r} has a column {name!r}, which {where}. "
            f"There are {_listed(sorted(known or channels))}."
        )
    return known[column]


def _object(word: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _UnclearError(f"{word!r} should be an object of texts.")
    return value


def _partition_object(word: str, value: Any) -> dict[str, Any]:
    for name in _object(word, value):
        if name not in PARTITION:
            raise _UnclearError(f"{word!r} has {name!r}; it can have {_listed(PARTITION)}.")
    return dict(value)


def _texts(word: str, value: Any) -> dict[str, str]:
    found = _object(word, value)
    if not all(isinstance(item, str) and item for item in found.values()):
        raise _UnclearError(f"{word!r} should be an object of texts.")
    return found


def _listed(names: Any) -> str:
    return ", ".join(names)
