"""The file of `--config`: what the columns of somebody's tables mean.

    {
      "columns": {"price": "px", "trades.ts_event": "T", "bid_price": "b{}_px"},
      "timestamp_format": "%d/%m/%Y %H:%M:%S",
      "side": {"1": "buy", "2": "sell", "0": null},
      "header": ["T", "px", "qty"]
    }

`columns` names the source column of a column of the channel, with the channel before a dot where
only that one is meant. `bid_price`, `bid_size`, `ask_price` and `ask_size` of an order book stand
for all its levels: `{}` is the level. `header` names the columns of a file that has no header.
Spools know `streams`, the channel of each stream or folder, and `symbol_case`, `upper` or `lower`.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ticklake.lake.errors import LakeError

Pairs = tuple[tuple[str, str], ...]

_KEYS: Final = ("columns", "timestamp_format", "side", "header", "streams", "symbol_case")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What a mapping file says. Part of the ledger: with another mapping objects land again."""

    columns: Pairs = ()
    timestamp_format: str | None = None
    side: tuple[tuple[str, str | None], ...] = ()
    header: tuple[str, ...] | None = None
    streams: Pairs = ()
    symbol_case: str | None = None

    def of_channel(self, channel: str) -> dict[str, str]:
        """Return the source column of each column of a channel; what names the channel wins."""
        general = {name: source for name, source in self.columns if "." not in name}
        own = {
            name.partition(".")[2]: source
            for name, source in self.columns
            if name.startswith(f"{channel}.")
        }
        return general | own

    def spelled(self, symbol: str) -> str:
        """Return a symbol in the case that the mapping asks for."""
        if self.symbol_case is None:
            return symbol
        return symbol.upper() if self.symbol_case == "upper" else symbol.lower()


NO_MAPPING: Final = ColumnMapping()


def read_mapping(path: str | None, channels: dict[str, set[str]]) -> ColumnMapping:
    """Return what a file says. `channels` are the columns that each channel can be given.

    Raises LakeError where the file says what nobody understands.
    """
    if path is None:
        return NO_MAPPING
    try:
        content = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise LakeError(f"The mapping {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise LakeError(f"The mapping {path} is no JSON: {error}.") from None
    if not isinstance(content, dict):
        raise LakeError(f"The mapping {path} should be an object with {_listed(_KEYS)}.")
    for key in content:
        if key not in _KEYS:
            raise LakeError(f"The mapping {path} has {key!r}; it can have {_listed(_KEYS)}.")
    columns = _texts(path, content, "columns")
    for name in columns:
        channel, dot, column = name.rpartition(".")
        known = channels.get(channel, set()) if dot else set().union(*channels.values())
        if column not in known:
            raise LakeError(
                f"The mapping {path} has a column {name!r}, which "
                f"{f'channel {channel!r}' if dot else 'no channel'} has. "
                f"There are {_listed(sorted(known or channels))}."
            )
    side = _texts(path, content, "side", or_null=True)
    for value in side.values():
        if value not in ("buy", "sell", None):
            raise LakeError(f"In 'side' of the mapping {path} values are buy, sell or null.")
    streams = _texts(path, content, "streams")
    for channel in streams.values():
        if channel not in channels:
            raise LakeError(
                f"In 'streams' of the mapping {path} values are channels, {_listed(channels)}."
            )
    return ColumnMapping(
        tuple(columns.items()),
        _format(path, content.get("timestamp_format")),
        tuple((word.lower(), value) for word, value in side.items()),
        _header(path, content.get("header")),
        tuple(streams.items()),
        _case(path, content.get("symbol_case")),
    )


def _texts(path: str, content: dict[str, Any], key: str, *, or_null: bool = False) -> Any:
    found = content.get(key, {})
    if not isinstance(found, dict) or not all(
        isinstance(value, str) or (or_null and value is None) for value in found.values()
    ):
        raise LakeError(f"In the mapping {path} {key!r} should be an object of texts.")
    return found


def _format(path: str, form: Any) -> str | None:
    if form is None:
        return None
    try:
        datetime.strptime(datetime(2001, 2, 3).strftime(form), form)
    except (TypeError, ValueError):
        raise LakeError(
            f"In the mapping {path} 'timestamp_format' is {form!r}, which Python's strptime does "
            "not know. An example is %d/%m/%Y %H:%M:%S.%f."
        ) from None
    return str(form)


def _header(path: str, names: Any) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LakeError(f"In the mapping {path} 'header' should be a list of column names.")
    return tuple(names)


def _case(path: str, case: Any) -> str | None:
    if case not in ("upper", "lower", None):
        raise LakeError(f"In the mapping {path} 'symbol_case' is upper or lower.")
    return None if case is None else str(case)


def _listed(names: Any) -> str:
    return ", ".join(names)
