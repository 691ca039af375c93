"""Places of a lake and of its DuckDB file: used, put aside, or refused in one sentence."""

import os
from pathlib import Path

import duckdb
import pytest

from ticklake.commands.sql import ask
from ticklake.lake.database import make_usable, refuse_name
from ticklake.lake.errors import LakeError
from ticklake.lake.root import open_lake
from ticklake.lake.storage import LocalStorage
from ticklake.lake.views import lake_views, layouts_with_files, views_of_another_lake


@pytest.mark.parametrize("folder", ["exchange=x", "date=2025-01-01", "back\\slash", "a*b", "o'dd"])
@pytest.mark.parametrize("below", ["", "/lake"])
def test_a_lake_is_not_where_a_reader_would_mistake_its_path(
    folder: str, below: str, tmp_path: Path
) -> None:
    with pytest.raises(LakeError, match=r"The lake cannot be in .*Choose another folder"):
        open_lake(f"{tmp_path}/{folder}{below}")
    with pytest.raises(LakeError, match="The lake cannot be in s3://"):
        open_lake(f"s3://bucket/{folder}{below}")


@pytest.mark.parametrize("folder", ["with space", "per%cent", "ünïcode", "#1", "a,b;c(d){e}", "@"])
def test_views_of_a_lake_work_whatever_else_its_path_has(folder: str, tmp_path: Path) -> None:
    storage = open_lake(str(tmp_path / folder))
    path = "compacted/ticks/exchange=a%2Fb/data.parquet"
    with storage.staging() as staging, duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as x) to '{staging}/data' (format parquet)")
        storage.publish(staging / "data", path)
        found = connection.sql(
            f"from read_parquet('{storage.url('compacted/ticks')}/exchange=*/data.parquet')"
        ).fetchall()
    assert found == [(1, "a/b")]


@pytest.mark.parametrize(
    "name", ["raw", "Compacted", "main", "temp", "system", "o'dd", 'o"dd', "marts"]
)
def test_a_duckdb_file_has_no_name_that_sql_would_mistake(name: str, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="A DuckDB file cannot be called"):
        refuse_name(str(tmp_path / f"{name}.duckdb"))


@pytest.mark.parametrize("how", ["empty", "text", "cut", "flipped"])
def test_a_file_that_is_no_database_is_put_aside(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "local.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table t as select range as x from range(300000)")
    content = file.read_bytes()
    spoiled = {
        "empty": b"",
        "text": b"time,price\n1,2\n",
        "cut": content[: len(content) // 2],
        "flipped": content[:4096] + bytes(8192) + content[12288:],
    }[how]
    file.write_bytes(spoiled)
    make_usable(str(file))
    assert not file.exists()
    assert (tmp_path / "local.duckdb.unreadable").read_bytes() == spoiled
    assert "is made again" in caplog.text
    duckdb.connect(str(file)).close()


def test_a_database_that_can_be_opened_keeps_what_it_has(tmp_path: Path) -> None:
    file = tmp_path / "local.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table of_a_user as select 1 as x")
    make_usable(str(file))
    with duckdb.connect(str(file)) as connection:
        assert connection.sql("from of_a_user").fetchall() == [(1,)]


def test_a_place_where_no_database_can_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="is a folder"):
        make_usable(str(tmp_path))
    with pytest.raises(LakeError, match="There is no folder"):
        make_usable(str(tmp_path / "none" / "local.duckdb"))


def test_views_of_another_lake_are_told_from_those_of_this_one(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path / "this"))
    for lake in ("this", "this_too"):
        path = tmp_path / lake / "compacted" / lake / "exchange=x" / "data.parquet"
        path.parent.mkdir(parents=True)
        duckdb.sql(f"copy (select 1 as x) to '{path}' (format parquet)")
    with duckdb.connect() as connection:
        connection.execute("create schema compacted")
        for lake in ("this", "this_too"):
            files = tmp_path / lake / "compacted" / lake / "exchange=*" / "data.parquet"
            connection.execute(f"create view compacted.{lake} as from read_parquet('{files}')")
        connection.execute("create view compacted.empty as select 1 as x where false")
        assert lake_views(connection, storage) == {"compacted/this": True, "compacted/empty": False}
        assert views_of_another_lake(connection, storage) == ["compacted/this_too"]
    tables = {"compacted/this": [["exchange"]], "compacted/empty": [["exchange"]]}
    assert layouts_with_files(storage, tables) == {"compacted/this": [["exchange"]]}
    os.remove(tmp_path / "this/compacted/this/exchange=x/data.parquet")
    assert layouts_with_files(storage, tables) == {}


def test_sql_refuses_views_of_another_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tmp_path / "a" / "compacted" / "trades" / "exchange=x" / "data.parquet"
    files.parent.mkdir(parents=True)
    duckdb.sql(f"copy (select 1 as x) to '{files}' (format parquet)")
    monkeypatch.setenv("TICKLAKE_DB", str(tmp_path / "one.duckdb"))
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute("create schema compacted")
        connection.execute(f"create view compacted.trades as from read_parquet('{files}')")
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "a"))
    assert "1" in ask("select count(*) from compacted.trades")
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "b"))
    with pytest.raises(LakeError, match=r"read another lake than .*`dbt run` makes them again"):
        ask("select count(*) from compacted.trades")
