"""`ticklake sql`: ask the lake a question."""

import os
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import click

from ticklake.lake.errors import LakeError
from ticklake.lake.root import lake_root

WIDTH = 180
MAKE_VIEWS = "dbt run --select config.materialized:view"


def ask(query: str) -> str:
    """Return the result of a query on the views that `dbt build` made, as a text table."""
    import duckdb

    from ticklake.lake.connection import prepare, reach
    from ticklake.lake.database import held, is_locked, is_unreadable, refuse_name
    from ticklake.lake.storage import open_storage
    from ticklake.lake.views import views_of_another_lake

    storage = open_storage(lake_root())
    default = "s3.duckdb" if storage.root.startswith("s3://") else "local.duckdb"
    database = Path(os.environ.get("TICKLAKE_DB") or default)
    refuse_name(str(database))
    if not database.exists():
        raise LakeError(
            f"There is no DuckDB file {database}. `{MAKE_VIEWS}` makes it, with the views of all "
            "tables that the lake has."
        )
    try:
        opened = duckdb.connect(str(database), read_only=True)
    except duckdb.Error as error:
        if is_locked(error):
            raise LakeError(held(str(database), error)) from None
        if is_unreadable(error):
            raise LakeError(
                f"{database} is not a DuckDB file that this version can read. `{MAKE_VIEWS}` "
                "puts it aside and makes it again."
            ) from None
        raise LakeError(f"{database} cannot be opened: {error}") from None
    reach(storage)
    with opened as connection:
        prepare(connection, storage)
        if views_of_another_lake(connection, storage):
            raise LakeError(
                f"The views in {database} read another lake than {storage.root}. `dbt run` makes "
                "them again for this one, or TICKLAKE_DB names another file."
            )
        try:
            relation = connection.sql(query)
            with redirect_stdout(StringIO()) as text:
                if relation is not None:
                    relation.show(max_width=WIDTH)
        except duckdb.Error as error:
            raise LakeError(str(error)) from None
        return text.getvalue()


@click.command()
@click.argument("query")
def sql(query: str) -> None:
    """Print the result of QUERY, or of the file that QUERY names.

    Tables are `compacted.fills`, `compacted.trades`, `bars.time_bars`, ...: `show all tables`.
    """
    path = Path(query)
    click.echo(
        ask(path.read_text() if path.suffix == ".sql" and path.is_file() else query), nl=False
    )
