"""`ticklake unlock`: end the lease of a writer that is known to be gone."""

import click

from ticklake.commands.sql import lake_root


@click.command()
def unlock() -> None:
    """End the lease on the lake, whoever holds it. Only when that writer no longer runs."""
    from ticklake.lake.lease import break_lease
    from ticklake.lake.storage import open_storage

    storage = open_storage(lake_root())
    holder = break_lease(storage)
    click.echo(f"Ended the lease of {holder}." if holder else f"{storage.root} has no writer.")
