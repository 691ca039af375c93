"""Decoded row groups beyond what memory may hold: in scratch files, read as they are needed."""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ticklake.fills.columns import Numbers
from ticklake.fills.row_groups import Column


class Mapped:
    """Columns whose arrays are in a file that has no name: it goes when nobody holds them."""

    def __init__(self, columns: Mapping[str, Column], folder: Path) -> None:
        with TemporaryFile(dir=folder) as file:
            places: dict[tuple[str, str], int] = {}
            for name, part, array in _arrays(columns):
                file.seek(-(-file.tell() // mmap.PAGESIZE) * mmap.PAGESIZE)
                places[name, part] = file.tell()
                file.write(np.ascontiguousarray(array).data)
            size = file.truncate(max(file.tell(), 1))
            # Private, so that arrays may be writable as before: loops are compiled for either.
            self._memory = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE)
        found: dict[str, dict[str, Any]] = {}
        for name, part, array in _arrays(columns):
            found.setdefault(name, {})[part] = self._view(array, places[name, part])
        self.columns: Mapping[str, Column] = {
            name: replace(column, **found[name]) if column and name in found else column
            for name, column in columns.items()
        }

    def leave_memory(self) -> None:
        """Keep nothing that was read in the memory of this process."""
        self._memory.madvise(mmap.MADV_DONTNEED)

    def _view(self, array: Numbers, place: int) -> Numbers:
        view = np.frombuffer(self._memory, array.dtype, array.size, place).reshape(array.shape)
        view.flags.writeable = array.flags.writeable
        return view


def _arrays(columns: Mapping[str, Column]) -> Iterator[tuple[str, str, Numbers]]:
    """Yield each array that has any bytes, with the names of its column and of its part in it."""
    for name, column in columns.items():
        for part in fields(column) if column else ():
            array = getattr(column, part.name)
            if isinstance(array, np.ndarray) and array.nbytes:
                yield name, part.name, array
