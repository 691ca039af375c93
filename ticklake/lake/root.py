"""Where the lake is, and whether a lake can be there."""

import os

from ticklake.lake.errors import LakeError
from ticklake.lake.storage import Storage, open_storage

ODD = set("'\"\\*?[]")
"""What DuckDB reads in a path as a pattern, or what ends a name in SQL."""


def lake_root() -> str:
    """Return where the lake is. Raises LakeError like `open_lake`."""
    root = os.environ.get("LAKE_ROOT") or "./lake"
    _refuse_root(root)
    return root


def open_lake(root: str) -> Storage:
    """Return the storage of a lake. Raises LakeError for a path that a lake cannot be in."""
    _refuse_root(root)
    return open_storage(root)


def _refuse_root(root: str) -> None:
    place = root if "://" in root else os.path.abspath(os.path.expanduser(root))
    if odd := sorted(set(place) & ODD):
        raise LakeError(
            f"The lake cannot be in {place}: DuckDB reads {' '.join(odd)} in a path as a pattern "
            "or a quote. Choose another folder for LAKE_ROOT."
        )
    if named := [part for part in place.split("/") if "=" in part]:
        raise LakeError(
            f"The lake cannot be in {place}: readers take {named[0]} in a path for the value of a "
            "partition column. Choose another folder for LAKE_ROOT."
        )
