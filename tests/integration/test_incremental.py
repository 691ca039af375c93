"""The promise of the lake: whatever happened before, a build equals a full rebuild in each byte."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import Lake
from tests.integration.pipeline import Pipeline
from ticklake.lake.connection import prepare
from ticklake.lake.lease import Lease, break_leases
from ticklake.lake.quarantine import forget, things_set_aside
from ticklake.lake.storage import open_storage

EXCHANGES, DATES, SEGMENTS = ("x", "y"), ("2025-01-01", "2025-01-02", "2025-01-03"), ("a", "b")
WAYS_TO_SPOIL = ("types", "cut", "footer", "page", "empty")
ROWS = st.lists(
    st.tuples(
        st.integers(0, 86_399), st.sampled_from(("A", "B/C", "@1")), st.integers(-3, 3)
    ),
    max_size=5,
)  # fmt: skip
PLACE = (st.sampled_from(EXCHANGES), st.sampled_from(DATES), st.sampled_from(SEGMENTS))
BUSY_PLACES = [(EXCHANGES[0], DATES[0], segment) for segment in SEGMENTS]
BUSY_PLACE = (st.just(EXCHANGES[0]), st.just(DATES[0]), st.sampled_from(SEGMENTS))
ACTION = st.one_of(
    st.tuples(st.just("land"), *PLACE, ROWS),
    st.tuples(st.just("land"), *BUSY_PLACE, ROWS),
    st.tuples(st.just("touch"), *PLACE),
    st.tuples(st.just("remove"), *PLACE),
    st.tuples(st.just("build"), st.integers(1, 2)),
    st.tuples(st.just("build part"), st.sampled_from(DATES), st.sampled_from(EXCHANGES)),
    st.tuples(st.just("die"), st.integers(0, 40)),
    st.tuples(st.just("damage"), st.integers(0, 100), st.booleans()),
    st.tuples(st.just("lose cache")),
    st.tuples(st.just("spoil"), *BUSY_PLACE, st.sampled_from(WAYS_TO_SPOIL)),
    st.tuples(st.just("spoil"), *BUSY_PLACE, st.sampled_from(WAYS_TO_SPOIL)),
    st.tuples(st.just("put back")),
    st.tuples(st.just("drop")),
)


class KilledError(BaseException):
    """Stands for the end of the process: nothing may catch it."""


@pytest.fixture
def pipeline(lake: Lake) -> Pipeline:
    return Pipeline(lake.root, lake.storage, lake.connect())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=st.lists(ACTION, min_size=3, max_size=12))
@example(actions=[("build", 2), ("spoil", *BUSY_PLACES[1], "cut")])
@example(actions=[("build", 2), ("spoil", *BUSY_PLACES[1], "page"), ("build", 2), ("drop",)])
@example(actions=[("spoil", *BUSY_PLACES[0], "page"), ("build", 2), ("put back",), ("die", 2)])
def test_any_history_gives_the_bytes_of_a_full_rebuild(
    actions: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:

    root = str(tmp_path_factory.mktemp("lake"))
    storage, connection = open_storage(root), duckdb.connect()
    prepare(connection, storage)
    run_history(Pipeline(root, storage, connection), actions)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=st.lists(ACTION, min_size=3, max_size=6))
@pytest.mark.s3
def test_any_history_gives_the_bytes_of_a_full_rebuild_on_s3(
    actions: list[tuple[Any, ...]], s3_lake: Lake
) -> None:
    pipeline = Pipeline(s3_lake.root, s3_lake.storage, s3_lake.connect())
    for entry in list(s3_lake.storage.entries("")):
        s3_lake.storage.delete(entry.path)
    run_history(pipeline, actions)


def run_history(pipeline: Pipeline, actions: list[tuple[Any, ...]]) -> None:
    """Carry out a history, then compare an incremental build with one from nothing."""
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    for name, *arguments in actions:
        HISTORY[name](pipeline, *arguments)
    pipeline.build()
    incremental = pipeline.hashes()
    again = pipeline.build()
    assert all(result["message"].startswith("0 built, 0 dropped") for result in again.values())
    assert not any("recomputed" in result["message"] for result in again.values())
    assert_quarantine_is_counted(pipeline)
    pipeline.forget()
    pipeline.build()
    assert pipeline.hashes() == incremental


def assert_quarantine_is_counted(pipeline: Pipeline) -> None:
    """Compare what `meta.json` counts with what is in quarantine and no longer in `raw/`."""
    aside = Counter(
        path.split("/")[2] + path.split("/")[3]
        for path in things_set_aside(pipeline.storage, "raw/ticks")
        if pipeline.storage.find(path) is None
    )
    for entry in pipeline.storage.entries("compacted/ticks"):
        if entry.path.endswith("/meta.json"):
            _, _, exchange, _, date, _ = entry.path.split("/")
            counted = json.loads(pipeline.storage.read(entry.path))["quarantined"]
            assert counted == aside[exchange + date]


def die(pipeline: Pipeline, after: int) -> None:
    """Build, and end without warning at a write: before it is made, or just after."""
    storage_type = type(pipeline.storage)
    writes = [0]

    def deadly(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            writes[0] += 1
            if writes[0] > after and after % 2:
                raise KilledError
            result = method(*arguments, **keywords)
            if writes[0] > after:
                raise KilledError
            return result

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for operation in ("publish", "delete"):
            patch.setattr(storage_type, operation, deadly(getattr(storage_type, operation)))
        with suppress(KilledError):
            pipeline.build(factor=1 + after % 2)
    break_leases(pipeline.storage)  # the lease of a process that is gone; this one only played dead


def damage(pipeline: Pipeline, which: int, is_data: bool) -> None:
    """Overwrite or remove a file of a built partition."""
    wanted = "/data.parquet" if is_data else "/meta.json"
    paths = sorted(
        entry.path for entry in pipeline.storage.entries("compacted") if entry.path.endswith(wanted)
    )
    if not paths:
        return
    path = paths[which % len(paths)]
    if which % 3 == 0:
        pipeline.storage.delete(path)
    else:
        content = bytearray(pipeline.storage.read(path))
        content[len(content) // 2] ^= 0xFF
        pipeline.storage.write(path, bytes(content))


def only_if_there(action: Callable[..., None]) -> Callable[..., None]:
    def wrapped(pipeline: Pipeline, exchange: str, date: str, segment: str) -> None:
        path = f"raw/ticks/exchange={exchange}/date={date}/{segment}.parquet"
        if pipeline.storage.find(path):
            action(pipeline, exchange, date, segment)

    return wrapped


def land_and_spoil(pipeline: Pipeline, exchange: str, date: str, segment: str, how: str) -> None:
    pipeline.land(exchange, date, segment, [(second, "A", second) for second in range(1, 300)])
    pipeline.spoil(exchange, date, segment, how)


def lose_cache(pipeline: Pipeline) -> None:
    for entry in list(pipeline.storage.entries("_cache")):
        pipeline.storage.delete(entry.path)


HISTORY: dict[str, Callable[..., Any]] = {
    "land": Pipeline.land,
    "touch": only_if_there(Pipeline.touch),
    "remove": only_if_there(Pipeline.remove),
    "build": lambda pipeline, factor: pipeline.build(factor=factor),
    "build part": lambda pipeline, date, exchange: pipeline.build(
        selection={"from": date, "to": date, "exchanges": [exchange]}
    ),
    "die": die,
    "damage": damage,
    "lose cache": lose_cache,
    "spoil": land_and_spoil,
    "put back": Pipeline.put_back,
    "drop": lambda pipeline: forget(pipeline.storage, things_set_aside(pipeline.storage)),
}


def test_a_second_build_does_nothing(pipeline: Pipeline) -> None:
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1), (2, "B/C", 2)])
    assert pipeline.build()["ticks"]["message"] == "2 built, 0 dropped, 0 unchanged, 2 rows"
    assert pipeline.build()["ticks"]["message"] == "0 built, 0 dropped, 2 unchanged, 0 rows"


def test_the_same_bytes_landed_again_build_nothing(pipeline: Pipeline) -> None:
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    pipeline.build()
    pipeline.touch("x", "2025-01-01", "a")
    assert pipeline.build()["ticks"]["message"] == "0 built, 0 dropped, 1 unchanged, 0 rows"


def test_a_rebuild_that_yields_the_same_bytes_touches_nothing_downstream(
    pipeline: Pipeline,
) -> None:
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    pipeline.build()
    pipeline.land("x", "2025-01-01", "b", [(2, "A", 0)])  # ticks leaves zero values out
    results = pipeline.build()
    assert "1 recomputed to the same bytes" in results["ticks"]["message"]
    assert results["steps"]["message"] == "0 built, 0 dropped, 1 unchanged, 0 rows"


def test_a_partition_whose_input_is_gone_is_dropped(pipeline: Pipeline) -> None:
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    pipeline.land("x", "2025-01-02", "a", [(1, "A", 1)])
    pipeline.build()
    pipeline.remove("x", "2025-01-01", "a")
    results = pipeline.build()
    assert results["ticks"]["message"] == "0 built, 1 dropped, 1 unchanged, 0 rows"
    assert not [path for path in pipeline.hashes() if "2025-01-01" in path]


def test_a_look_back_reaches_one_day_and_no_further(pipeline: Pipeline) -> None:
    for date in DATES:
        pipeline.land("x", date, "a", [(1, "A", 1)])
    pipeline.build()
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 3)])
    assert pipeline.build()["steps"]["message"].startswith("2 built, 0 dropped, 1 unchanged")


def test_a_later_day_closes_the_one_before(pipeline: Pipeline) -> None:
    def closed() -> list[Any]:
        return pipeline.connection.execute(
            "select is_closed from read_parquet(?) order by all",
            [pipeline.storage.url("compacted/totals/*/*/data.parquet")],
        ).fetchall()

    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    pipeline.build()
    assert closed() == [(False,)]
    pipeline.land("x", "2025-01-03", "a", [(1, "A", 1)])
    pipeline.build()
    assert closed() == [(False,), (True,)]


def test_an_empty_input_builds_an_empty_partition_that_stays(pipeline: Pipeline) -> None:
    pipeline.land("x", "2025-01-01", "a", [])
    assert pipeline.build()["ticks"]["message"] == "0 built, 0 dropped, 0 unchanged, 0 rows"
    assert "0 built" in pipeline.build()["totals"]["message"]


def test_partitions_by_month_are_planned_built_and_selected_as_those_by_day_are(
    pipeline: Pipeline,
) -> None:
    def build(**selection: Any) -> str:
        return str(pipeline.build(names=["candles"], selection=selection)["candles"]["message"])

    for symbol in ("A", "B"):
        for interval in ("1m", "1M"):
            for month in ("2024-12", "2025-01", "2025-02"):
                pipeline.land_candles(symbol, interval, month, [1, 2])
    january = {"from": "2025-01-30", "to": "2025-01-31"}
    assert build(**january, symbols=["A"]) == "2 built, 0 dropped, 0 unchanged, " + (
        "10 stale outside the selection, 4 rows"
    )
    assert build() == "10 built, 0 dropped, 2 unchanged, 20 rows"
    assert build() == "0 built, 0 dropped, 12 unchanged, 0 rows"
    pipeline.land_candles("A", "1M", "2025-02", [1, 2, 3])
    assert build(**january) == "0 built, 0 dropped, 12 unchanged, " + (
        "1 stale outside the selection, 0 rows"
    )
    assert build() == "1 built, 0 dropped, 11 unchanged, 3 rows"
    incremental = pipeline.hashes()
    assert len(incremental) == 12
    pipeline.forget()
    build()
    assert pipeline.hashes() == incremental


def test_a_second_writer_is_told_who_writes(pipeline: Pipeline) -> None:
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1)])
    lease = Lease(pipeline.storage, "a nightly build")
    lease.acquire()
    with pytest.raises(AssertionError, match="is being written by a nightly build"):
        pipeline.build()
    assert not pipeline.hashes()
    lease.release()
    pipeline.build()


def test_folders_as_earlier_versions_spelled_them_move_with_the_next_build(
    pipeline: Pipeline,
) -> None:
    storage = pipeline.storage
    pipeline.land("x@y", DATES[0], "a", [(1, "@107", 1), (2, "PURR/USDC", 2)])
    pipeline.land("x%40y", DATES[0], "b", [(3, "@107", 3)])  # one exchange in two spellings
    pipeline.build()
    expected = pipeline.hashes()
    assert any("exchange=x@y/symbol=@107" in path for path in expected)

    for entry in list(storage.entries("compacted")):
        storage.write(entry.path.replace("@", "%40"), storage.read(entry.path))
        if "compacted/ticks" not in entry.path:  # these were left by a build that was killed
            storage.delete(entry.path)
    pipeline.build()
    assert pipeline.hashes() == expected

    pipeline.remove("x@y", DATES[0], "a")
    pipeline.remove("x%40y", DATES[0], "b")
    for path in expected:
        storage.write(path.replace("@", "%40"), b"left")
    pipeline.build()
    assert pipeline.hashes() == {}


def test_a_folder_that_is_not_a_day_stops_nothing_and_is_named(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.land("x", DATES[0], "a", [(1, "A", 1)])
    pipeline.build()
    expected = pipeline.hashes()
    odd = f"raw/ticks/exchange=x{uuid.uuid4().hex}/date=2025-13-01/a.parquet"
    pipeline.storage.write(odd, b"not looked at")
    pipeline.build()
    assert pipeline.hashes() == expected
    assert "Nothing reads 1 Parquet files in raw/ticks" in caplog.text
    assert odd in caplog.text
