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
    f"{WRITER}, by pyarrow: text and decimals that repeat as dictionary, integers as differences, "
    f"doubles as dictionary where {SAMPLE} rows repeat and get a fifth larger at most, else in "
    "streams of bytes where these get smaller, statistics but of text that is not ordered by"
)
"""What `writing.py` makes of rows in order: named here, so that a change builds them again."""
