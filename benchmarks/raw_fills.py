"""Raw fills in bulk, written into a lake as landing does: the input of the build benchmarks.

Rows look like the real thing where it costs: taker orders of one coin that fill against several
makers (one hash and one user for all of them), a few busy coins and many quiet ones, and the
order of arrival inside a block.
"""

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa

from loaders.channels import CHANNELS
from ticklake.lake.segments import SegmentWriter

BATCH = 10_000
"""Rows that landing reads at a time, about."""

COLUMNS = """
    make_timestamp_ms(ms)::timestamptz as ts_event,
    make_timestamp_ns(ms * 1000000 + 113) as block_time,
    block_number,
    (row_number() over (partition by block_number order by fill, leg) - 1)::int as event_index,
    case when leg = taker_leg then '0x' || left(sha256((order_hash % 5000)::varchar), 40)
        else '0x' || left(sha256((fill_hash % 3000)::varchar), 40) end as "user",
    coin,
    printf('%.1f', 100 + coin_number * 10 + (ms // 1000 % 977) / 10.0) as px,
    printf('%.2f', 0.01 + (fill_hash % 9973) / 100.0) as sz,
    case when leg = 0 then 'B' else 'A' end as side,
    printf('%.2f', (fill_hash % 999983) / 100.0 - 5000 + leg) as "startPosition",
    ['Open Long', 'Close Long', 'Open Short', 'Close Short'][
        (1 + (fill_hash % 4 + leg) % 4)::int] as dir,
    case when (fill_hash % 2 + leg) % 2 = 0 then '0.0'
        else printf('%.6f', (fill_hash % 99991) / 1000.0 - 50) end as "closedPnl",
    '0x' || sha256(order_hash::varchar) as hash,
    (124534107521 + case when leg = taker_leg then order_hash % 100000000
        else fill_hash % 100000000 end)::bigint as oid,
    leg = taker_leg as crossed,
    printf('%.6f', (fill_hash % 7919) / 10000.0) as fee,
    (1 + fill_hash % 1125899906842623)::bigint as tid,
    'USDC' as "feeToken",
    case when (order_hash % 3 + leg) % 3 = 0 then '0x' || md5(fill_hash::varchar) end as cloid,
    null::varchar as builder,
    null::varchar as "builderFee",
    null::bigint as "twapId",
    null::varchar as "deployerFee",
    null::varchar as "priorityGas",
    null::struct("liquidatedUser" varchar, "markPx" varchar, "method" varchar) as liquidation,
    make_timestamp_ns(ms * 1000000 + 400000113) as local_time,
    null::varchar as extra
"""


def write_hour(
    root: Path, date: str, hour: int, rows: int, coins: int = 200, hours: int = 1
) -> Path:
    """Write one hour of raw fills as a segment (an even number of rows) and return its path.

    With `hours` the segment goes on for so many.
    """
    folder = root / f"raw/fills/exchange=hyperliquid/date={date}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"node_fills_by_block-{date.replace('-', '')}-{hour:02d}.parquet"
    fills = rows // 2
    with (
        tempfile.TemporaryDirectory(dir=root) as staging,
        duckdb.connect(config={"threads": 2, "memory_limit": "4GB"}) as connection,
    ):
        connection.execute("set timezone = 'UTC'")
        batches = connection.sql(
            f"""
                with fills as (
                    select
                        i as fill,
                        hash(i // 4, '{date}', {hour}) as order_hash,
                        hash(i, '{date}', {hour}) as fill_hash
                    from range({fills}) as numbers(i)
                ),
                orders as (
                    select
                        *,
                        (epoch_ms(timestamp '{date} 00:00:00') + {hour} * 3600000
                            + (fill // 4 * 4) * 3600000 * {hours} // {fills})::bigint as ms,
                        floor(power((order_hash % 1000003) / 1000003.0, 3) * {coins})::int
                            as coin_number,
                        (order_hash % 2)::int as taker_leg
                    from fills
                ),
                legs as (
                    select
                        *,
                        case when coin_number % 3 = 2 then '@' else 'COIN' end || coin_number
                            as coin,
                        681644297 + (ms - 1753920000000) // 75 as block_number
                    from orders
                )
                select {COLUMNS} from legs cross join (values (0), (1)) as sides(leg)
                order by fill, leg
            """
        ).to_arrow_reader(BATCH)
        writer = SegmentWriter(Path(staging))
        for batch in batches:
            writer.append(CHANNELS["fills"], ("hyperliquid",), pa.Table.from_batches([batch]))
        (segment,) = writer.finish()
        segment.file.rename(path)
    return path
