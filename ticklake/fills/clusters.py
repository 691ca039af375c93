"""A segment in order of arrival, or in any other, as a copy whose rows are in order."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.hyperliquid.schema import RAW_SCHEMA
from ticklake.fills.columns import RAW_TYPES
from ticklake.fills.ordering import TIE_COLUMNS, in_order
from ticklake.fills.segments import ARRIVAL, Positions, Segment, text_ranks


def clustered(segment: Segment, file: Path, block: int, group: int) -> Segment:
    """Write a copy of a segment that is in order by blocks of about so many rows.

    It has row groups of `group` rows: of each sorted run, merging holds one in memory. Of each row
    it keeps where it was in the segment, for what arrived first. A row group of the segment that is
    larger than a block is a block.
    """
    schema = RAW_SCHEMA.append(pa.field(ARRIVAL, pa.int64()))
    waiting: list[pa.Table] = []
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd", compression_level=1) as writer:
        for number in segment.groups:
            rows = pa.table(dict(segment.read(number, RAW_TYPES)))
            arrival = np.arange(segment.bounds[number], segment.bounds[number + 1])
            waiting.append(rows.append_column(ARRIVAL, pa.array(arrival)))
            count += len(rows)
            if count >= block:
                _write_in_order(writer, waiting, group)
                waiting, count = [], 0
        if count:
            _write_in_order(writer, waiting, group)
    return Segment.opened(file, segment)


def _write_in_order(writer: pq.ParquetWriter, tables: list[pa.Table], group: int) -> None:
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    order = in_order(
        text_ranks(columns["coin"]),
        Positions.of(columns),
        lambda rows: {name: columns[name].take(pa.array(rows)) for name in TIE_COLUMNS},
    )
    for begin in range(0, len(table), group):
        writer.write_table(table.take(pa.array(order[begin : begin + group])).cast(writer.schema))
