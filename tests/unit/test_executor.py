"""Where tasks run: any number of workers gives the same bytes, and one that dies stops no other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Lake
from tests.integration.pipeline import DAILY, Pipeline, run_model, specified
from ticklake.lake import executor
from ticklake.lake.errors import LakeError
from ticklake.lake.executor import Workers, memory_of, worker_count, workers
from ticklake.lake.planning import Unit
from ticklake.lake.session import close_session
from ticklake.lake.specs import InputSpec, ModelSpec
from ticklake.lake.tables import Partition
from ticklake.lake.tasks import Outcome, Recipe, Task

COLUMNS = {"exchange": "varchar", "date": "date", "row_seq": "bigint"}
INPUT = InputSpec("raw_rows", "raw/rows", ("exchange", "date"), COLUMNS, is_raw=True)
EXCHANGES = ("v", "w", "x", "y", "z")
DEADLY = """
import os
import signal
from pathlib import Path

def model(dbt, session):
    rows = dbt("raw.rows").project("exchange, date, row_seq")
    (exchange,) = rows.project("exchange").distinct().fetchone()
    if exchange == "x" and {condition}:
        Path({flag!r}).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return rows.order("row_seq")

def dbtObj(load):
    return load
"""


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let builds of this process have so many workers."""

    def use(count: int) -> None:
        workers().close()
        workers.cache_clear()
        monkeypatch.setenv("TICKLAKE_WORKERS", str(count))

    yield use
    workers().close()
    workers.cache_clear()


@pytest.mark.parametrize("lake", ["local"], indirect=True)
def test_any_number_of_workers_gives_the_same_bytes(lake: Lake, use: Callable[[int], None]) -> None:
    with lake.connect() as connection:
        pipeline = Pipeline(lake.root, lake.storage, connection)
        for day in range(1, 5):
            for exchange in ("x", "y", "z"):
                rows = [(3 * n, f"S{n % 5}", n * day) for n in range(40)]
                pipeline.land(exchange, f"2024-01-0{day}", "a", rows)
        found = []
        for count in (1, 2, 4):
            use(count)
            pipeline.forget()
            assert all(result["rows"] for result in pipeline.build(names=DAILY).values())
            found.append(pipeline.hashes())
    assert len(found[0]) > 60
    assert found[0] == found[1] == found[2]


def build(root: Path, condition: str) -> dict[str, Any]:
    """Build a Python model over five exchanges that kills its worker for one of them."""
    for exchange in EXCHANGES:
        folder = root / f"raw/rows/exchange={exchange}/date=2024-01-02"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"row_seq": pa.array([1, 2, 3], pa.int64())}), folder / "a.parquet")
    config = {"partition_by": ["exchange", "date"], "order_by": ["row_seq"], "keeps_order": True}
    source = DEADLY.format(condition=condition, flag=str(root / "killed"))
    specification = specified(
        str(root), "same", COLUMNS, [asdict(INPUT)], config, language="python", compiled_code=source
    )
    try:
        with duckdb.connect() as connection:
            return run_model(connection, specification)
    finally:
        close_session()


def built(root: Path) -> list[str]:
    files = sorted((root / "compacted/same").glob("*/*/data.parquet"))
    assert all(pq.read_metadata(file).num_rows == 3 for file in files)
    return [file.parts[-3].removeprefix("exchange=") for file in files]


def test_units_whose_worker_died_are_built_by_another(
    tmp_path: Path, use: Callable[[int], None]
) -> None:
    use(2)
    found = build(tmp_path, f"not Path({str(tmp_path / 'killed')!r}).exists()")
    assert (tmp_path / "killed").exists()
    assert found["message"].startswith("5 built")
    assert built(tmp_path) == list(EXCHANGES)


def test_a_unit_that_kills_every_worker_fails_by_name_and_the_others_are_built(
    tmp_path: Path, use: Callable[[int], None]
) -> None:
    use(2)
    found = build(tmp_path, "True")
    assert "1 FAILED" in found["message"]
    assert built(tmp_path) == ["v", "w", "y", "z"]


def test_workers_end_with_the_process_that_started_them() -> None:
    script = """if True:
        import os, time
        from ticklake.lake.executor import _processes
        pool = _processes(2)
        print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)
        pool.submit(time.sleep, 100)
        time.sleep(100)"""
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    pids = list(map(int, driver.stdout.readline().split()))
    assert pids
    assert all(map(is_running, pids))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def task(size: int = 1) -> Task:
    model = ModelSpec("model", "compacted/model", ("date",), ("date",), (), {}, ())
    part = Partition(("2024-01-02",), ("a",), size, "")
    unit = Unit(("2024-01-02",), {"raw": (part,)}, False, "")
    return Task(Recipe(model, "sql", "", ""), ((unit,),), "", "")


def test_a_task_that_lacks_memory_gets_the_whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(task: Task) -> Outcome:
        seen.append((task.memory, task.threads))
        is_short = task.memory < 4_000
        return Outcome(error="out of memory" if is_short else None, lacks_memory=is_short)

    monkeypatch.setattr(executor, "run", run)
    shared = Workers(4, 4_000, lambda: ThreadPoolExecutor(4))
    ((_, outcome),) = shared.run([task()], is_threaded=True)
    shared.close()
    assert seen == [(1_000, 1), (4_000, 4)]
    assert outcome.error is None


def test_a_large_task_has_the_threads_that_no_other_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(task: Task) -> Outcome:
        seen.append((task.memory, task.threads))
        return Outcome()

    monkeypatch.setattr(executor, "run", run)
    shared = Workers(4, 4_000, lambda: ThreadPoolExecutor(4))
    for tasks, is_threaded in (
        ([task(1 << 30)], True), ([task(1 << 30)], False), ([task(1 << 30), task(1 << 30)], True),
    ):  # fmt: skip
        assert len(list(shared.run(tasks, is_threaded=is_threaded))) == len(tasks)
    shared.close()
    assert seen == [(4_000, 4), (1_000, 1), (2_000, 2), (2_000, 2)]


@pytest.mark.parametrize(
    ("text", "memory"),
    [("1200MB", 1_200_000_000), ("4GB", 4_000_000_000), ("1.5 GiB", 1_610_612_736), ("500b", 500)],
)
def test_memory_is_read_as_duckdb_reads_it(
    text: str, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLAKE_MEMORY", text)
    assert memory_of(2) == memory


def test_each_worker_has_some_memory_if_nothing_says_how_much() -> None:
    assert memory_of(4) == 4 * 600_000_000


@pytest.mark.parametrize(
    ("name", "text"),
    [("TICKLAKE_MEMORY", "a lot"), ("TICKLAKE_WORKERS", "0"), ("TICKLAKE_WORKERS", "two")],
)
def test_settings_that_are_not_amounts_are_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(LakeError, match=f"{name} is '{text}'"):
        memory_of(worker_count())
    assert os.environ[name] == text
