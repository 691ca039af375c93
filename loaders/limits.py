"""How much of an object is read before it is refused, and the variables that raise the limits.

They guard against bombs: a few bytes that decompress to a full disk, millions of rows that are all
bad, a header of a million columns, a file without a line break. Ordinary files are far below them.
"""

import os
from dataclasses import dataclass
from typing import Final

from ticklake.lake.errors import LakeError


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
        if not text.isdecimal() or not int(text):
            raise LakeError(f"{self.variable} is {text!r}. It should be a positive integer.")
        return int(text)

    def exceeded(self, what: str) -> str:
        """Return a sentence that says what was found, the limit, and how to raise it."""
        return f"{what}; the limit is {self.value:,}. {self.variable} raises it"


RATIO: Final = Limit("TICKLAKE_MAX_RATIO", 200)
"""Bytes of text per byte of a compressed object, looked at beyond RATIO_FROM bytes of text."""
RATIO_FROM: Final = Limit("TICKLAKE_MAX_RATIO_FROM", 256 << 20)
REJECTS: Final = Limit("TICKLAKE_MAX_REJECTS", 1_000_000)
"""Lines and rows of an object that are set aside one by one."""
REJECT_BYTES: Final = Limit("TICKLAKE_MAX_REJECT_BYTES", 256 << 20)
COLUMNS: Final = Limit("TICKLAKE_MAX_COLUMNS", 10_000)
LINE_BYTES: Final = Limit("TICKLAKE_MAX_LINE_BYTES", 64 << 20)


def bomb(compressed: int, text: int) -> str | None:
    """Return what is wrong if so few compressed bytes have become so much text."""
    if text <= RATIO_FROM.value or text <= compressed * RATIO.value:
        return None
    ratio = text // max(compressed, 1)
    what = f"{compressed:,} bytes decompress to {text:,} or more, a ratio of {ratio:,}"
    return RATIO.exceeded(what)


def too_many_columns(count: int) -> str | None:
    """Return what is wrong if a table has so many columns."""
    return COLUMNS.exceeded(f"it has {count:,} columns") if count > COLUMNS.value else None
