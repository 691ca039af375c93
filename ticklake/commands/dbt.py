"""Running dbt from a command, in this process."""

import os
from collections.abc import Sequence

from ticklake.lake.errors import LakeError


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


def run_models_only(mode: str, arguments: Sequence[str]) -> None:
    """Run `dbt build` in a mode that publishes nothing: an environment variable that models heed.

    Seeds are loaded: their content counts as code of the models that read them. SQL views are left
    out, as they would miss the views of lake tables. Raises LakeError like `run_dbt`.
    """
    os.environ[mode] = "1"
    os.environ["TICKLAKE_DB"] = ":memory:"  # the views of the real one stay, and it may be in use
    silence = ["--log-level", "error", "--log-level-file", "none"]
    types = ["--resource-type", "model", "--resource-type", "seed"]
    no_views = ["--exclude", "config.materialized:view"]
    run_dbt([*silence, "build", *arguments, *types, *no_views])
