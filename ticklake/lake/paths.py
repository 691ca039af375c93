"""Hive-style partition paths.

A character of a value is percent-encoded if a file system forbids it, or if a reader of paths has a
use for it, as Spark, DuckDB and shells have for `# % : = ? * [ ] { }` and some more. Others stay as
they are, for readers that do not decode. `partition_key` reads either form: earlier versions
encoded more characters.
"""

import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from urllib.parse import quote, unquote

from ticklake.lake.errors import LakeError

Key = tuple[str, ...]
"""The values of a partition, in the order of the table's partition columns."""

LAYERS = ("compacted", "featured", "bars", "marts")
"""The folders of a lake that hold the tables which ticklake builds."""
RAW = "raw"
"""The folder that holds what loaders land."""

LONGEST_VALUE = 230
"""Bytes of an encoded value in a path. A file system takes 255 with the name of the column."""
FIRST_PRINTABLE = 0x20
PLAIN = "@$&+,;!()"
"""Printable ASCII that stays as it is, besides letters, digits and `_.-~`."""

BY_DAY = ("exchange", "date")
BY_SYMBOL = ("exchange", "symbol", "date")
MOVED = {
    f"{RAW}/funding_rates",
    f"{RAW}/mark_prices",
    "compacted/fill_trades",
    "compacted/funding_rates",
    "compacted/mark_prices",
}
"""Tables with all symbols in one partition a day, which earlier versions stored by symbol."""

CALENDAR = {"date": "", "month": "-01"}
"""Columns that say when, and what makes a day of their values."""

NO_VALUE = {"NULL", "__HIVE_DEFAULT_PARTITION__"}
"""What DuckDB reads as no value at all, unless a character of it is encoded."""


def partition_path(columns: Sequence[str], key: Key) -> str:
    """Return `exchange=hyperliquid/symbol=PURR%2FUSDC/...` for the values of a partition."""
    if not all(key):
        column = columns[next(index for index, value in enumerate(key) if not value)]
        raise LakeError(f"A partition needs a value for {column!r}, and got none.")
    return "/".join([f"{c}={_encoded(v)}" for c, v in zip(columns, key, strict=True)])


def partition_key(columns: Sequence[str], path: str) -> Key | None:
    """Return the values in a partition path, or None if it is not one of these columns.

    A `date` has to be a day as `2025-08-01`, a `month` one as `2025-08`.
    """
    parts = path.split("/")
    if len(parts) != len(columns):
        return None
    values = []
    for column, part in zip(columns, parts, strict=True):
        name, equals, value = part.partition("=")
        if name != column or not equals or not value:
            return None
        values.append(unquote(value))
        if column in CALENDAR and not _is_in_calendar(values[-1], CALENDAR[column]):
            return None
    return tuple(values)


def segment_key(location: str, columns: Sequence[str], folder: str) -> Key | None:
    """Return the partition of a raw table that a folder of it is of, None if it is of none.

    Segments of a table with all symbols in a partition may also lie by symbol.
    """
    key = partition_key(columns, folder)
    if key is None and location in MOVED and location.startswith(f"{RAW}/"):
        by_symbol = partition_key(BY_SYMBOL, folder)
        return by_symbol and project(BY_SYMBOL, by_symbol, columns)
    return key


def path_values(path: str) -> dict[str, str]:
    """Return the partition values in the path of a file."""
    pairs = (part.partition("=") for part in path.split("/")[:-1])
    return {name: unquote(value) for name, is_value, value in pairs if is_value}


@lru_cache(maxsize=1 << 16)
def _is_in_calendar(value: str, rest: str) -> bool:
    try:
        return date.fromisoformat(value + rest).isoformat() == value + rest
    except ValueError:
        return False


def unusable(value: str) -> str | None:
    """Return why a value cannot be the value of a partition column, or None if it can."""
    if not value:
        return "is empty"
    if any(ord(character) < FIRST_PRINTABLE for character in value):
        return "has a control character"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "is not valid Unicode"
    size = len(_encoded(value).encode())
    if size > LONGEST_VALUE:
        return f"is too long for the name of a folder: {size} bytes, of {LONGEST_VALUE} at most"
    return None


def spellings(column: str, value: str) -> list[str]:
    """Return how the folder of a value may be called, first as it is now."""
    return list(dict.fromkeys([f"{column}={_encoded(value)}", f"{column}={quote(value, safe='')}"]))


def project(columns: Sequence[str], key: Key, onto: Sequence[str]) -> Key:
    """Return the values of a key for some of its columns."""
    return tuple([key[columns.index(column)] for column in onto])


@lru_cache(maxsize=1 << 16)  # a lake has few values and names each of them very often
def _encoded(value: str) -> str:
    if value.upper() in NO_VALUE:
        return f"%{ord(value[0]):X}{quote(value[1:], safe='')}"
    if value.isascii():
        return quote(value, safe=PLAIN)
    # Some file systems store text in NFC whatever they were given, so other text is encoded.
    is_stable = unicodedata.is_normalized("NFC", value)
    return "".join(
        character
        if is_stable and not character.isascii() and character.isprintable()
        else quote(character, safe=PLAIN, errors="surrogatepass")
        for character in value
    )
