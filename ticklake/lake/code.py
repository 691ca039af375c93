"""The fingerprint of what makes a table: its SQL or kernels, its configuration, the engines."""

import ast
import hashlib
import importlib.metadata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ticklake.lake.file_format import IN_ORDER, WRITER
from ticklake.lake.tables import fingerprint

PACKAGES = ("loaders", "ticklake")
FOLDER = Path(__file__).parents[2]
"""Where they lie."""
ENGINES = ("duckdb", "llvmlite", "numba", "numpy", "polars", "pyarrow")


def code_fingerprint(source: str, config: Mapping[str, Any], language: str) -> str:
    """Return the fingerprint of a model.

    `source` is compiled SQL, or the raw text of a Python model; then every module of ours that it
    imports, directly or through another, counts as well.
    """
    kernels = {}
    if language == "python":
        kernels = {name: _digest(name) for name in sorted(_imported(source))}
    layout = IN_ORDER if config.get("keeps_order") else WRITER
    content = [source, dict(config), language, kernels, layout, engine_versions()]
    return fingerprint(content)


@cache
def engine_versions() -> dict[str, str]:
    """Return the versions of the libraries whose change may change bytes."""
    return {name: importlib.metadata.version(name) for name in ENGINES}


def _imported(source: str) -> set[str]:
    """Return our modules that a source text imports, all the way down."""
    found: set[str] = set()
    waiting = [(source, "")]
    while waiting:
        for name in _names(*waiting.pop()):
            path = _path(name)
            if path is not None and name not in found:
                found.add(name)
                package = name if path.name == "__init__.py" else name.rpartition(".")[0]
                waiting.append((path.read_text(), package))
    return found


@cache
def _names(source: str, package: str) -> frozenset[str]:
    """Return our modules that a text imports, with the packages they lie in."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(
        ".".join(parts[:length])
        for parts in (name.split(".") for name in names)
        if parts[0] in PACKAGES
        for length in range(2, len(parts) + 1)  # the packages themselves make no table
    )


@cache
def _path(module: str) -> Path | None:
    """Return the file of a module, None where there is none. Imports nothing to find it."""
    place = FOLDER.joinpath(*module.split("."))
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


@cache
def _digest(module: str) -> str:
    path = _path(module)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
