"""The DuckDB file with the views on a lake: whether it can be used."""

import logging
import os
import re
from pathlib import Path

import duckdb

from ticklake.lake.errors import LakeError
from ticklake.lake.paths import LAYERS, RAW
from ticklake.lake.root import ODD

MEMORY = ":memory:"
TAKEN = {RAW, *LAYERS, "seeds", "main", "temp", "system", "memory", "information_schema"}
"""Names of schemas and of databases that DuckDB has itself."""
LOG = logging.getLogger(__name__)


def make_usable(database: str) -> None:
    """Make sure that a DuckDB file can be opened for writing, or made.

    A file that DuckDB cannot read is put aside: it has views and seeds, which a build makes again.
    Raises LakeError if another process uses it, and for a name that DuckDB would mistake.
    """
    refuse_name(database)
    if database == MEMORY or "://" in database or database.startswith("md:"):
        return
    file = Path(database)
    if file.is_dir():
        raise LakeError(f"{database} is a folder. Set TICKLAKE_DB to the path of a DuckDB file.")
    if not file.exists():
        if not file.absolute().parent.is_dir():
            raise LakeError(
                f"There is no folder {file.absolute().parent} for the DuckDB file. Make it, or set "
                "TICKLAKE_DB to another path."
            )
        return
    try:
        duckdb.connect(database).close()
    except duckdb.ConnectionException:  # open in this process already
        return
    except duckdb.Error as error:
        if is_locked(error):
            raise LakeError(held(database, error)) from None
        if not is_unreadable(error):
            raise LakeError(f"{database} cannot be opened: {error}") from None
        aside = file.with_name(f"{file.name}.unreadable")
        os.replace(file, aside)
        file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
        LOG.warning(
            "%s is not a DuckDB file that this version can read. It is now %s, and is made again.",
            database,
            aside,
        )


def refuse_name(database: str) -> None:
    """Raise LakeError for a name that DuckDB would mistake for another."""
    name = Path(database).stem
    if database == MEMORY:
        return
    if name.lower() in TAKEN or set(name) & ODD:
        raise LakeError(
            f"A DuckDB file cannot be called {Path(database).name} here: SQL would take {name} for "
            "a schema, another database or a quote. Set TICKLAKE_DB to a path with another name."
        )


def is_locked(error: Exception) -> bool:
    """Say whether another process keeps DuckDB from opening a file."""
    text = str(error)
    return "Could not set lock" in text or "already attached" in text


def is_unreadable(error: Exception) -> bool:
    """Say whether a file is not a database, is cut or damaged, or is of another version."""
    kinds = (
        duckdb.IOException,
        duckdb.SerializationException,
        duckdb.InternalException,
        duckdb.FatalException,
    )
    return isinstance(error, kinds) and "Cannot open file" not in str(error)


def held(database: str, error: Exception) -> str:
    """Return what to say of a DuckDB file that another process uses."""
    who = re.search(r"\(PID \d+\)", str(error))
    return (
        f"{database} is used by another process{f' {who[0]}' if who else ''}, perhaps a build. "
        "Wait until it is done, or set TICKLAKE_DB to another path. `ticklake.read` in Python "
        "needs no such file."
    )
