"""Days on the command line."""

import re
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import click


class Day(click.ParamType[date]):
    """A day written as YYYYMMDD."""

    name = "YYYYMMDD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        if re.fullmatch(r"[0-9]{8}", value):
            with suppress(ValueError):
                return datetime.strptime(value, "%Y%m%d").date()
        return self.fail(f"{value!r} is no day like 20250801.", param, ctx)


DAY = Day()
