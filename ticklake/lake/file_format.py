"""How the Parquet files of tables are laid out: of what makes their bytes, the part they share."""

from typing import Final

ROW_GROUP: Final = 122_880
WRITER: Final = (
    f"format parquet, compression zstd, compression_level 1, row_group_size {ROW_GROUP}, "
    "write_bloom_filter false"
)
