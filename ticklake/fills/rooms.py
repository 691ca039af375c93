"""Memory for batches, used again when nobody holds the batch any more.

New memory is cleared by the system first, which takes longer than to write to it.
"""

import weakref
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.fills.columns import Numbers


class Rooms:
    """Arrays that come back on their own, from whichever thread lets go of them last."""

    def __init__(self) -> None:
        self._spare: defaultdict[int, list[npt.NDArray[np.uint8]]] = defaultdict(list)

    def empty(self, count: int, kind: np.dtype[Any]) -> Numbers:
        """Return an array that holds anything.

        What is made of it, views and Arrow buffers, keeps it.
        """
        size = count * kind.itemsize
        power = max(size - 1, 0).bit_length()
        spare = self._spare[power]
        whole = spare.pop() if spare else np.empty(1 << power, np.uint8)
        # numpy's views of a view hold the whole only, but an Arrow buffer holds what it is made of.
        lent = whole[:size]
        weakref.finalize(lent, spare.append, whole)
        return np.frombuffer(pa.py_buffer(lent), kind)
