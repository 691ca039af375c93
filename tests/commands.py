"""The commands `dbt` and `ticklake`, each in a process of its own, which begins with dbt imported.

To import dbt takes 1.2 s of CPU, and the suite runs it some 200 times. So each process of a test
run keeps one that has imported it and done nothing else, and each command is a fork of that. Of our
own code nothing is imported before.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import NoReturn

OTHERS = ("boto3", "dbt.cli.main")
"""What is imported before. These start no thread, which a fork would lack."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left: its exit code, and what it wrote to stdout and stderr, as it came."""

    returncode: int
    output: str


def run(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Finished:
    """Run `dbt ...` or `ticklake ...` with an environment of its own, and wait for it."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        request = {
            "command": list(command), "cwd": str(cwd), "env": dict(env), "output": str(output),
        }  # fmt: skip
        forks = _forks()
        assert forks.stdin is not None
        assert forks.stdout is not None
        forks.stdin.write(json.dumps(request) + "\n")
        forks.stdin.flush()
        code = int(forks.stdout.readline())
        return Finished(code, output.read_text())


def places(folder: Path) -> dict[str, str]:
    """Return the environment in which dbt keeps what it writes beside the lake in a folder."""
    return {
        "TICKLAKE_DB": str(folder / "test.duckdb"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }


@cache
def _forks() -> subprocess.Popen[str]:
    """Return the process that forks. It ends when this one does, and its input with it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.commands"],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _serve() -> None:
    for name in OTHERS:
        __import__(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(command: Sequence[str], cwd: str, env: Mapping[str, str], output: str) -> NoReturn:
    """Be the command until the end of this process."""
    files = os.open(os.devnull, os.O_RDONLY), os.open(output, os.O_WRONLY | os.O_CREAT)
    for ours, theirs in ((files[0], 0), (files[1], 1), (files[1], 2)):
        os.dup2(ours, theirs)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    sys.argv = list(command)
    (script,) = entry_points(group="console_scripts", name=command[0])
    sys.exit(script.load()())


if __name__ == "__main__":
    _serve()
