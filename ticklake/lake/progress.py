"""How far a build is: on a terminal a line that is written anew, elsewhere a line now and then."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

EVERY_ON_TERMINAL: Final = 0.2  # seconds
EVERY: Final = 30.0
WIDTH: Final = 79
"""dbt's own lines are longer, so they cover ours."""


class Progress:
    """Counts the units of all models that are being built, and says so on `stream`."""

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._clock, self._lock = stream, clock, threading.Lock()
        self._done = self._all = self._rows = 0
        self._began = self._said = clock()

    def expect(self, units: int) -> None:
        """Take note of units that will be built."""
        with self._lock:
            if self._done == self._all:
                self._done = self._all = self._rows = 0
                self._began = self._said = self._clock()
            self._all += units

    def add(self, units: int, rows: int) -> None:
        """Take note of units that are done, or that could not be built."""
        with self._lock:
            self._done += units
            self._rows += rows
            now, stream = self._clock(), self._stream or sys.stderr
            is_terminal = stream.isatty()
            if is_terminal and self._done >= self._all:
                stream.write(f"{'':{WIDTH}}\r")
            elif now - self._said >= (EVERY_ON_TERMINAL if is_terminal else EVERY):
                self._said = now
                text = self._text(now - self._began)
                stream.write(f"{text:{WIDTH}.{WIDTH}}\r" if is_terminal else f"{text}\n")
            stream.flush()

    def _text(self, seconds: float) -> str:
        left = seconds * (self._all - self._done) / max(1, self._done)
        amount = f"{left:.0f} s" if left < 100 else f"{left / 60:.0f} min"
        return (
            f"{self._done:,} of {self._all:,} units, {self._rows:,} rows, "
            f"{self._rows / max(seconds, 1e-9):,.0f} a second, {amount} left"
        )


PROGRESS: Final = Progress()
"""That of this process."""
