"""A pipeline of small tables on the engine without dbt: many builds a second.

It has the shapes that matter: a unit wider than a partition (`ticks`), a look-back of a day
(`steps`), and many partitions that come together, with a fact about the next day (`totals`). Beside
these stands `candles`, by month.
"""

import dataclasses
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.lake import session as sessions
from ticklake.lake.inputs import read_files
from ticklake.lake.materialization import call
from ticklake.lake.quarantine import put_back, things_set_aside
from ticklake.lake.specs import InputSpec
from ticklake.lake.storage import Storage

RAW = {
    "exchange": "varchar",
    "date": "date",
    "symbol": "varchar",
    "ts_event": "timestamptz",
    "value": "bigint",
}
RAW_TICKS = InputSpec("raw_ticks", "raw/ticks", ("exchange", "date"), RAW, is_raw=True)
RAW_CANDLES = InputSpec(
    "raw_candles",
    "raw/candles",
    ("exchange", "symbol", "interval", "month"),
    {
        "exchange": "varchar", "symbol": "varchar", "interval": "varchar", "month": "varchar",
        "open_time": "timestamptz", "close": "bigint",
    },
    is_raw=True,
)  # fmt: skip
SOURCES = {"raw_ticks": RAW_TICKS, "raw_candles": RAW_CANDLES}
HIVE = (
    "hive_partitioning = true, "
    "hive_types = {'exchange': 'varchar', 'date': 'date', 'symbol': 'varchar'}"
)

MODELS: dict[str, dict[str, Any]] = {
    "ticks": {
        "sql": f"""
            select exchange, symbol, date, ts_event, value
            from ({read_files(RAW_TICKS)})
            where value <> 0""",
        "partition_by": ["exchange", "symbol", "date"],
        "unit_by": ["exchange", "date"],
        "order_by": ["ts_event", "value"],
        "columns": {"symbol": "varchar", **RAW},
        "inputs": {"raw_ticks": {}},
    },
    "steps": {
        "sql": f"""
            select exchange, symbol, date, ts_event, value * $factor as value,
                lag(value) over (partition by exchange, symbol order by ts_event, value) as previous
            from read_parquet(getvariable('in_ticks'), {HIVE})""",
        "partition_by": ["exchange", "symbol", "date"],
        "order_by": ["ts_event", "value"],
        "columns": {"symbol": "varchar", **RAW, "previous": "bigint"},
        "inputs": {"ticks": {"lookback": 1}},
    },
    "totals": {
        "sql": f"""
            select exchange, date, symbol, cast(sum(value) as bigint) as total,
                coalesce(list_contains(getvariable('closed_units'), 'exchange=' || exchange), false)
                    as is_closed
            from read_parquet(getvariable('in_steps'), {HIVE})
            group by exchange, date, symbol""",
        "partition_by": ["exchange", "date"],
        "order_by": ["symbol"],
        "columns": {
            "exchange": "varchar", "date": "date", "symbol": "varchar",
            "total": "bigint", "is_closed": "boolean",
        },
        "inputs": {"steps": {}},
        "unit_by": ["exchange", "date"],
        "closed_by": "steps",
        "time_column": None,
    },
    "candles": {
        "sql": f"select * exclude (segment, segment_row) from ({read_files(RAW_CANDLES)})",
        "partition_by": RAW_CANDLES.partition_by,
        "order_by": ["open_time"],
        "columns": RAW_CANDLES.columns,
        "inputs": {"raw_candles": {}},
        "time_column": "open_time",
    },
}  # fmt: skip
DAILY = ("ticks", "steps", "totals")
EVERYTHING = {"from": None, "to": None, "exchanges": None, "symbols": None}


class Pipeline:
    """The tables above in one lake."""

    def __init__(self, root: str, storage: Storage, connection: duckdb.DuckDBPyConnection) -> None:
        self.root, self.storage, self.connection = root, storage, connection

    def land(
        self, exchange: str, date: str, segment: str, rows: list[tuple[int, str, int]]
    ) -> None:
        """Write a segment of rows (second of the day, symbol, value)."""
        start = pa.scalar(f"{date}T00:00:00").cast(pa.timestamp("us")).value
        table = pa.table(
            {
                "symbol": [symbol for _, symbol, _ in rows],
                "ts_event": pa.array(
                    [start + second * 1_000_000 for second, _, _ in rows],
                    pa.timestamp("us", "UTC"),
                ),
                "value": pa.array([value for _, _, value in rows], pa.int64()),
            },
        )
        with self.storage.staging() as folder:
            pq.write_table(table, folder / "segment")
            self.storage.publish(folder / "segment", self._segment(exchange, date, segment))

    def land_candles(self, symbol: str, interval: str, month: str, days: list[int]) -> None:
        """Write the segment of a month of candles, one at the start of each of some days."""
        starts = pa.array([f"{month}-{day:02}T00:00:00" for day in days]).cast(pa.timestamp("us"))
        table = pa.table({"open_time": starts.cast(pa.timestamp("us", "UTC")), "close": days})
        folder = f"raw/candles/exchange=x/symbol={symbol}/interval={interval}/month={month}"
        with self.storage.staging() as staging:
            pq.write_table(table, staging / "segment")
            self.storage.publish(staging / "segment", f"{folder}/a.parquet")

    def touch(self, exchange: str, date: str, segment: str) -> None:
        """Write the same bytes again."""
        path = self._segment(exchange, date, segment)
        self.storage.write(path, self.storage.read(path))

    def remove(self, exchange: str, date: str, segment: str) -> None:
        self.storage.delete(self._segment(exchange, date, segment))

    def spoil(self, exchange: str, date: str, segment: str, how: str) -> None:
        """Make a segment one that cannot be used, or not as it is declared."""
        path = self._segment(exchange, date, segment)
        if how == "types":
            table = pa.table({"symbol": ["A"], "value": pa.array([0.5])})
            with self.storage.staging() as folder:
                pq.write_table(table, folder / "segment")
                self.storage.publish(folder / "segment", path)
            return
        content = bytearray(self.storage.read(path))
        if how == "cut":
            del content[len(content) // 2 :]
        elif how == "footer":
            start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
            content[start : start + 20] = b"\xff" * 20
        elif how == "page":
            content[4:40] = bytes(36)
        elif how == "empty":
            content.clear()
        self.storage.write(path, bytes(content))

    def put_back(self) -> None:
        """Put every segment in quarantine back to `raw/`."""
        for path in things_set_aside(self.storage, "raw/ticks"):
            put_back(self.storage, path)

    def build(
        self,
        *,
        factor: int = 2,
        full_refresh: bool = False,
        selection: Mapping[str, Any] = {},
        names: Sequence[str] = DAILY,
    ) -> dict[str, dict[str, Any]]:
        """Build some tables as one run; return what each reports."""
        invocation = uuid.uuid4().hex
        try:
            return {
                name: self._build(name, invocation, factor, full_refresh, selection)
                for name in names
            }
        finally:
            sessions.close_session()

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of every `data.parquet`."""
        return {
            entry.path: hashlib.sha256(self.storage.read(entry.path)).hexdigest()
            for entry in self.storage.entries("compacted")
            if entry.path.endswith("/data.parquet")
        }

    def forget(self) -> None:
        """Remove all built tables, as an operator who starts again from the raw segments."""
        for folder in ("compacted", "_cache"):
            for entry in list(self.storage.entries(folder)):
                self.storage.delete(entry.path)

    def _segment(self, exchange: str, date: str, segment: str) -> str:
        return f"raw/ticks/exchange={exchange}/date={date}/{segment}.parquet"

    def _build(
        self, name: str, invocation: str, factor: int, full_refresh: bool,
        selection: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        model = MODELS[name]
        sql = model["sql"].replace("$factor", str(factor))
        inputs = [
            dataclasses.asdict(SOURCES[source]) if source in SOURCES
            else {
                "name": source,
                "location": f"compacted/{source}",
                "partition_by": MODELS[source]["partition_by"],
                "columns": MODELS[source]["columns"],
                "is_raw": False,
                **options,
            }
            for source, options in model["inputs"].items()
        ]  # fmt: skip
        config = {
            key: model.get(key) for key in ("partition_by", "unit_by", "order_by", "closed_by")
        }
        config["time_column"] = model.get("time_column", "ts_event")
        config["keeps_order"] = False
        specification = specified(
            self.root, name, model["columns"], inputs, config,
            invocation=invocation, compiled_code=sql, code=sql,
            selection=EVERYTHING | selection, full_refresh=full_refresh,
        )  # fmt: skip
        result = run_model(self.connection, specification)
        if "error" in result:
            raise AssertionError(result["error"])
        return result


def specified(
    root: str, name: str, columns: Mapping[str, str], inputs: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any], **others: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return what Jinja says of a model: one in SQL without code, where nothing else is given."""
    return {
        "invocation": uuid.uuid4().hex, "root": root, "name": name, "language": "sql",
        "location": f"compacted/{name}", "columns": columns, "inputs": inputs, "seeds": {},
        "config": {"unit_by": None, "time_column": None, "closed_by": None, **config},
        "compiled_code": "", "code": "", "path": f"{name}.py", "full_refresh": False,
        "is_dry_run": False, "selection": EVERYTHING, **others,
    }  # fmt: skip


def run_model(
    connection: duckdb.DuckDBPyConnection, specification: Mapping[str, Any]
) -> dict[str, Any]:
    """Plan and build a model as `macros/materializations/lake.sql` does; return what it is told."""
    return dict(call(connection, "build_model", specification))
