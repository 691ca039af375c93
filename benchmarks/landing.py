"""Landing six hours of 400,000 fills: the usual script beside `ticklake land`.

Peak memory is the largest sum of resident sizes over all processes of a run, looked up in /proc
every 20 ms. Pages that processes share count once for each of them.

    python -m benchmarks.landing
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

FILES = 6
FILLS = 400_000
THREADS = 12
DAY = date(2025, 8, 1)
SAMPLE_EVERY_S = 0.02
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def main() -> None:
    """Measure both ways in one run and print them as a table."""
    source = prepare()
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        usual = measure(
            [sys.executable, "-m", "benchmarks.landing", "usual", str(source), folder], {}
        )
        day = f"{DAY:%Y%m%d}"
        ticklake = measure(
            [
                *(sys.executable, "-m", "ticklake.cli", "land", "hyperliquid"),
                *("--source", str(source), "--start", day, "--end", day),
            ],
            {"LAKE_ROOT": f"{folder}/lake"},
        )
    table = Table(title=f"Landing {FILES} hours of {FILLS:,} fills, {os.cpu_count()} cores")
    for heading in ("", "wall s", "CPU s", "peak MB"):
        table.add_column(heading, justify="right")
    for name, cost in (("usual script", usual), ("ticklake land", ticklake)):
        table.add_row(
            name, f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_bytes / 1e6:,.0f}"
        )
    table.add_row(
        "ratio",
        f"{usual.wall_s / ticklake.wall_s:.1f}",
        f"{usual.cpu_s / ticklake.cpu_s:.1f}",
        f"{usual.peak_bytes / ticklake.peak_bytes:.1f}",
    )
    Console().print(table)


def prepare() -> Path:
    """Return a folder with the source files, written on the first call on a machine."""
    from ticklake.sample.archive import write_sample

    folder = Path(tempfile.gettempdir()) / f"ticklake-bench-hours-{FILES}x{FILLS}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for _ in write_sample(
            unfinished, start=DAY, days=1, seed=1, fills_per_hour=FILLS, hours=FILES
        ):
            pass
        unfinished.rename(folder)
    return folder


def usual_script(source: Path, target: Path) -> None:
    """Land the way most scripts do: read all, parse all, one list of dicts, one data frame."""
    import lz4.frame
    import polars

    def hour(path: Path) -> None:
        text = lz4.frame.decompress(path.read_bytes())
        rows = []
        for line in text.splitlines():
            block = json.loads(line)
            for user, fill in block["events"]:
                rows.append(
                    {
                        "local_time": block["local_time"],
                        "block_time": block["block_time"],
                        "block_number": block["block_number"],
                        "user": user,
                        **fill,
                    }
                )
        frame = polars.DataFrame(rows, infer_schema_length=None)
        frame.write_parquet(target / f"{path.stem}.parquet", compression="zstd")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(hour, sorted(source.rglob("*.lz4"))))


def measure(command: list[str], env: Mapping[str, str]) -> Cost:
    """Run a command and return what it and its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, start_new_session=True
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(SAMPLE_EVERY_S)
    wall = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, peak)


def _resident(session: int) -> int:
    """Return the resident bytes of all processes of a session."""
    total = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    total += int(fields[21]) * PAGE
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
    return total


if __name__ == "__main__":
    if sys.argv[1:2] == ["usual"]:
        usual_script(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
