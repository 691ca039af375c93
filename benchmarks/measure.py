"""Running a command and seeing what it took: wall and CPU seconds, and peak memory."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
LOOK_EVERY = 0.05  # seconds


@dataclass(frozen=True)
class Cost:
    """What a command took, with all its child processes."""

    wall: float
    cpu: float
    peak_bytes: int
    """The largest sum of resident memory over the process tree, sampled every 50 ms."""
    output: str

    def row(self, name: str) -> str:
        """Return a line for a table."""
        return f"{name:44s} {self.wall:8.2f} s {self.cpu:8.2f} s {self.peak_bytes / 2**20:8,.0f} MB"


HEADER = f"{'':44s} {'wall':>10s} {'CPU':>10s} {'peak':>11s}"


def measure(command: Sequence[str], env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end. Raises RuntimeError with its output where it fails."""
    os.sync()  # what an earlier command still has to write is not this one's work
    before = os.times()
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peak = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_EVERY):
            peak[0] = max(peak[0], _tree_memory(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    done.set()
    watcher.join()
    wall = time.perf_counter() - start
    after = os.times()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return Cost(wall, used, peak[0], output)


def _tree_memory(root: int) -> int:
    """Return the resident memory of a process and all its descendants."""
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting.extend(map(int, (task / "children").read_text().split()))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total
