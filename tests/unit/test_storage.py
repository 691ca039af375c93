"""What every lake promises, in a local folder and on S3 alike; then what only a folder does."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Lake
from tests.s3.launch import uses_rgw
from ticklake.lake.errors import LakeError
from ticklake.lake.paths import partition_path
from ticklake.lake.storage import LocalStorage, Storage, open_storage
from ticklake.lake.storage.s3 import S3Storage

SYMBOLS = [
    "BTCUSDT",
    "PURR/USDC",
    "xyz:NVDA",
    "@107",
    "#5",
    "k+PEPE",
    "100%",
    "a%2Fb",
    "two words",
    "ünï/ço∂e 币安人生",
    "*?[a]{b}",
    "it's",
    "null",
    "A&B;c,d!(e)$~",
]
NAMES = [
    "raw/fills/exchange=hyperliquid/symbol=PURR%2FUSDC/date=2026-01-02/0.parquet",
    "raw/percent%/at@/colon:/hash#/plus+",
    "raw/with space/and  two.json",
    "raw/ünï/币安人生.parquet",
    "raw/question?versionId=1&x=y.json",
    "raw/~tilde/(round)/semi;colon,comma'quote.json",
    "raw/%25/%2F/%.json",
]


def _names(storage: Storage, prefix: str) -> list[str]:
    return sorted(entry.path for entry in storage.entries(prefix))


def _stage(storage: Storage, path: str, data: bytes) -> None:
    with storage.staging() as folder:
        staged = folder / "data.parquet"
        staged.write_bytes(data)
        storage.publish(staged, path)
        assert not staged.exists()


@pytest.mark.parametrize("data", [b"", b"one", os.urandom(3_000_000)], ids=len)
def test_what_is_written_is_read(lake: Lake, data: bytes) -> None:
    entry = lake.storage.write("raw/a.bin", data)
    assert lake.storage.read("raw/a.bin") == data
    assert entry == lake.storage.find("raw/a.bin")
    assert [entry] == list(lake.storage.entries("raw"))
    assert entry.size == len(data)


def test_what_is_published_is_read_and_the_staged_file_is_used_up(lake: Lake) -> None:
    _stage(lake.storage, "compacted/trades/data.parquet", b"first")
    _stage(lake.storage, "compacted/trades/data.parquet", b"the second")
    assert lake.storage.read("compacted/trades/data.parquet") == b"the second"
    assert _names(lake.storage, "") == ["compacted/trades/data.parquet"]


def test_a_stream_gives_the_same_bytes_in_pieces(lake: Lake) -> None:
    data = os.urandom(2_500_000)
    lake.storage.write("raw/a.bin", data)
    with lake.storage.open("raw/a.bin") as stream:
        pieces = list(iter(lambda: stream.read(700_001), b""))
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces] == [700_001, 700_001, 700_001, 399_997]


def test_the_end_of_an_object_is_read_without_the_rest(lake: Lake) -> None:
    lake.storage.write("raw/a.bin", b"0123456789")
    lake.storage.write("raw/empty", b"")
    assert lake.storage.read_end("raw/a.bin", 4) == b"6789"
    assert lake.storage.read_end("raw/a.bin", 99) == b"0123456789"
    assert lake.storage.read_end("raw/empty", 4) == b""
    with pytest.raises(FileNotFoundError):
        lake.storage.read_end("raw/missing", 4)


def test_a_local_file_has_the_bytes_of_an_object(lake: Lake, tmp_path: Path) -> None:
    lake.storage.write("raw/day=1/a.bin", b"one")
    lake.storage.write("raw/day=2/a.bin", b"two")
    files = [lake.storage.local_file(f"raw/day={day}/a.bin", tmp_path / "copies") for day in (1, 2)]
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
    assert all(str(file).endswith(f"raw/day={day}/a.bin") for day, file in enumerate(files, 1))
    with pytest.raises(FileNotFoundError):
        lake.storage.local_file("raw/missing", tmp_path)


def test_a_tag_changes_with_the_bytes(lake: Lake) -> None:
    one = lake.storage.write("a", b"one")
    two = lake.storage.write("a", b"two")
    again = lake.storage.write("a", b"one")
    assert one.tag != two.tag != again.tag
    assert not lake.storage.tag_is_content or one.tag == again.tag


def test_nothing_is_found_where_there_is_nothing(lake: Lake) -> None:
    lake.storage.write("raw/a", b"1")
    # A folder is no object, and nothing lies below an object.
    for path in ("missing", "missing/too", "raw", "raw/a/b"):
        assert lake.storage.find(path) is None
        with pytest.raises(FileNotFoundError):
            lake.storage.read(path)
        with pytest.raises(FileNotFoundError):
            lake.storage.open(path)
        assert list(lake.storage.entries(path)) == [
            entry for entry in lake.storage.entries("raw") if path == "raw"
        ]
        lake.storage.delete(path)
    assert lake.storage.read("raw/a") == b"1"


def test_a_listing_holds_everything_below_a_folder_and_nothing_beside_it(lake: Lake) -> None:
    for path in ("raw/a", "raw/deep/er/b", "raw2/c", "raw.json", "ra/w"):
        lake.storage.write(path, path.encode())
    assert _names(lake.storage, "raw") == ["raw/a", "raw/deep/er/b"]
    assert _names(lake.storage, "raw/") == ["raw/a", "raw/deep/er/b"]
    assert _names(lake.storage, "raw/deep") == ["raw/deep/er/b"]
    with lake.storage.staging() as folder:
        (folder / "unfinished").write_bytes(b"?")
        assert _names(lake.storage, "") == ["ra/w", "raw.json", "raw/a", "raw/deep/er/b", "raw2/c"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_used(lake: Lake, name: str) -> None:
    lake.storage.write(name, b"1")
    assert lake.storage.create(name, b"2") is False
    assert lake.storage.read(name) == b"1"
    found = lake.storage.find(name)
    assert found is not None
    assert list(lake.storage.entries("raw")) == [found]
    assert list(lake.storage.entries(os.path.dirname(name))) == [found]
    lake.storage.delete(name)
    assert list(lake.storage.entries("")) == []


def test_duckdb_reads_every_symbol_as_the_venue_spells_it(lake: Lake) -> None:
    connection = lake.connect()
    paths = {}
    for symbol in SYMBOLS:
        path = f"raw/trades/{partition_path(('symbol', 'date'), (symbol, '2026-01-02'))}/0.parquet"
        with lake.storage.staging() as folder:
            staged = folder / "0.parquet"
            connection.execute(f"copy (select $1 as expected) to '{staged}'", [symbol])
            lake.storage.publish(staged, path)
        paths[symbol] = lake.storage.url(path)
    read = (
        "select expected, symbol, date::varchar from read_parquet($files, "
        "hive_partitioning = true, hive_types = {'symbol': varchar, 'date': date})"
    )
    expected = [(symbol, symbol, "2026-01-02") for symbol in sorted(SYMBOLS)]
    by_name = connection.execute(read, {"files": list(paths.values())}).fetchall()
    assert sorted(by_name) == expected
    glob = lake.storage.url("raw/trades/*/*/*.parquet")
    assert sorted(connection.execute(read, {"files": [glob]}).fetchall()) == expected


def test_a_reader_sees_the_old_bytes_or_the_new_ones(lake: Lake) -> None:
    versions = [bytes([number]) * (300_000 + 1000 * number) for number in range(8)]
    lake.storage.write("a", versions[0])
    is_done = threading.Event()
    seen = set()

    def replace() -> None:
        for turn in range(5):
            for version in versions[turn % 2 :]:
                _stage(lake.storage, "a", version)
        is_done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not is_done.is_set():
        data = lake.storage.read("a")
        assert data in versions
        seen.add(data)
    writer.join()
    assert len(seen) > 1, "the reader never met the writer"


@pytest.fixture
def atomic_create(lake: Lake) -> None:
    if isinstance(lake.storage, S3Storage) and not uses_rgw():
        pytest.skip("moto looks and then puts: now and then two of twelve win")


@pytest.mark.usefixtures("atomic_create")
def test_one_of_twelve_threads_creates_an_object(lake: Lake) -> None:
    for data in ([b"same"] * 12, [f"from {number}".encode() for number in range(12)]):
        path = f"_lease/{data[-1].decode()}"
        barrier = threading.Barrier(12)

        def race(mine: bytes, path: str = path, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return lake.storage.create(path, mine)

        with ThreadPoolExecutor(12) as pool:
            won = list(pool.map(race, data))
        assert won.count(True) == 1
        assert lake.storage.read(path) == data[won.index(True)]


@pytest.mark.usefixtures("atomic_create")
def test_one_of_twelve_processes_creates_an_object(lake: Lake) -> None:
    lake.storage.write("other", b"")  # so that children inherit connections that are in use
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(12), fork.SimpleQueue()

    def race(number: int) -> None:
        barrier.wait(30)
        results.put((number, lake.storage.create("_lease/1", f"from {number}".encode())))

    racers = [fork.Process(target=race, args=(number,)) for number in range(12)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    winners = [number for number, won in (results.get() for _ in racers) if won]
    assert [f"from {number}".encode() for number in winners] == [lake.storage.read("_lease/1")]


def test_what_was_deleted_can_be_created_again(lake: Lake) -> None:
    assert lake.storage.create("_lease/1", b"one")
    assert not lake.storage.create("_lease/1", b"one")
    lake.storage.delete("_lease/1")
    lake.storage.delete("_lease/1")
    assert lake.storage.find("_lease/1") is None
    assert lake.storage.create("_lease/1", b"two")


def test_a_listing_has_no_limit(lake: Lake) -> None:
    symbols = ["PURR/USDC", "ü", "币安人生", "100%", "a+b c"]
    keys = [(symbol, f"day {number}") for symbol in symbols for number in range(210)]
    paths = {f"raw/x/{partition_path(('symbol', 'date'), key)}/+%2B é" for key in keys}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: lake.storage.write(path, b"1"), paths))
    found = _names(lake.storage, "raw/x")
    assert len(found) == 1050
    assert set(found) == paths


def test_a_storage_goes_to_another_process(lake: Lake) -> None:
    lake.storage.write("a", b"1")  # it has connections by now
    copy = pickle.loads(pickle.dumps(lake.storage))
    assert copy.read("a") == b"1"
    assert copy.root == lake.root


def test_the_environment_of_a_lake_is_all_that_a_process_needs(lake: Lake) -> None:
    program = "import os; from ticklake.lake.storage import open_storage as o; "
    program += "o(os.environ['LAKE_ROOT']).write('a', b'from afar')"
    subprocess.run([sys.executable, "-c", program], env=_bare() | lake.env, check=True)
    assert lake.storage.read("a") == b"from afar"


def test_staging_leaves_nothing_behind_when_the_work_in_it_fails(lake: Lake) -> None:
    folders = []

    def fail_half_way() -> None:
        with lake.storage.staging() as folder:
            folders.append(folder)
            (folder / "half").write_bytes(b"?")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert not folders[0].exists()
    assert lake.storage.sweep() == 0


STAGES = """
import os, sys, time
from ticklake.lake.storage import open_storage
with open_storage(os.environ["LAKE_ROOT"]).staging() as folder:
    (folder / "half").write_bytes(b"?" * 100_000)
    print(folder, flush=True)
    if sys.argv[1] == "exit":
        os._exit(1)
    time.sleep(60)
"""


@pytest.fixture
def stage(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], Path]]]:
    """Start a process that stages a file and then ends, or lives on with it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started = []

    def start(then: str) -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", STAGES, then],
            env=_bare() | lake.env | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_sweep_removes_what_killed_processes_staged_and_nothing_else(
    lake: Lake, stage: Callable[[str], tuple[subprocess.Popen[str], Path]]
) -> None:
    exited, first = stage("exit")
    killed, second = stage("sleep")
    _, living = stage("sleep")
    exited.wait()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    with lake.storage.staging() as own:
        assert all((folder / "half").exists() for folder in (first, second, living))
        assert lake.storage.sweep() == 2
        assert not first.exists()
        assert not second.exists()
        assert (living / "half").exists()
        assert own.exists()
        assert lake.storage.sweep() == 0
    assert _names(lake.storage, "") == []


def test_a_location_that_is_no_place_is_refused() -> None:
    for location in ("", "gs://bucket/lake", "file:///lake", "s3:///lake"):
        with pytest.raises(LakeError, match="s3://bucket/prefix"):
            open_storage(location)


# A local folder


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return LocalStorage(str(tmp_path / "lake"))


def _record_steps(monkeypatch: pytest.MonkeyPatch, root: str) -> list[tuple[str, str]]:
    """Record what is made durable or gets its name, in order, as paths within the lake."""
    steps = []
    fsync, replace, link = os.fsync, os.replace, os.link

    def name(path: str | os.PathLike[str]) -> str:
        path = os.path.relpath(path, root)
        return "staged" if path.startswith("_staging") else path

    def recorded_fsync(handle: int) -> None:
        steps.append(("fsync", name(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def recorded_replace(source: Path, target: Path) -> None:
        steps.append(("name", name(target)))
        replace(source, target)

    def recorded_link(source: Path, target: Path) -> None:
        steps.append(("name", name(target)))
        link(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    monkeypatch.setattr(os, "link", recorded_link)
    return steps


@pytest.mark.parametrize("way", ["publish", "create"])
def test_bytes_are_durable_before_their_name_and_their_name_before_the_return(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    local.write("other", b"")  # the folder of the lake itself is there
    steps = _record_steps(monkeypatch, local.root)
    if way == "publish":
        _stage(local, "raw/deep/a", b"1")
    else:
        assert local.create("raw/deep/a", b"1")
    assert steps == [
        ("fsync", "staged"),
        ("fsync", "."),  # now names raw
        ("fsync", "raw"),  # now names raw/deep
        ("name", "raw/deep/a"),
        ("fsync", "raw/deep"),
    ]


def test_the_folder_of_a_new_lake_is_durable_too(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = _record_steps(monkeypatch, local.root)
    local.write("a", b"1")
    assert ("fsync", "..") in steps, "nothing made the name of the lake's own folder durable"


def test_a_publish_that_fails_leaves_the_old_bytes(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.write("a", b"old")

    def refuse(source: Path, target: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        local.write("a", b"new")
    assert local.read("a") == b"old"
    assert _names(local, "") == ["a"]
    assert local.sweep() == 0


def test_an_empty_folder_is_tidied_away_and_the_lake_is_not(local: LocalStorage) -> None:
    local.write("raw/deep/a", b"1")
    local.write("raw/b", b"1")
    local.delete("raw/deep/a")
    assert os.listdir(local.root) == ["raw"]
    assert os.listdir(f"{local.root}/raw") == ["b"]
    local.delete("raw/b")
    assert os.path.isdir(local.root)


def test_writers_and_a_tidier_of_the_same_folders_do_not_hinder_each_other(
    local: LocalStorage,
) -> None:
    def write_and_delete(writer: int) -> None:
        for turn in range(100):
            path = f"compacted/trades/date={turn % 3}/{writer}"
            local.write(path, b"1")
            assert local.read(path) == b"1"
            local.delete(path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_and_delete, range(4)))
    assert _names(local, "") == []


def test_a_file_in_the_place_of_a_folder_is_an_error_and_no_lost_race(
    local: LocalStorage,
) -> None:
    local.write("_lease", b"a file")
    with pytest.raises(OSError, match="_lease"):
        local.create("_lease/1", b"1")
    with pytest.raises(OSError, match="_lease"):
        local.write("_lease/1", b"1")


def test_a_folder_that_duckdb_would_take_for_a_pattern_is_refused(tmp_path: Path) -> None:
    for name in ("a*", "what?", "[old]"):
        with pytest.raises(LakeError, match="Choose another folder"):
            LocalStorage(str(tmp_path / name))


def test_a_sweep_leaves_alone_what_is_no_folder_of_ours(local: LocalStorage) -> None:
    local.write("a", b"1")
    os.makedirs(f"{local.root}/_staging")
    Path(local.root, "_staging", "note.txt").write_text("mine")
    assert local.sweep() == 0
    assert Path(local.root, "_staging", "note.txt").read_text() == "mine"


def _bare() -> dict[str, str]:
    """Return what a process needs that knows nothing of a lake."""
    names = ("PATH", "PYTHONPATH", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    return {name: os.environ[name] for name in names if name in os.environ}
