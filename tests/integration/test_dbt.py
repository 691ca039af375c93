"""The materialization as dbt runs it, on the small project in `tests/project`."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from tests import commands
from tests.conftest import Lake
from tests.integration.pipeline import Pipeline

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = REPOSITORY / "tests" / "project"


@dataclass
class Project:
    """The test project on one lake, run as an operator runs it: in a process of its own."""

    lake: Lake
    folder: Path
    models: Path = PROJECT
    env: dict[str, str] = field(default_factory=dict)

    def dbt(self, *arguments: str, expect: int = 0, **env: str) -> str:
        return self.run(["dbt", "--no-use-colors", *arguments], expect, env)

    def plan(self, *arguments: str) -> str:
        return self.run(["ticklake", "plan", *arguments], 0, {})

    def run(self, command: Sequence[str], expect: int, env: dict[str, str]) -> str:
        places = {"DBT_PROFILES_DIR": str(REPOSITORY), **commands.places(self.folder)}
        known = {**os.environ, **self.lake.env, **places, **self.env, **env}
        finished = commands.run(command, self.models, known)
        assert finished.returncode == expect, finished.output
        return finished.output

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.folder / "test.duckdb"), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql).fetchall()

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.lake.root, self.lake.storage, duckdb.connect())


@pytest.fixture
def project(lake: Lake, tmp_path: Path) -> Project:
    project = Project(lake, tmp_path)
    land_two_days(project)
    return project


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project on a local lake, where the place makes no difference."""
    from tests.conftest import _lake_at

    project = Project(_lake_at(str(tmp_path / "lake"), {}, monkeypatch), tmp_path)
    land_two_days(project)
    return project


def land_two_days(project: Project) -> None:
    for date in ("2025-01-01", "2025-01-02"):
        project.pipeline.land("x", date, "a", [(1, "A", 1), (2, "B/C", 2), (3, "A", 0)])


def test_build_then_nothing_then_late_data_then_full_refresh(project: Project) -> None:
    first = project.dbt("build")
    assert "compacted.ticks" in first
    assert "4 built, 0 dropped, 0 unchanged, 4 rows" in first
    again = project.dbt("build")
    assert again.count("0 built, 0 dropped") == 5
    project.pipeline.land("x", "2025-01-01", "late", [(9, "A", 7)])
    late = project.dbt("build")
    assert "1 built, 0 dropped, 2 unchanged, 1 recomputed to the same bytes, 3 rows" in late
    incremental = project.pipeline.hashes()
    project.dbt("build", "--full-refresh")
    assert project.pipeline.hashes() == incremental


def test_a_build_killed_after_any_partition_continues_to_the_same_bytes(local: Project) -> None:
    for after in (1, 4, 7, 11):
        local.dbt("run", expect=9, TICKLAKE_DIE_AFTER=str(after))
        local.pipeline.land("x", "2025-01-02", f"more{after}", [(after, "D", after)])
    local.dbt("build")
    incremental = local.pipeline.hashes()
    assert incremental
    assert not local.lake.storage.find("_staging")
    local.pipeline.forget()
    local.dbt("build")
    assert local.pipeline.hashes() == incremental


def test_a_plan_says_what_and_why_and_does_nothing(local: Project) -> None:
    plan = local.plan()
    assert "compacted/ticks: 2 to build, 0 to drop, 0 unchanged" in plan
    assert "build exchange=x/date=2025-01-01  (missing)" in plan
    assert not local.pipeline.hashes()
    local.dbt("seed")
    local.dbt("run")
    assert "to build" in local.plan()
    assert local.plan("-s", "totals").startswith("compacted/totals: 0 to build")  # reads a seed
    assert all(": 0 to build" in line for line in local.plan().splitlines())
    local.pipeline.land("x", "2025-01-02", "a", [(1, "A", 5)])
    path = next(path for path in local.pipeline.hashes() if "ticks/" in path and "-01-01" in path)
    local.lake.storage.write(path, b"not Parquet")
    plan = local.plan("--vars", "{factor: 3}")
    assert "build exchange=x/date=2025-01-02  (input changed)" in plan
    assert "build exchange=x/date=2025-01-01  (damaged: data.parquet has 11 bytes" in plan
    assert "build exchange=x/symbol=A/date=2025-01-01  (code changed)" in plan
    local.pipeline.remove("x", "2025-01-01", "a")
    assert "drop  exchange=x/symbol=A/date=2025-01-01  (its inputs are gone)" in local.plan()
    assert "No lake model was selected." in local.plan("--select", "nothing")
    without_select = local.run(["ticklake", "plan", "ticks"], 1, {})
    assert "unexpected extra argument (ticks)" in without_select


def test_vars_narrow_a_build_to_days_exchanges_and_symbols(local: Project) -> None:
    local.pipeline.land("y", "2025-01-01", "a", [(1, "A", 1)])
    local.dbt("build", "--vars", "{from: 2025-01-01, to: 20250101, exchanges: [x], symbols: [A]}")
    built = local.pipeline.hashes()
    assert built
    assert all("exchange=x" in path and "date=2025-01-01" in path for path in built)
    assert {path for path in built if "/steps/" in path} == {
        "compacted/steps/exchange=x/symbol=A/date=2025-01-01/data.parquet"
    }
    assert "stale outside the selection" in local.dbt(
        "run", "--vars", "{from: 2025-01-02}", "-s", "ticks"
    )
    local.dbt("build")
    whole = local.pipeline.hashes()
    assert built.items() - whole.items() == {
        item for item in built.items() if "/totals/" in item[0]
    }  # a later day closes the one that was built alone


def test_names_in_vars_that_nothing_has_are_a_warning_that_lists_what_there_is(
    local: Project,
) -> None:
    names = "{exchanges: [x, exx], symbols: [A, ab]}"
    output = " ".join(local.dbt("run", "-s", "ticks steps", "--vars", names).split())
    assert "has the exchange exx, which the var `exchanges` names" in output
    assert "There is x." in output
    assert "has the symbol ab, which the var `symbols` names" in output
    known = ("run", "-s", "ticks", "--vars", "{exchanges: [x]}")
    assert "Nothing that these models read" not in local.dbt(*known)


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ("{from: 2025-01-02, to: 2025-01-01}", "The var `to` is 2025-01-01, before `from`"),
        ("{from: soon}", "The var `from` is soon, which is no day like 2025-08-01"),
    ],
)
def test_vars_that_are_no_days_are_an_error(local: Project, days: str, message: str) -> None:
    assert message in local.dbt("run", "--vars", days, expect=1)


def test_changed_code_rebuilds_what_it_makes(local: Project) -> None:
    local.dbt("build")
    output = local.dbt("run", "--vars", "{factor: 3}")
    assert "4 built, 0 dropped, 0 unchanged, 4 rows" in output
    assert output.count("0 built, 0 dropped") == 3


def test_a_test_fails_until_its_data_are_mended_and_then_reads_them_no_more(
    edited: Callable[[str, str, str], "Project"],
) -> None:
    project = edited(
        "tests/assert_totals_equal_steps.sql", "where steps", "where steps.total > 9 or steps"
    )
    project.dbt("build")
    project.pipeline.land("x", "2025-01-03", "a", [(1, "A", 50)])
    for _ in range(2):
        output = project.dbt("build", expect=1)
        assert "FAIL 1 assert_totals_equal_steps" in output
        assert "assert_totals_equal_steps: exchange=x, date=2025-01-03, " in output
    project.pipeline.land("x", "2025-01-03", "a", [(1, "A", 3)])
    project.dbt("build")
    checks = "_cache/checks/test.shapes.assert_totals_equal_steps.json"
    _, units = project.lake.storage.read(checks).split(b"\n")
    assert len(json.loads(units)) == 3


def test_a_test_of_a_narrowed_run_reads_what_was_selected(local: Project) -> None:
    checks = "_cache/checks/test.shapes.assert_totals_equal_steps.json"

    def passed() -> list[str]:
        _, units = local.lake.storage.read(checks).split(b"\n")
        return list(json.loads(units))

    local.pipeline.land("y", "2025-01-02", "a", [(1, "A", 1)])
    local.dbt("build", "--vars", "{exchanges: [x], to: 2025-01-01}")
    assert passed() == ["exchange=x/date=2025-01-01"]
    local.dbt("run", "-s", "ticks", "steps")  # now totals differ from steps on the other days
    local.dbt("build", "--vars", "{from: 2025-01-02, exchanges: [y]}")
    assert passed() == ["exchange=x/date=2025-01-01", "exchange=y/date=2025-01-02"]
    local.dbt("test", "--vars", "{symbols: [A]}")  # totals hold all symbols: nothing to compare
    assert len(passed()) == 2
    assert "FAIL" in local.dbt("test", expect=1)
    local.dbt("build")
    assert len(passed()) == 3


def test_a_damaged_partition_fails_its_tests_by_name_and_the_next_build_mends_it(
    local: Project,
) -> None:
    local.dbt("build")
    path = next(path for path in sorted(local.pipeline.hashes()) if "/steps/" in path)
    expected = local.pipeline.hashes()
    local.lake.storage.write(path, b"not Parquet")
    output = local.dbt("test", expect=1)
    assert f"{path.removesuffix('/data.parquet')} is damaged: data.parquet has 11 bytes" in output
    assert "`dbt build` repairs it" in output
    local.dbt("build")
    assert local.pipeline.hashes() == expected


def test_show_compile_and_docs_work_on_lake_models(local: Project) -> None:
    local.dbt("build")
    assert "previous" in local.dbt("show", "--select", "steps", "--output", "json")
    assert "doubled" in local.dbt("show", "--select", "doubled", "--output", "json")
    assert "read_parquet" not in local.dbt("compile", "--select", "steps")
    local.dbt("docs", "generate")
    catalog = json.loads((local.folder / "target" / "catalog.json").read_text())
    ticks = catalog["nodes"]["model.shapes.ticks"]
    assert ticks["columns"]["exchange"]["comment"] == "The venue's id, it's here."
    assert ticks["metadata"]["comment"].startswith("One row per raw tick.\n[ticklake ")
    assert "source.shapes.raw.ticks" in catalog["sources"]


def test_an_empty_lake_gives_typed_empty_views(tmp_path: Path, lake: Lake) -> None:
    project = Project(lake, tmp_path)
    project.dbt("build")
    if project.lake.root.startswith("s3://"):
        return
    assert (
        project.query("select count(*), typeof(any_value(value)) from compacted.ticks")
        == [(0, None)]
        or project.query("describe compacted.ticks")[4][1] == "BIGINT"
    )


def test_the_duckdb_file_can_be_deleted(local: Project) -> None:
    """Any command makes the views of the tables again, also if it builds few of them or none."""
    local.dbt("build")
    expected = local.query("select * from compacted.steps order by all")
    for command, count in (("build", 5), ("build --select steps", 1), ("docs generate", 0)):
        (local.folder / "test.duckdb").unlink()
        assert local.dbt(*command.split()).count("0 built, 0 dropped") == count
        assert local.query("select * from compacted.steps order by all") == expected
    catalog = json.loads((local.folder / "target" / "catalog.json").read_text())
    assert {"model.shapes.ticks", "model.shapes.steps"} <= catalog["nodes"].keys()


def test_deferring_is_refused(local: Project) -> None:
    local.dbt("parse")
    state = str(local.folder / "target")
    output = " ".join(local.dbt("run", "--defer", "--state", state, expect=2).split())
    assert "--defer has no effect on tables of a lake" in output


def test_views_of_a_relative_lake_can_be_read_from_any_folder(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited("models/steps.sql", "as previous", "as previous")
    relative = os.path.relpath(project.lake.root, project.models)
    project.dbt("run", "-s", "ticks", LAKE_ROOT=relative)
    assert project.query("select count(*) from compacted.ticks") == [(4,)]


def test_only_a_pass_of_a_pure_test_is_remembered(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited("models/steps.sql", "as previous", "as previous")
    ticks = "{{ lake_ref('ticks') }}"
    own = {
        "reads_the_clock": f"select * from {ticks} where ts_event > now()",
        "counts_against_a_limit": "{{ config(error_if='< 99', warn_if='< 99') }} from " + ticks,
        "is_pure": f"select * from {ticks} where value > 99",
    }
    for name, sql in own.items():
        (project.models / "tests" / f"{name}.sql").write_text(sql)
    project.dbt("run", "-s", "ticks")
    for _ in range(2):
        output = project.dbt("test", "-s", *own, expect=1)
        assert "PASS reads_the_clock" in output
        assert "FAIL 4 counts_against_a_limit" in output
    remembered = {entry.path for entry in project.lake.storage.entries("_cache/checks")}
    assert remembered == {"_cache/checks/test.shapes.is_pure.json"}


def test_one_duckdb_file_has_the_views_of_the_lake_of_the_last_run(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.conftest import _lake_at

    local.dbt("build")
    assert local.query("select count(*) from compacted.steps") != [(0,)]
    other = Project(_lake_at(str(local.folder / "other"), {}, monkeypatch), local.folder)
    other.pipeline.land("y", "2025-01-03", "a", [(1, "A", 1)])
    other.dbt("run", "--select", "ticks")
    assert other.query("select exchange from compacted.ticks") == [("y",)]
    views = "select view_name from duckdb_views() where schema_name = 'compacted'"
    for (name,) in other.query(views):
        assert other.query(f"select count(*) from compacted.{name} where exchange = 'x'") == [(0,)]


@contextmanager
def read_only(root: Path) -> Iterator[tuple[str, ...]]:
    """Let nobody write below a folder; yield the words that take its rights from root."""
    words: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root can write everywhere, and setpriv is not installed")
        words = ("setpriv", "--bounding-set=-dac_override")
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield words
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_lake_that_cannot_be_written_has_its_views(local: Project) -> None:
    local.dbt("build")
    ticks = "select * from compacted.ticks order by all"
    expected = local.query(ticks)
    root, reader = Path(local.lake.root), local.folder / "reader.duckdb"
    places = commands.places(local.folder) | {"TICKLAKE_DB": str(reader)}
    known = {**os.environ, **local.lake.env, **places, "DBT_PROFILES_DIR": str(REPOSITORY)}
    dbt = [sys.executable, "-m", "dbt.cli.main", "build", "--exclude-resource-type", "unit_test"]

    def run_as_reader() -> subprocess.CompletedProcess[str]:
        with read_only(root) as words:
            return subprocess.run(
                [*words, *dbt], cwd=PROJECT, env=known, capture_output=True, text=True
            )

    finished = run_as_reader()
    assert finished.returncode == 0, finished.stdout
    assert finished.stdout.count("0 built, 0 dropped") == 5
    with duckdb.connect(str(reader), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        assert connection.execute(ticks).fetchall() == expected
    local.pipeline.land("x", "2025-01-02", "late", [(9, "A", 7)])
    finished = run_as_reader()
    assert finished.returncode == 1
    assert "cannot be written" in finished.stdout


def test_what_is_as_it_was_costs_no_statement(local: Project) -> None:
    local.dbt("build")
    (local.folder / "logs" / "dbt.log").unlink()
    local.dbt("--log-level-file", "debug", "build", "--exclude-resource-type", "unit_test")
    log = (local.folder / "logs" / "dbt.log").read_text()
    assert "Finished running 5 lake models" in log
    statement = re.compile(r"On (?:model|test)\.shapes\.(\w+)[^:]*: /\*.*\n\s*(.*)")
    asked = {
        name
        for name, query in statement.findall(log)
        if "duckdb_constraints" not in query  # the adapter asks once a schema
    }
    assert asked == {"assert_no_segment_is_in_quarantine"}  # it reads more than tables
    assert "create or replace view" not in log
    assert "comment on" not in log


def test_a_view_is_made_again_where_it_is_not_what_it_should_be(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited("models/models.yml", "One row per raw tick.", "One row a tick.")
    project.dbt("build")
    comment = (
        "select comment from duckdb_views() where view_name = 'ticks' and schema_name <> 'raw'"
    )
    assert str(project.query(comment)[0][0]).startswith("One row a tick.\n[ticklake ")
    rows = project.query("select * from compacted.ticks order by all")
    for statement in (
        "create or replace view compacted.ticks as select 1 as x",
        "drop view raw.ticks",
    ):
        with duckdb.connect(str(project.folder / "test.duckdb")) as connection:
            connection.execute(statement)
        project.dbt("build")
        assert project.query("select * from compacted.ticks order by all") == rows
        assert project.query("select count(*) from raw.ticks") == [(6,)]
    path = project.models / "models" / "models.yml"
    path.write_text(path.read_text().replace("One row a tick.", "One row per tick."))
    project.dbt("build")
    assert str(project.query(comment)[0][0]).startswith("One row per tick.\n[ticklake ")


def test_a_build_makes_a_view_again_only_where_no_contract_fixes_its_types(
    edited: Callable[[str, str, str], Project],
) -> None:
    contract = """    columns:
      - {name: exchange, data_type: varchar}
      - {name: date, data_type: date}
      - {name: tick_count, data_type: bigint}
"""
    project = edited("models/models.yml", contract, "")
    project.dbt("build")
    (project.folder / "logs" / "dbt.log").unlink()
    project.pipeline.land("x", "2025-01-02", "late", [(9, "A", 7)])
    built = project.dbt("--log-level-file", "debug", "build")
    assert "0 built" not in built
    log = (project.folder / "logs" / "dbt.log").read_text()
    assert re.findall(r'create or replace view \S*?"(\w+)" as', log) == ["ticks_by_day"]


def test_a_dry_run_of_dbt_builds_nothing(local: Project) -> None:
    local.dbt("build", "--empty")
    assert not local.pipeline.hashes()


@pytest.fixture
def edited(local: Project, tmp_path: Path) -> Callable[[str, str, str], Project]:
    """Return a way to change a file of the project, in a copy of it."""
    import shutil

    copy = tmp_path / "repository" / "tests" / "project"
    shutil.copytree(PROJECT, copy)
    shutil.copytree(REPOSITORY / "macros", tmp_path / "repository" / "macros")
    shutil.copytree(REPOSITORY / "tests/generic", tmp_path / "repository/tests/generic")
    local.models = copy

    def edit(path: str, old: str, new: str) -> Project:
        text = (copy / path).read_text()
        assert old in text
        (copy / path).write_text(text.replace(old, new))
        return local

    return edit


def test_a_result_that_breaks_its_contract_is_not_published(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited("models/steps.sql", "as previous", "as former")
    output = project.dbt("run", expect=1)
    assert "previous: BIGINT declared, missing in the result" in output
    assert "former: not in the YAML declared, BIGINT in the result" in output
    assert not [path for path in project.pipeline.hashes() if "/steps/" in path]


def test_a_row_for_a_partition_that_is_not_computed_is_an_error(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited(
        "models/ticks.sql", "symbol, date, ts_event", "symbol, date + 1 as date, ts_event"
    )
    output = project.dbt("build", expect=1)
    assert "returned a row for exchange=x/date=2025-01-02" in output
    assert "Take the partition columns from the inputs unchanged." in output


def test_a_unit_that_fails_does_not_stop_the_others(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited(
        "models/steps.sql",
        "value * {{ var('factor') }} as value",
        "case when date = '2025-01-01' and symbol = 'A' then error('no such day') else value end "
        "as value",
    )
    project.pipeline.land("y", "2025-01-02", "a", [(1, "A", 1)])
    output = project.dbt("build", "--exclude", "test_type:unit", expect=1)
    assert "2 of 5 units of steps could not be built; the others are published." in output
    assert "exchange=x/symbol=A/date=2025-01-01: " in output
    assert "no such day" in output
    assert (
        len([path for path in project.pipeline.hashes() if "/steps/" in path]) == 3
    )  # the day after looks back on it
    # What reads a unit that failed waits for it. All else is built and tested.
    assert "2 of 3 units of totals could not be built" in output
    assert "could not be built); build that table first" in output
    assert [path for path in project.pipeline.hashes() if "/totals/exchange=y/" in path]
    assert "SKIP=0" in output


def test_a_type_that_parquet_lacks_is_refused(
    edited: Callable[[str, str, str], Project],
) -> None:
    edited(
        "models/models.yml", "{name: total, data_type: bigint}", "{name: total, data_type: hugeint}"
    )
    project = edited("models/totals.sql", "cast(sum(steps.value) as bigint)", "sum(steps.value)")
    assert "Parquet has no HUGEINT" in project.dbt("build", expect=1)


def test_the_time_zone_of_the_machine_does_not_matter(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited("models/steps.sql", "    note,", "    cast(ts_event as varchar) as note,")
    project.dbt("run", "--exclude", "totals")
    expected = project.pipeline.hashes()
    project.dbt("run", "--exclude", "totals", "--full-refresh", TZ="America/New_York")
    assert project.pipeline.hashes() == expected


def test_a_test_that_is_no_test_of_units_reads_everything_when_anything_changed(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited(
        "models/models.yml", "data_tests: [not_null]", "data_tests: [not_null, unique]"
    )
    project.pipeline.remove("x", "2025-01-02", "a")
    project.dbt("build")
    project.pipeline.land("x", "2025-01-02", "a", [(1, "A", 1)])  # the value of the day before
    assert "FAIL 1 unique_ticks_value" in project.dbt("build", expect=1)


def test_a_test_may_compare_a_lake_table_with_a_seed(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited(
        "models/models.yml",
        "- {name: symbol, data_type: varchar, data_tests: [not_null]}",
        "- {name: symbol, data_type: varchar, data_tests: [relationships: "
        "{arguments: {to: ref('limits'), field: symbol}}]}",
    )
    project.dbt("build")
    project.pipeline.land("x", "2025-01-02", "b", [(1, "C", 1)])
    assert "FAIL 1 relationships_totals" in project.dbt("build", expect=1)


def test_a_changed_seed_rebuilds_what_reads_it(edited: Callable[[str, str, str], Project]) -> None:
    project = edited("seeds/limits.csv", "A,10", "A,99")
    project.models = PROJECT
    project.dbt("build")
    project.models = project.folder / "repository/tests/project"
    project.dbt("run")  # before the seed is loaded: nothing has changed yet
    project.dbt("build")
    assert project.query("select distinct top from compacted.totals where symbol = 'A'") == [(99,)]


def test_a_run_without_the_seed_says_what_to_do(local: Project) -> None:
    output = local.dbt("run", "--select", "ticks", "steps", "totals", expect=1)
    assert 'limits" is not loaded. Run `dbt seed`, or `dbt build`' in output


def test_a_plain_ref_in_a_lake_model_is_refused(
    edited: Callable[[str, str, str], Project],
) -> None:
    project = edited("models/steps.sql", "lake_ref('ticks')", "ref('ticks')")
    assert "reads compacted/ticks with ref or source" in project.dbt("run", expect=1)


def test_a_damaged_input_stops_what_reads_it_and_drops_nothing(local: Project) -> None:
    local.dbt("build")
    expected = local.pipeline.hashes()
    path = next(path for path in sorted(expected) if "/ticks/" in path)
    local.lake.storage.delete(path.replace("data.parquet", "meta.json"))
    local.pipeline.land("x", "2025-01-01", "b", [(1, "A", 7)])
    plan = local.plan("--select", "steps")
    assert "compacted/steps: 0 to build, 0 to drop" in plan
    assert "is damaged (meta.json is missing); build that table first" in plan
    output = local.dbt("run", "--select", "steps", expect=1)
    assert "is damaged (meta.json is missing); build that table first" in output
    assert local.pipeline.hashes() == expected
    local.pipeline.remove("x", "2025-01-01", "b")
    local.dbt("build")
    assert local.pipeline.hashes() == expected


def test_wrong_credentials_say_what_to_do_and_leave_nothing(s3_lake: Lake, tmp_path: Path) -> None:
    project = Project(s3_lake, tmp_path)
    land_two_days(project)
    secret = "a-secret-that-is-wrong"
    output = project.dbt("build", expect=2, AWS_SECRET_ACCESS_KEY=secret)
    assert "Check the AWS credentials" in output
    logged = (tmp_path / "logs" / "dbt.log").read_text()
    for text in (output, logged):
        assert secret not in text
        assert s3_lake.env["AWS_SECRET_ACCESS_KEY"] not in text
    assert not project.pipeline.hashes()
    assert {entry.path.split("/")[0] for entry in s3_lake.storage.entries("")} == {"raw"}
