"""Running dbt from a command, in this process."""

import os
from collections.abc import Sequence

from ticklake.lake.errors import LakeError

NO_VIEWS = ("--exclude", "config.materialized:view")
"""For a run that makes no views of lake tables: SQL views would miss them."""


def run_dbt(arguments: Sequence[str]) -> None:
    """Run dbt in the current folder. Raises LakeError where it did not succeed."""
    if not os.path.exists("dbt_project.yml"):
        raise LakeError(
            f"There is no dbt_project.yml in {os.getcwd()}. Run this in the folder of the project."
        )
    from dbt.cli.main import dbtRunner  # takes over a second to import: only where it is needed

    result = dbtRunner().invoke(list(arguments))
    if not result.success:
        why = f": {result.exception}" if result.exception else "; its messages are above."
        raise LakeError(f"dbt did not succeed{why}")
