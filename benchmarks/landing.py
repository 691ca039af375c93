"""Landing six hours of 400,000 fills: the usual script beside `ticklake land`.

python -m benchmarks.landing
"""

import json
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from benchmarks.measure import HEADER, measure

FILES = 6
FILLS = 400_000
THREADS = 12
DAY = date(2025, 8, 1)


def main() -> None:
    """Measure both ways in one run and print them as a table."""
    source = prepare()
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        usual = measure([sys.executable, "-m", "benchmarks.landing", "usual", str(source), folder])
        day = f"{DAY:%Y%m%d}"
        ours = measure(
            [
                *(sys.executable, "-m", "ticklake.cli", "land", "hyperliquid"),
                *("--source", str(source), "--start", day, "--end", day),
            ],
            {"LAKE_ROOT": f"{folder}/lake"},
        )
    print(f"\nLanding {FILES} hours of {FILLS:,} fills\n{HEADER}")
    print(usual.row("usual script"))
    print(ours.row("ticklake land"))
    print(
        f"{usual.wall / ours.wall:.1f} times faster, "
        f"{usual.peak_bytes / ours.peak_bytes:.1f} times less memory"
    )


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


if __name__ == "__main__":
    if sys.argv[1:2] == ["usual"]:
        usual_script(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
