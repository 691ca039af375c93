"""`ticklake unlock`: end the lease of a writer that is known to be gone."""

import click

from ticklake.lake.root import lake_root


@click.command()
def unlock() -> None:
    """End the leases on the lake, whoever holds them. Only if these writers no longer run."""
    from ticklake.lake.lease import break_leases
    from ticklake.lake.storage import open_storage

    storage = open_storage(lake_root())
    holders = break_leases(storage)
    for holder in holders:
        click.echo(f"Ended the lease of {holder}.")
    if not holders:
        click.echo(f"{storage.root} has no writer.")
