"""`ticklake delete`: remove a range of raw segments, or erase a wallet or a symbol."""

import sys
from datetime import date
from typing import TYPE_CHECKING

import click

from ticklake.commands.dates import DAY, refuse_backwards
from ticklake.lake.root import lake_root

if TYPE_CHECKING:
    from ticklake.lake.erasing import Affected
    from ticklake.lake.erasures import Erasure
    from ticklake.lake.storage import Storage

SHOWN = 20


@click.command()
@click.option("--user", help="Erase this wallet: 0x and 40 hexadecimal digits.")
@click.option("--table", help="A raw channel: raw.trades.")
@click.option("--exchange", help="Only this exchange.")
@click.option("--symbol", help="Only this symbol; without --table: erase this symbol.")
@click.option("--from", "start", type=DAY, help="First day.")
@click.option("--to", "end", type=DAY, help="Last day, included.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
def delete(
    user: str | None,
    table: str | None,
    exchange: str | None,
    symbol: str | None,
    start: date | None,
    end: date | None,
    yes: bool,
) -> None:
    """Delete raw segments of a range of days, or erase a wallet or a symbol for good.

    With --table, --from and --to: delete the raw segments of these days, and forget that they were
    landed. The next `dbt build` drops what depended on them; `ticklake land` of these days lands
    them again. Tables that are built cannot be deleted from: they would come back with the next
    build.

    With --user: remove the rows of a wallet from raw and from quarantine, empty its mentions in
    rows of others, and drop the partitions that were built of them, which the next `dbt build`
    builds again. The lake remembers it, so landing leaves the wallet out from then on, also with
    --force. With --symbol and no --table: the same for a symbol, of all exchanges or of --exchange.
    `ticklake erasures` lists what was erased, and lifts it.

    Without --yes it shows what would be deleted and asks, or ends with exit code 1 if there is
    nobody to ask. One that was killed is finished by the same command.
    """
    if user is None and table is not None:
        if start is None or end is None:
            raise click.UsageError("--table needs --from and --to.")
        _delete_range(table, exchange, symbol, start, end, yes=yes)
        return
    if user is None and symbol is None:
        raise click.UsageError("Give --table with --from and --to, or --user, or --symbol.")
    if user is not None and (exchange is not None or symbol is not None or table is not None):
        raise click.UsageError("--user erases a wallet everywhere: give no other option but --yes.")
    if start is not None or end is not None:
        raise click.UsageError(
            "A wallet or a symbol is erased for all days. "
            "To delete a range of days, give --table with --from and --to."
        )
    from ticklake.lake.erasures import erasure_of_symbol, erasure_of_user
    from ticklake.lake.storage import open_storage

    erasure = erasure_of_symbol(symbol, exchange) if user is None else erasure_of_user(user)
    _erase(open_storage(lake_root()), erasure, user or str(erasure), yes=yes)


def _delete_range(
    table: str, exchange: str | None, symbol: str | None, start: date, end: date, *, yes: bool
) -> None:
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
    _ask(f"delete {what} in {storage.root}", yes=yes)
    carry_out(storage, deletion)
    click.echo(f"Deleted {what}. `dbt build` drops what depended on them.")


def _erase(storage: "Storage", erasure: "Erasure", name: str, *, yes: bool) -> None:
    from ticklake.lake.erasing import erase, find_affected
    from ticklake.lake.erasures import Erasures

    if not yes:
        show_affected(find_affected(storage, Erasures.of(erasure)))
        _ask(f"erase {name} in {storage.root}", yes=False)
        erase(storage, erasure)
    else:
        show_affected(erase(storage, erasure))
    click.echo(
        f"Erased {name}. Landing leaves it out from now on; `ticklake erasures list` shows what is "
        "remembered. `dbt build` builds the dropped partitions again."
    )


def show_affected(affected: "Affected") -> None:
    """Print what an erasure changes: rows per raw channel, partitions per table, quarantine."""
    for channel, (segments, found) in affected.by_channel().items():
        click.echo(
            f"  {channel}: {found.rows:,} rows to remove, {found.mentions:,} rows of others with a "
            f"mention to empty, in {segments:,} segments"
        )
    for table, (partitions, rows) in affected.by_table().items():
        click.echo(f"  {table}: {partitions:,} partitions to drop and build again, {rows:,} rows")
    if affected.rejects:
        lines = sum(affected.rejects.values())
        click.echo(f"  quarantine: {lines:,} rejected lines to empty")
    if affected.set_aside:
        rows = sum(found.rows for found in affected.set_aside.values())
        click.echo(f"  quarantine: {len(affected.set_aside):,} segments, {rows:,} rows to remove")
    if not affected:
        click.echo("  The lake has no row of it now.")
    for title, paths in (
        ("cannot be edited, and may hold it: `ticklake quarantine drop`", affected.opaque),
        ("cannot be read, and may hold it: delete it or land it again", affected.unreadable),
    ):
        for path in paths[:SHOWN]:
            click.echo(f"  {path} {title}")
        if len(paths) > SHOWN:
            click.echo(f"  ... and {len(paths) - SHOWN:,} more")


def _ask(what: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.ClickException(f"Would {what}. Say --yes to do it.")
    click.confirm(f"{what[0].upper()}{what[1:]}?", abort=True)
