"""Features of the rows of a book, some rows at a time and in the order in which they are stored."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure.book import KEYS
from ticklake.microstructure.windows import Ints

Column = npt.NDArray[Any]

BATCH_ROWS: Final = 122_880
"""Rows of a batch: a row group. What a row holds does not depend on it."""


def feature_rows(
    schema: pa.Schema,
    keys: pa.Table,
    positions: Ints,
    columns: Callable[[slice], Mapping[str, Column]],
    to_arrow: Callable[[Column, pa.DataType], pa.Array],
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pa.RecordBatch]:
    """Yield the features of the rows named by `keys`, in their order.

    Each is at one of `positions` in the order of time. `columns` returns those of a run of that
    order. They are made when their turn comes, so that a day of all of them is never in memory.
    """
    keys = keys.cast(KEYS)
    own = [one for one in schema if one.name not in KEYS.names]
    for first in range(0, len(positions), batch_rows):
        places = positions[first : first + batch_rows]
        run = slice(int(places.min()), int(places.max()) + 1)
        found = columns(run)
        # Where the clock does not rise with the rows as stored, they are not a run.
        is_run = (np.diff(places) == 1).all()
        order = slice(None) if is_run else places - run.start
        arrays = [to_arrow(found[one.name][order], one.type) for one in own]
        of_rows = keys.slice(first, batch_rows).combine_chunks().columns
        yield pa.record_batch([*(one.chunk(0) for one in of_rows), *arrays], schema=schema)
