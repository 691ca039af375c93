"""The fast reading of lines: those that are written like a line read before.

A machine writes all events of a stream alike: the same fields in the same order, with the same
white space. So a line that was read exactly gives a pattern, its shape, in which only the values
are left open, each in its usual writing. What matches it whole is a line that `records` would read
to the same row; anything else is left to `records`.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from loaders.capture.fields import PREFIX, TIME, Kind, Row
from loaders.capture.records import Record, event_type

_SYMBOL: Final = rb'"([!#-\[\]-~]+)"'
_STREAM: Final = rb'"[!#-?A-\[\]-~]+'  # up to the @
_SCALAR: Final = rb'"[ !#-\[\]-~]*"|(?:[1-9][0-9]{0,17}|0)(?:\.[0-9]{1,18})?|true|false'
_NEVER: Final = rb"(?:(?!)())?"
"""A group that takes no part in a match: None, for what an event type does not have."""
_SYMBOL_ROLE: Final = "<symbol>"
_CAPTURE_ROLE: Final = "<capture>"
"""What groups are that are no field."""


@dataclass(slots=True)
class Shape:
    """How some lines are written."""

    pattern: re.Pattern[bytes]
    kind: Kind
    order: tuple[int, ...]
    """The group of each value of the row."""
    names: tuple[str, ...]
    """Fields that go to `extra`."""
    groups: tuple[int, ...]
    """The group of each of them."""
    template: bytes
    """The text of `extra`, with a place for each value."""
    is_spaced: bool
    """Whether there is a blank after each comma and colon."""
    matches: int = field(default=0, compare=False)

    def read(self, line: bytes) -> Row | None:
        """Return the row of a line, None where it is written otherwise."""
        match = self.pattern.fullmatch(line)
        if match is None:
            return None
        row = match.group(*self.order)
        if self.groups:
            row = (*row[:-1], self.template % match.group(*self.groups))
        if self.is_spaced and self.kind.startswith("depth"):
            *others, bids, asks, extra = row
            row = (*others, bids.replace(b", ", b","), asks.replace(b", ", b","), extra)
        self.matches += 1
        return row


def learn(line: bytes, record: Record) -> Shape | None:
    """Return the shape of a line that `records` read as one event, None where it has none."""
    if record.symbol is None:
        return None
    prefix = re.match(PREFIX, line)
    content = json.loads(line[prefix.end() :] if prefix else line)
    for is_spaced in (False, True):
        shape = _Writer(is_spaced).shape(content, record, has_prefix=prefix is not None)
        if shape is not None and shape.read(line) == record.row:
            shape.matches = 0
            return shape
    return None


class _Writer:
    """Writes the pattern of a line, and remembers which group is what."""

    def __init__(self, is_spaced: bool) -> None:
        self._is_spaced = is_spaced
        self._comma, self._colon = (b", ", b": ") if is_spaced else (b",", b":")
        self._groups: list[str] = []

    def shape(self, content: Any, record: Record, *, has_prefix: bool) -> Shape | None:
        prefix = self._group(_CAPTURE_ROLE, PREFIX) if has_prefix else b""
        is_wrapped = type(content) is dict and "data" in content and "stream" in content
        event = content["data"] if is_wrapped else content
        stream = content["stream"] if is_wrapped and type(content["stream"]) is str else ""
        kind = event_type(event, stream) if type(event) is dict else None
        if kind is None or "lastUpdateId" in event:
            return None
        types = {item.name: item.type.pattern for item in kind.fields if item is not None}
        time = next((name for name in kind.times if name in event), None)
        if time is not None:
            types[time] = TIME.pattern
        unknown = [name for name in event if name not in kind.names]
        if any(not re.fullmatch(r"[A-Za-z_]+", name) for name in event):
            return None

        def value(name: str) -> bytes:
            if name == "e":
                return json.dumps(event["e"]).encode()
            if name == "X":
                return b'"MARKET"'
            if name == "s":
                return self._group(_SYMBOL_ROLE, _SYMBOL)
            if name in types:
                return self._group(name, types[name])
            if name in unknown:
                return self._group(name, b"(" + _SCALAR + b")")
            return b"(?:" + _SCALAR + b")"

        if not is_wrapped:
            pattern = self._object({name: value(name) for name in event})
        elif list(content) == ["stream", "data"] and "@" in content["stream"]:
            rest = re.escape(content["stream"].partition("@")[2].encode())
            stream = _STREAM + b"@" + rest + b'"'
            inner = self._object({name: value(name) for name in event})
            pattern = self._object({"stream": stream, "data": inner})
        else:
            return None
        roles = [_SYMBOL_ROLE, _CAPTURE_ROLE, time or _CAPTURE_ROLE]
        roles += [item.name if item is not None else "" for item in kind.fields]
        return Shape(
            re.compile(prefix + pattern + _NEVER),
            record.kind,
            tuple(self._place(role) for role in [*roles, ""]),
            tuple(unknown),
            tuple(self._place(name) for name in unknown),
            b"{" + b",".join(b'"%b":%%b' % name.encode() for name in unknown) + b"}",
            self._is_spaced,
        )

    def _group(self, role: str, pattern: bytes) -> bytes:
        self._groups.append(role)
        return pattern

    def _object(self, members: dict[str, bytes]) -> bytes:
        written = [b'"%b"%b%b' % (name.encode(), self._colon, members[name]) for name in members]
        return rb"\{" + self._comma.join(written) + rb"\}"

    def _place(self, role: str) -> int:
        """Return the number of a group, or of the one that never matches."""
        return 1 + (self._groups.index(role) if role in self._groups else len(self._groups))
