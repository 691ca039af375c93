"""`ticklake quarantine`: what could not be used, why, and what to do with it."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ticklake.lake.errors import LakeError
from ticklake.lake.root import lake_root

if TYPE_CHECKING:
    from ticklake.lake.quarantine import SetAside
    from ticklake.lake.storage import Storage

PREFIX = "quarantine/"


@click.group()
def quarantine() -> None:
    """Raw segments that cannot be used, and source objects or rows that could not be read."""


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List what is in quarantine: type of error, rows or bytes, path, message."""
    storage, held = _held()
    if not held and not as_json:
        click.echo(f"Nothing of {storage.root} is in quarantine.")
    for item in held.values():
        rejected = item.about.get("rejected")
        rows = sum(rejected.values()) if isinstance(rejected, dict) else None
        is_superseded = item.is_segment and storage.find(item.path) is not None
        if as_json:
            about = {"path": item.path, "size": item.size, "rows": rows, "files": item.files}
            click.echo(json.dumps({**item.about, **about, "is_superseded": is_superseded}))
            continue
        amount = f"{item.size:,} bytes" if rows is None else f"{rows:,} rows"
        note = " (raw/ has it again: the next build decides)" if is_superseded else ""
        click.echo(f"{item.error_type:16} {amount:>16}  {item.path}  {item.message}{note}")


@quarantine.command()
@click.argument("path")
def show(path: str) -> None:
    """Show all that is known of one PATH of the list."""
    storage, held = _held()
    (item,) = _named(held, [path])
    click.echo(json.dumps(item.about, indent=2, ensure_ascii=False))
    for file in item.files:
        click.echo(storage.url(file))


@quarantine.command()
@click.argument("paths", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="Everything that is in quarantine.")
def retry(paths: tuple[str, ...], all_: bool) -> None:
    """Put segments back into raw/, where the next build looks at them again.

    Source objects are read again by `ticklake land`: the command is printed.
    """
    if bool(paths) == all_:
        raise click.UsageError("Name one or more paths, or say --all.")
    from ticklake.lake.lease import writing
    from ticklake.lake.quarantine import put_back

    storage, held = _held()
    chosen = list(held.values()) if all_ else _named(held, paths)
    segments = [item for item in chosen if item.is_segment]
    if segments:
        with writing(storage, "ticklake quarantine retry") as lake:
            for item in segments:
                put_back(lake, item.path)
                click.echo(f"{item.path} is back in raw/.")
        click.echo("`dbt build` looks at them again.")
    for item in chosen:
        if not item.is_segment:
            click.echo(f"{item.path}: {_how_to_land_again(item)}")


@quarantine.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do it.")
def drop(paths: tuple[str, ...], yes: bool) -> None:
    """Delete PATHS from quarantine for good. A build then no longer knows of them."""
    from ticklake.lake.lease import writing
    from ticklake.lake.quarantine import forget

    storage, held = _held()
    chosen = _named(held, paths)
    size = sum(item.size for item in chosen)
    if not yes:
        raise click.ClickException(
            f"Would delete {len(chosen)} things ({size:,} bytes) for good. Say --yes to do it."
        )
    with writing(storage, "ticklake quarantine drop") as lake:
        forget(lake, [item.path for item in chosen])
    click.echo(f"Deleted {len(chosen)} things ({size:,} bytes).")


def _held() -> "tuple[Storage, dict[str, SetAside]]":
    from ticklake.lake.quarantine import things_set_aside
    from ticklake.lake.storage import open_storage

    storage = open_storage(lake_root())
    return storage, things_set_aside(storage)


def _named(held: "Mapping[str, SetAside]", paths: Sequence[str]) -> "list[SetAside]":
    wanted = [path.removeprefix(PREFIX).rstrip("/") for path in paths]
    unknown = [path for path in wanted if path not in held]
    if unknown:
        raise LakeError(
            f"There is no {', '.join(unknown)} in quarantine. "
            "`ticklake quarantine list` shows the paths."
        )
    return [held[path] for path in dict.fromkeys(wanted)]


def _how_to_land_again(item: "SetAside") -> str:
    again = item.about.get("again")
    if again:
        return f"when its source is mended, run: {again}"
    source = item.about.get("source", "its source")
    return f"when {source} is mended, land it again with `ticklake land ... --force`."
