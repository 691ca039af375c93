"""Days on the command line."""

import re
from contextlib import suppress
from datetime import date
from typing import Any

import click


class Day(click.ParamType[date]):
    """A day written as YYYYMMDD or YYYY-MM-DD."""

    name = "YYYYMMDD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        if re.fullmatch(r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            with suppress(ValueError):
                return date.fromisoformat(value)
        return self.fail(f"{value!r} is no day like 20250801 or 2025-08-01.", param, ctx)


DAY = Day()


def refuse_backwards(start: date, end: date, options: tuple[str, str]) -> None:
    """Raise BadParameter where the end is before the start; `options` name the two."""
    first, last = options
    if end < start:
        raise click.BadParameter(f"is before {first}.", param_hint=last)
