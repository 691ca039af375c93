"""How the Parquet files of tables are laid out: of what makes their bytes, the part they share."""

from typing import Final

ROW_GROUP: Final = 122_880
WRITER: Final = (
    f"format parquet, compression zstd, compression_level 1, row_group_size {ROW_GROUP}, "
    "write_bloom_filter false"
)
SAMPLE: Final = 4_096
"""Rows in order that show how a column of doubles is encoded best."""
IN_ORDER: Final = (
    f"{WRITER}, by pyarrow: text, decimals and doubles that repeat as dictionary, integers as "
    f"differences, other doubles in streams of bytes where {SAMPLE} rows get smaller, statistics "
    "but of text that is not ordered by"
)
"""What `writing.py` makes of rows in order: named here, so that a change builds them again."""
