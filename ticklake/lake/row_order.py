"""Whether rows come in the order that a model declares, as DuckDB would sort them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.lake.specs import NULLS_FIRST


@dataclass(frozen=True, slots=True)
class RowOrder:
    """A total order by some columns: each row is behind the one before it.

    Nulls are last, and first in columns of `nulls_first`.
    """

    columns: Sequence[str]
    nulls_first: frozenset[str]

    @classmethod
    def of(cls, order_by: Sequence[str]) -> Self:
        """Take what a model's config says: names of columns, some of them `nulls first`."""
        names = [item.removesuffix(NULLS_FIRST) for item in order_by]
        first = (item.removesuffix(NULLS_FIRST) for item in order_by if item.endswith(NULLS_FIRST))
        return cls(names, frozenset(first))

    def check(self, rows: pa.Table, last: pa.Table | None) -> pa.Table:
        """Return the last of some rows, which is `last` of the next ones.

        Raises ValueError where a row is not behind the one before it.
        """
        rows = rows.select(self.columns)
        if last is not None:
            seam = pa.concat_tables([last.cast(rows.schema), rows.slice(0, 1)]).combine_chunks()
            self._refuse(seam, self._first_fall(seam))
        self._refuse(rows, self._first_fall(rows))
        return rows.slice(len(rows) - 1)

    def _first_fall(self, rows: pa.Table) -> int | None:
        """Return the first row that the next one is not behind."""
        is_same = np.ones(len(rows) - 1, np.bool_)  # as the next one in all columns so far
        falls = np.zeros(len(rows) - 1, np.bool_)
        for name in self.columns:
            if not is_same.any():
                break
            for keys in _keys(rows[name], nulls_first=name in self.nulls_first):
                falls |= is_same & (keys[1:] < keys[:-1])
                is_same &= keys[1:] == keys[:-1]
        falls |= is_same
        return int(falls.argmax()) if falls.any() else None

    def _refuse(self, rows: pa.Table, fall: int | None) -> None:
        if fall is None:
            return
        before, after = (
            ", ".join(str(rows[name][fall + step].cast(pa.string())) for name in self.columns)
            for step in (0, 1)
        )
        raise ValueError(
            f"rows do not come by {', '.join(self.columns)}: after {before} comes {after}. "
            "Return them in that order, or leave keeps_order out of the model's config."
        )


def _keys(column: pa.ChunkedArray, *, nulls_first: bool) -> list[npt.NDArray[Any]]:
    """Return numbers by which rows are in the order of a column: of nulls, then of values."""
    array = column.combine_chunks()
    if pa.types.is_string(array.type):
        array = array.dictionary_encode()
    if pa.types.is_dictionary(array.type):
        array = _ranks(array.dictionary).take(array.indices)
    elif not (pa.types.is_integer(array.type) or pa.types.is_timestamp(array.type)):
        array = pc.if_else(array.is_valid(), _ranks(array), None)
    values = array.cast(pa.int64())
    if not values.null_count:
        return [np.asarray(values)]
    is_null = np.asarray(values.is_null(), np.int64)
    return [-is_null if nulls_first else is_null, np.asarray(values.fill_null(0))]


def _ranks(array: pa.Array) -> pa.Array:
    return pc.rank(array, tiebreaker="dense").cast(pa.int64())
