"""Odd but legitimate data of every kind, in one lake that is built once.

Each module `sources_<topic>.py` here has a function `write(folder: Path) -> list[Command]`. It
writes the topic's source files below a folder of its own and returns the `ticklake land` commands
that land them. The fixture `odd` lands all of them, in the order of the modules' names, and runs
`dbt build` once for the whole test run. The modules `test_<topic>.py` say what must be in the lake
then.

Give each topic an exchange or symbols of its own, so that no topic changes what another one claims.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """One `ticklake land` command, without the words `ticklake land`, and its exit code."""

    arguments: tuple[str, ...]
    expect: int = 0


def land_with(*arguments: object, expect: int = 0) -> Command:
    """Return a command from its arguments."""
    return Command(tuple(map(str, arguments)), expect)


def sources(folder: Path) -> Iterator[Command]:
    """Write the sources of all topics, and yield the commands that land them."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    for name in names:
        if name.startswith("sources_"):
            topic = folder / name.removeprefix("sources_")
            topic.mkdir(parents=True)
            yield from importlib.import_module(f"{__name__}.{name}").write(topic)
