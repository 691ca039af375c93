"""How the Parquet files of tables are laid out: of what makes their bytes, the part they share."""

from typing import Final

ROW_GROUP: Final = 122_880
WRITER: Final = (
    f"format parquet, compression zstd, compression_level 1, row_group_size {ROW_GROUP}, "
    "write_bloom_filter false"
)
REPEATING: Final = (
    r"(bid|ask)_(price|size)_\d+|best_(bid|ask)_size|spread(_raw)?|dmid|(mlofi|\w+_cum_depth)_l[1-3]"
    r"|(buy|sell|trade|signed)_volume|effective_spread"
)
"""Columns of doubles with few values, such as prices and sizes of levels: as a dictionary."""
CONTINUOUS: Final = (
    r"imbalance_l\d+|micro(price|_minus_mid)|\w+_(beta|lambda)(_r2)?|ofi_decay_\w+"
    r"|mlofi_decay_sum_\w+|ret_std_\w+|rel_spread_mean_\w+|\w+_vwap"
)
"""Columns of doubles with digits without end: zstd finds more in streams of their first bytes, of
their second bytes and so on. Other doubles are stored as they are."""
DELTA: Final = "DELTA_BINARY_PACKED"
SPLIT: Final = "BYTE_STREAM_SPLIT"
IN_ORDER: Final = (
    f"{WRITER}, by pyarrow: text, decimals and {REPEATING} as dictionary, integers and times by "
    f"{DELTA}, {CONTINUOUS} by {SPLIT}, statistics but of text that rows are not ordered by"
)
"""How `write_in_order` writes, in words: a change of them builds these tables again."""
