"""What each part of making features takes alone: `python -m benchmarks.feature_parts ROOT`.

`ROOT` is the folder of the benchmark of features, with what it has built.
"""

import hashlib
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.features import BEGIN, MODELS, PLACE, outputs_of
from ticklake.lake.connection import prepare
from ticklake.lake.days import own_batches, own_day
from ticklake.lake.storage import LocalStorage
from ticklake.lake.writing import ROW_GROUP, write_in_order
from ticklake.microstructure.book import columns_of, level_columns
from ticklake.microstructure.level_flows import Levels
from ticklake.microstructure.order_flow import LEVELS, order_flow
from ticklake.microstructure.trade_features import READ, Settings, trade_features

SQL = "target/compiled/ticklake/models/featured/book_features.sql"


def main(root: Path) -> None:
    """Print the parts in the order in which a run comes to them."""
    lake = root / "lake"
    connection = duckdb.connect()
    prepare(connection, LocalStorage(str(lake)))
    connection.execute(f"set variable unit_date = date '{BEGIN:%Y-%m-%d}'")
    book, trades = (relation(connection, lake, name) for name in ("order_book", "prints"))
    rows = connection.sql((root / SQL).read_text()).to_arrow_reader(ROW_GROUP)
    timed("book_features: SQL, with reading", lambda: deque(rows, 0))
    best = timed("order_flow: reading the best level", lambda: own_day(book, columns_of(1)))
    deeper = timed("order_flow: reading the levels behind", lambda: levels_behind(book))
    prints = timed("trade_flow: reading trades", lambda: own_day(trades, READ))

    def read(names: Sequence[str]) -> list[pa.RecordBatch]:
        return deeper.select(names).to_batches()

    def flow() -> None:
        deque(order_flow(best, None, levels=Levels(LEVELS, read)), 0)

    def volumes() -> None:
        deque(trade_features(best, prints, settings=Settings(bucket_volume=Decimal(100))), 0)

    flow(), volumes()  # loads what was compiled
    timed("order_flow: kernels", flow)
    timed("trade_flow: kernels", volumes)
    files = {model: lake / f"part-{model}" for model in MODELS}
    for model, table in outputs_of(lake).items():
        timed(f"{model}: encoding and writing", lambda: encode(table, files[model]))  # noqa: B023
        timed(f"{model}: hash of the file", lambda: sha256(files[model]))  # noqa: B023


def timed(name: str, work: Callable[[], Any]) -> Any:
    """Do some work, print what it took, and return what it returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    took = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:44s} {took[0]:8.2f} s {took[1]:8.2f} s")
    return done


def relation(
    connection: duckdb.DuckDBPyConnection, lake: Path, name: str
) -> duckdb.DuckDBPyRelation:
    """Return a partition as a model sees it."""
    file = f"{lake}/compacted/{name}/{PLACE}/data.parquet"
    connection.execute(f"set variable in_{name} = ['{file}']")
    return connection.sql(f"from read_parquet('{file}', hive_types = {{'date': date}})")


def levels_behind(book: duckdb.DuckDBPyRelation) -> pa.Table:
    """Read the levels behind the best."""
    names = [name for level in range(2, LEVELS + 1) for name in level_columns(level)]
    return own_batches(book, names).read_all()


def encode(table: pa.Table, file: Path) -> None:
    """Write a table of features as a build does."""
    write_in_order(table.schema, table.to_batches(), ["row_seq"], file)


def sha256(file: Path) -> str:
    """Return what publishing computes of a file."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
