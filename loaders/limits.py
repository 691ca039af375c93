"""How much of an object is read before it is refused, and the variables that raise the limits.

They guard against bombs: a few bytes that decompress to a full disk, millions of rows that are all
bad, a header of a million columns, a file without a line break. Ordinary files are far below them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ticklake.lake.errors import LakeError

_DIGITS: Final = 18
_SHOWN: Final = 20
_NAMES_SHOWN: Final = 40
_NAME_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit and the environment variable that raises it."""

    variable: str
    default: int

    @property
    def value(self) -> int:
        """The limit in force. Raises LakeError if the variable is not a positive integer."""
        text = os.environ.get(self.variable)
        if text is None:
            return self.default
        # Python refuses to read integers of more than 4,300 digits.
        if not text.isdecimal() or len(text) > _DIGITS or not int(text):
            shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
            raise LakeError(
                f"{self.variable} is {shown}. It should be a positive integer of at most "
                f"{_DIGITS} digits."
            )
        return int(text)

    def exceeded(self, what: str) -> str:
        """Return a sentence that says what was found, the limit, and how to raise it."""
        return f"{what}; the limit is {self.value:,}. {self.variable} raises it"


RATIO: Final = Limit("TICKLAKE_MAX_RATIO", 200)
"""Bytes of text per byte of a compressed object, looked at beyond RATIO_FROM bytes of text."""
RATIO_FROM: Final = Limit("TICKLAKE_MAX_RATIO_FROM", 256 << 20)
TEXT_BYTES: Final = Limit("TICKLAKE_MAX_TEXT_BYTES", 1 << 38)
"""Bytes of text of a compressed object, whatever the ratio."""
REJECTS: Final = Limit("TICKLAKE_MAX_REJECTS", 1_000_000)
"""Lines and rows of an object that are set aside one by one."""
REJECT_BYTES: Final = Limit("TICKLAKE_MAX_REJECT_BYTES", 256 << 20)
"""Bytes of an object that quarantine keeps: of its bad lines and rows, or of its own bytes."""
COLUMNS: Final = Limit("TICKLAKE_MAX_COLUMNS", 10_000)
LINE_BYTES: Final = Limit("TICKLAKE_MAX_LINE_BYTES", 64 << 20)


def bomb(compressed: int, text: int) -> str | None:
    """Return what is wrong if so few compressed bytes have become so much text."""
    if text > TEXT_BYTES.value:
        what = f"{compressed:,} bytes decompress to {text:,} or more"
        return TEXT_BYTES.exceeded(what)
    if text <= RATIO_FROM.value or text <= compressed * RATIO.value:
        return None
    ratio = text // max(compressed, 1)
    what = f"{compressed:,} bytes decompress to {text:,} or more, a ratio of {ratio:,}"
    return RATIO.exceeded(what)


def too_many_columns(count: int) -> str | None:
    """Return what is wrong if a table has so many columns."""
    return COLUMNS.exceeded(f"it has {count:,} columns") if count > COLUMNS.value else None


def listed(names: Sequence[str]) -> str:
    """Return names separated by commas: the first ones, and how many more there are."""
    shown = [
        name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}..."
        for name in names[:_NAMES_SHOWN]
    ]
    others = len(names) - len(shown)
    return ", ".join(shown) + (f" and {others:,} more" if others else "")
