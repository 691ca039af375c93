"""Raw segments that cannot be used: the build sets them aside, says so, and goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.conftest import Lake, _lake_at
from tests.integration.pipeline import Pipeline
from tests.integration.test_dbt import Project, land_two_days
from ticklake.cli import main
from ticklake.lake import quarantine
from ticklake.lake.quarantine import put_back, things_set_aside
from ticklake.lake.storage import LocalStorage, Storage

FOLDER = "raw/ticks/exchange=x/date=2025-01-01"
TICKS = "compacted/ticks/exchange=x/symbol=A/date=2025-01-01"


@pytest.fixture
def pipeline(lake: Lake) -> Pipeline:
    pipeline = Pipeline(lake.root, lake.storage, lake.connect())
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    pipeline.land("x", "2025-01-01", "b", [(second, "A", second) for second in range(2, 900)])
    pipeline.land("x", "2025-01-02", "a", [(1, "A", 1)])
    return pipeline


def meta(storage: Storage) -> dict[str, Any]:
    return dict(json.loads(storage.read(f"{TICKS}/meta.json")))


def aside(storage: Storage) -> dict[str, str]:
    return {path: item.error_type for path, item in things_set_aside(storage).items()}


@pytest.mark.parametrize(
    ("how", "error_type"),
    [
        ("types", "SCHEMA_MISMATCH"),
        ("cut", "TRUNCATED"),
        ("empty", "TRUNCATED"),
        ("footer", "FOOTER_CORRUPT"),
        ("page", "DICT_CONFLICT"),
    ],
)
@pytest.mark.parametrize("built_before", [False, True])
def test_a_build_goes_on_without_a_segment_that_cannot_be_used(
    pipeline: Pipeline, how: str, error_type: str, built_before: bool
) -> None:
    if built_before:
        pipeline.build()
    pipeline.spoil("x", "2025-01-01", "b", how)
    spoiled = pipeline.storage.read(f"{FOLDER}/b.parquet")
    message = pipeline.build()["ticks"]["message"]
    assert ", 1 quarantined, " in message
    assert aside(pipeline.storage) == {f"{FOLDER}/b.parquet": error_type}
    assert pipeline.storage.find(f"{FOLDER}/b.parquet") is None
    assert pipeline.storage.read(f"quarantine/{FOLDER}/b.parquet/b.parquet") == spoiled
    assert (meta(pipeline.storage)["row_count"], meta(pipeline.storage)["quarantined"]) == (1, 1)
    assert pipeline.build()["ticks"]["message"] == "0 built, 0 dropped, 2 unchanged, 0 rows"


def test_what_error_json_says(pipeline: Pipeline) -> None:
    pipeline.spoil("x", "2025-01-01", "b", "types")
    pipeline.build()
    about = json.loads(pipeline.storage.read(f"quarantine/{FOLDER}/b.parquet/error.json"))
    moved = pipeline.storage.find(f"quarantine/{FOLDER}/b.parquet/b.parquet")
    assert moved is not None
    assert about.pop("size") == moved.size
    assert len(about.pop("sha256")) == 64
    assert about == {
        "error_type": "SCHEMA_MISMATCH",
        "message": "value: double in the file, int64 declared",
        "path": f"{FOLDER}/b.parquet",
        "partition": FOLDER,
    }


def test_a_day_without_a_usable_segment_has_no_rows(pipeline: Pipeline) -> None:
    pipeline.build()
    for segment in ("a", "b"):
        pipeline.spoil("x", "2025-01-01", segment, "cut")
    assert pipeline.build()["ticks"]["message"].startswith("0 built, 1 dropped, 1 unchanged")
    assert pipeline.storage.find(f"{TICKS}/data.parquet") is None
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    pipeline.build()
    assert meta(pipeline.storage)["quarantined"] == 1


def test_a_segment_landed_again_takes_the_place_of_the_one_set_aside(pipeline: Pipeline) -> None:
    pipeline.build()
    expected = pipeline.hashes()
    content = pipeline.storage.read(f"{FOLDER}/b.parquet")
    pipeline.spoil("x", "2025-01-01", "b", "cut")
    pipeline.build()
    pipeline.storage.write(f"{FOLDER}/b.parquet", content)
    pipeline.build()
    assert not aside(pipeline.storage)
    assert pipeline.hashes() == expected
    assert meta(pipeline.storage)["quarantined"] == 0


def test_a_segment_that_is_put_back_is_looked_at_again(pipeline: Pipeline) -> None:
    pipeline.spoil("x", "2025-01-01", "b", "page")
    pipeline.build()
    expected = pipeline.hashes()
    path = f"{FOLDER}/b.parquet"
    put_back(pipeline.storage, path)
    assert not aside(pipeline.storage)
    pipeline.build()
    assert aside(pipeline.storage) == {path: "DICT_CONFLICT"}
    assert pipeline.hashes() == expected


def test_one_killed_while_setting_aside_loses_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    pipeline.spoil("x", "2025-01-01", "b", "cut")
    content = pipeline.storage.read(f"{FOLDER}/b.parquet")
    storage_type = type(pipeline.storage)
    for operation in ("publish", "write", "delete"):
        with monkeypatch.context() as patch:
            original = getattr(storage_type, operation)

            def deadly(self: Any, *arguments: Any, original: Any = original) -> Any:
                original(self, *arguments)
                raise KilledError

            patch.setattr(storage_type, operation, deadly)
            with pytest.raises(KilledError):
                quarantine.set_aside(
                    pipeline.storage,
                    {f"{FOLDER}/b.parquet": quarantine.Problem("TRUNCATED", "it was cut")},
                )
        copies = [
            entry.path
            for entry in pipeline.storage.entries("")
            if entry.path.endswith("b.parquet") and pipeline.storage.read(entry.path) == content
        ]
        assert copies
    pipeline.build()
    assert aside(pipeline.storage) == {f"{FOLDER}/b.parquet": "TRUNCATED"}


def test_segments_of_other_types_leave_the_columns_as_they_are_declared(
    pipeline: Pipeline,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "value": pa.array([7], pa.int16()),
            "symbol": pa.array(["A"]).dictionary_encode(),
            "ts_event": pa.array([1_735_689_600_000], pa.timestamp("ms")),
            "unknown": ["x"],
        }
    )
    with pipeline.storage.staging() as folder:
        pq.write_table(table, folder / "segment")
        pipeline.storage.publish(folder / "segment", f"{FOLDER}/0.parquet")
    pipeline.build()
    assert not aside(pipeline.storage)
    assert meta(pipeline.storage)["row_count"] == 900


def test_a_plan_moves_nothing(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.spoil("x", "2025-01-01", "b", "cut")
    monkeypatch.setenv("TICKLAKE_PLAN_ONLY", "1")
    pipeline.build()
    assert not aside(pipeline.storage)


def test_dbt_goes_on_and_a_test_fails_until_it_is_resolved(lake: Lake, tmp_path: Path) -> None:
    project = Project(lake, tmp_path)
    land_two_days(project)
    pipeline = project.pipeline
    pipeline.land("x", "2025-01-01", "0", [(5, "A", 5)] * 300)
    pipeline.land("x", "2025-01-01", "1", [(5, "A", 5)] * 300)
    pipeline.spoil("x", "2025-01-01", "0", "types")  # the first file of its folder
    pipeline.spoil("x", "2025-01-01", "1", "page")
    output = project.dbt("build", expect=1)
    assert "FAIL 2 assert_no_segment_is_in_quarantine" in output
    for name in ("0", "1"):
        named = f"assert_no_segment_is_in_quarantine: path={FOLDER}/{name}.parquet, error_type="
        assert named in output
    assert "ERROR=1 SKIP=0" in output
    hashes = pipeline.hashes()
    assert {path.split("/")[1] for path in hashes} == {
        "ticks", "ticks_by_day", "steps", "totals", "doubled",
    }  # fmt: skip
    assert "FAIL 2 assert_no_segment_is_in_quarantine" in project.dbt("test", expect=1)
    for path in aside(lake.storage):
        quarantine.forget(lake.storage, [path])
    output = project.dbt("build")
    assert "PASS assert_no_segment_is_in_quarantine" in output
    assert pipeline.hashes() == hashes


def test_a_test_alone_names_what_cannot_be_used_and_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = _lake_at(str(tmp_path / "lake"), {}, monkeypatch)
    project = Project(lake, tmp_path)
    land_two_days(project)
    project.dbt("build")
    project.pipeline.spoil("x", "2025-01-01", "a", "cut")
    output = project.dbt("test", expect=1)
    assert f"{FOLDER}/a.parquet cannot be used (TRUNCATED" in output
    assert "`dbt build` sets it aside." in output
    assert lake.storage.find(f"{FOLDER}/a.parquet")
    assert not aside(lake.storage)


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(main, ["quarantine", *arguments])
    assert result.exit_code == exit_code, result.output
    return result.output


def test_the_command_lists_shows_puts_back_and_drops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "lake")
    monkeypatch.setenv("LAKE_ROOT", root)
    storage = LocalStorage(root)
    assert "Nothing" in run("list")
    path, thing = f"{FOLDER}/a.parquet", "hyperliquid/hourly/1"
    storage.write(path, b"PAR1 and no more")
    quarantine.set_aside(storage, {path: quarantine.Problem("TRUNCATED", "it was cut")})
    again = "ticklake land hyperliquid --force"
    about = {"error_type": "BAD_JSON", "message": "no JSON", "rejected": {"BAD_JSON": 3}}
    storage.write(f"quarantine/{thing}/rejected.jsonl", b"{")
    storage.write(f"quarantine/{thing}/error.json", json.dumps(about | {"again": again}).encode())

    listed = run("list").splitlines()
    assert [line.split() for line in listed] == [
        ["BAD_JSON", "3", "rows", thing, "no", "JSON"],
        ["TRUNCATED", "16", "bytes", path, "it", "was", "cut"],
    ]
    assert [json.loads(line)["path"] for line in run("list", "--json").splitlines()] == [
        thing,
        path,
    ]
    assert '"it was cut"' in run("show", f"quarantine/{path}")
    assert f"There is no {FOLDER} in quarantine" in run("show", FOLDER, exit_code=1)
    run("retry", exit_code=2)
    output = run("retry", "--all")
    assert f"{path} is back in raw/." in output
    assert f"{thing}: when its source is mended, run: {again}" in output
    assert storage.read(path) == b"PAR1 and no more"
    assert list(aside(storage)) == [thing]
    assert "Say --yes to do it" in run("drop", thing, exit_code=1)
    assert list(aside(storage)) == [thing]
    run("drop", thing, "--yes")
    assert not list(storage.entries("quarantine"))


def test_the_dbt_test_waits_for_all_models_that_read_raw_segments() -> None:
    repository = Path(__file__).resolve().parents[2]
    named = (repository / "tests/singular/assert_no_segment_is_in_quarantine.sql").read_text()
    readers = [
        model.stem
        for folder in ("models", "python_models")
        for model in (repository / folder).rglob("*.sql")
        if "lake_source(" in model.read_text()
    ]
    assert readers
    assert not [name for name in readers if f"ref('{name}')" not in named]
