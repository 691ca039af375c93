"""For Python models: a unit's own day, and what it may look back on, as Arrow tables.

A unit is computed with DuckDB's variable `unit_date` set to its date.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

PIECE = 1 << 20
"""Rows of a piece of a table. It streams: DuckDB's own table would be held twice for a while."""

PART = 1 << 14
"""Rows that are copied to where they are used, while the processor still holds them."""

CLOCK = "coalesce(ts_capture, ts_event)"
MIDNIGHT = "cast(getvariable('unit_date') as timestamptz)"

OWN = "date = getvariable('unit_date')"
EARLIER = "date < getvariable('unit_date')"
NAMED = ("exchange", "symbol")
"""Text that names partitions: mostly the same on all rows, and then not read from each."""


def own_day(rows: duckdb.DuckDBPyRelation, columns: Sequence[str]) -> pa.Table:
    """Return the rows of the unit's own date, in stored order."""
    named = [column for column in columns if column in NAMED]
    others = [column for column in columns if column not in NAMED]
    if named and others:
        found = rows.filter(OWN).project(", ".join(named)).distinct().limit(2).fetchall()
        if len(found) == 1 and None not in found[0]:
            table = _read(rows, OWN, others)
            for column, value in zip(named, found[0], strict=True):
                table = table.append_column(column, _repeated(value, len(table)))
            return table.select(list(columns))
    return _read(rows, OWN, columns)


def own_batches(rows: duckdb.DuckDBPyRelation, columns: Sequence[str]) -> pa.RecordBatchReader:
    """Return the rows of the unit's own date, in stored order, a part at a time."""
    return _reader(rows, OWN, columns, PART)


def day_before(rows: duckdb.DuckDBPyRelation, columns: Sequence[str]) -> pa.Table | None:
    """Return the rows of the date before, in stored order; None where there are none."""
    found = _read(rows, EARLIER, columns)
    return found if found.num_rows else None


def end_of_day_before(
    rows: duckdb.DuckDBPyRelation, columns: Sequence[str], seconds: int
) -> pa.Table | None:
    """Return the last `seconds` of the date before, and at least the one row before that.

    They are counted back from midnight, or from the unit's first row where that was received before
    midnight. More rows may come where the clock does not rise with `row_seq`. None where there is
    no row.
    """
    earlier = rows.filter(EARLIER)
    if earlier.project("row_seq").limit(1).fetchone() is None:  # the rest reads whole days
        return None
    start = rows.filter(OWN).aggregate(f"least({MIDNIGHT}, min({CLOCK}))")
    (moment,) = start.fetchone() or (None,)
    since = f"timestamptz '{moment}' - to_seconds({seconds})"
    young = f"{CLOCK} >= {since}"
    # Of equal times the last by seq is the one before, no seq before any.
    last = f"max_by(row_seq, ({CLOCK}, seq is not null, coalesce(seq, 0), row_seq))"
    first = earlier.aggregate(
        f"least(min(row_seq) filter ({young}), {last} filter (not ({young})))"
    )
    (row_seq,) = first.fetchone() or (None,)
    if row_seq is None:
        return None
    return _read(rows, f"{EARLIER} and row_seq >= {row_seq}", columns)


def last_row_of_day_before(
    rows: duckdb.DuckDBPyRelation, columns: Sequence[str]
) -> pa.Table | None:
    """Return the row of the date before with the highest `row_seq`; None where there is none."""
    earlier = rows.filter(EARLIER)
    (row_seq,) = earlier.aggregate("max(row_seq)").fetchone() or (None,)
    if row_seq is None:
        return None
    return _read(rows, f"{EARLIER} and row_seq = {row_seq}", columns)


def _repeated(value: str, count: int) -> pa.ChunkedArray:
    """Return a column of one value; its chunks share their memory."""
    piece = pa.repeat(pa.scalar(value, pa.string()), min(count, PIECE))
    chunks = [piece.slice(0, min(PIECE, count - first)) for first in range(0, count, PIECE)]
    return pa.chunked_array(chunks, pa.string())


def _read(rows: duckdb.DuckDBPyRelation, condition: str, columns: Sequence[str]) -> pa.Table:
    return _reader(rows, condition, columns, PIECE).read_all()


def _reader(
    rows: duckdb.DuckDBPyRelation, condition: str, columns: Sequence[str], batch_rows: int
) -> pa.RecordBatchReader:
    listed = ", ".join(f'"{column}"' for column in columns)
    return rows.filter(condition).project(listed).to_arrow_reader(batch_rows)
