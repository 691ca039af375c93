"""`ticklake erasures`: which wallets and symbols were erased, and how to undo it."""

import click

from ticklake.lake.root import lake_root


@click.group()
def erasures() -> None:
    """Wallets and symbols that `ticklake delete` has erased, and that landing leaves out."""


@erasures.command("list")
def list_() -> None:
    """List what was erased. A wallet is shown as the SHA-256 of its address in lower case."""
    from ticklake.lake.erasures import erasures_in_force
    from ticklake.lake.storage import open_storage

    storage = open_storage(lake_root())
    found = erasures_in_force(storage)
    for item in found:
        click.echo(str(item))
    if not found:
        click.echo(f"Nothing was erased from {storage.root}.")


@erasures.command()
def apply() -> None:
    """Erase everything on the list again: what collectors have brought back, or a run that died."""
    from ticklake.commands.delete import show_affected
    from ticklake.lake.erasing import erase
    from ticklake.lake.storage import open_storage

    show_affected(erase(open_storage(lake_root())))


@erasures.command()
@click.option("--user", help="The wallet: 0x and 40 hexadecimal digits.")
@click.option("--symbol", help="The symbol.")
@click.option("--exchange", help="The exchange, if the symbol was erased of one exchange only.")
def lift(user: str | None, symbol: str | None, exchange: str | None) -> None:
    """Let landing bring a wallet or a symbol back. What was erased has to be landed again."""
    from ticklake.lake.erasures import erasure_of_symbol, erasure_of_user
    from ticklake.lake.erasures import lift as lift_erasure
    from ticklake.lake.storage import open_storage

    if (user is None) == (symbol is None) or (user is not None and exchange is not None):
        raise click.UsageError("Give --user, or --symbol and, if it was given then, --exchange.")
    erasure = erasure_of_symbol(symbol, exchange) if user is None else erasure_of_user(user)
    lift_erasure(open_storage(lake_root()), erasure)
    click.echo(f"Lifted: {user or erasure}. `ticklake land ... --force` lands it again.")
