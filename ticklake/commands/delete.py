"""`ticklake delete`: remove a range of raw segments."""

import sys
from datetime import date

import click

from ticklake.commands.dates import DAY, refuse_backwards
from ticklake.commands.sql import lake_root

SHOWN = 20


@click.command()
@click.option("--table", required=True, help="A raw channel: raw.trades.")
@click.option("--exchange", help="Only this exchange.")
@click.option("--symbol", help="Only this symbol, of channels that are stored by symbol.")
@click.option("--from", "start", type=DAY, required=True, help="First day.")
@click.option("--to", "end", type=DAY, required=True, help="Last day, included.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
def delete(
    table: str, exchange: str | None, symbol: str | None, start: date, end: date, yes: bool
) -> None:
    """Delete raw segments of a range of days, and forget that they were landed.

    The next `dbt build` drops what depended on them; `ticklake land` of these days lands them
    again. Tables that are built cannot be deleted from: they would come back with the next build.

    Without --yes it shows what would be deleted and asks, or ends with exit code 1 where there is
    nobody to ask. One that was killed is finished by the same command.
    """
    from ticklake.lake.deletion import carry_out, plan_deletion
    from ticklake.lake.planning import Selection
    from ticklake.lake.storage import open_storage

    refuse_backwards(start, end, ("--from", "--to"))
    storage = open_storage(lake_root())
    selection = Selection(
        start=start.isoformat(),
        end=end.isoformat(),
        exchanges=frozenset([exchange]) if exchange else None,
        symbols=frozenset([symbol]) if symbol else None,
    )
    deletion = plan_deletion(storage, table, selection)
    if not deletion.segments and not deletion.ledger:
        click.echo(f"{deletion.table.name} has nothing in that range.")
        return
    what = (
        f"{len(deletion.segments):,} segments ({deletion.size:,} bytes) of {deletion.table.name}, "
        f"and {len(deletion.ledger):,} ledger entries"
    )
    folders = sorted({entry.path.rpartition("/")[0] for entry in deletion.segments})
    for folder in folders[:SHOWN]:
        click.echo(f"  {folder}")
    if len(folders) > SHOWN:
        click.echo(f"  ... and {len(folders) - SHOWN:,} more partitions")
    if not yes:
        if not sys.stdin.isatty():
            raise click.ClickException(
                f"Would delete {what} in {storage.root}. Say --yes to do it."
            )
        click.confirm(f"Delete {what} in {storage.root}?", abort=True)
    carry_out(storage, deletion)
    click.echo(f"Deleted {what}. `dbt build` drops what depended on them.")
