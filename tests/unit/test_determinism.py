"""Which queries a passed test may be remembered for."""

from collections.abc import Iterator

import duckdb
import pytest

from ticklake.lake.determinism import functions_of, reads_only_the_lake


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("""
            create schema compacted;
            create table main.own (x int);
            create view compacted.trades as from range(3) as r(x);
            create view sound as select x + 1 as y from compacted.trades;
            create view late as select * from sound where y < epoch(now());
            create macro later(x) as x > current_date;
            create macro twice(x) as 2 * abs(x);
        """)
        yield connection


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from compacted.trades",
        "with a as (select 1 as x), b as (select * from a) select * from b join a using (x)",
        "with recursive t(n) as (select 1 union all select n + 1 from t where n < 3) from t",
        "select * from (select * from read_parquet(getvariable('in_trades'), filename = true)) "
        "where price * size > 0 and side in ('buy', 'sell') and not (x is null)",
        "select max(y), first(y order by y) over () from sound group by y having count(*) > 1",
        "select twice(x), age(x::timestamp, timestamp '2025-01-01') from compacted.trades",
        "select unnest(range(3)), [i * 2 for i in range(4)], date_trunc('day', x), x::date "
        "from range(4) as r(i), compacted.trades",
        "select case when x > 0 then 1 else error('negative') end from compacted.trades",
        "select list_contains(getvariable('closed_units'), 'exchange=x')",
        "select struct_pack(a := 1), quantile_cont(x, 0.5), strftime(x::date, '%Y') from sound "
        "qualify row_number() over (order by y) = 1",
    ],
)
def test_a_function_of_the_lake_may_be_remembered(
    query: str, connection: duckdb.DuckDBPyConnection
) -> None:
    assert reads_only_the_lake(connection, query, {"compacted.trades"}, functions_of(connection))


@pytest.mark.parametrize(
    "query",
    [
        "select now()",
        "select * from compacted.trades where x::date = current_date",
        "select CURRENT_TIMESTAMP, localtimestamp",
        "select get_current_timestamp(), today(), uuid(), gen_random_uuid()",
        "select * from compacted.trades where random() < 0.1",
        "select age(x::timestamp) from compacted.trades",
        "select * from compacted.trades tablesample 10%",
        "select * from compacted.trades using sample 3",
        "select * from read_csv('x.csv')",
        "select * from read_parquet('x.parquet')",
        "select * from 'x.parquet'",
        "select * from glob('*')",
        "select * from own",
        "select * from main.own",
        "select * from elsewhere.trades",
        "select * from late",
        "select * from compacted.trades where later(x)",
        "select getvariable('threshold')",
        "select current_setting('threads')",
        "select current_database()",
        "with a as (select now()) select 1 from a",
        "select (select max(x) from own) from compacted.trades",
        "no SQL at all",
        "select * from duckdb_tables()",
    ],
)
def test_what_reads_anything_else_is_not_remembered(
    query: str, connection: duckdb.DuckDBPyConnection
) -> None:
    assert not reads_only_the_lake(
        connection, query, {"compacted.trades"}, functions_of(connection)
    )
