"""Computing published partitions again from their inputs, and comparing the bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ticklake.lake.building import build
from ticklake.lake.errors import LakeError
from ticklake.lake.paths import Key, partition_path, project
from ticklake.lake.planning import Plan, Selection, Unit
from ticklake.lake.storage import LocalStorage
from ticklake.lake.tables import DATA, LakeTable
from ticklake.lake.tasks import Recipe
from ticklake.lake.verifying import Problem


@dataclass
class Comparison:
    """What computing a table again showed."""

    location: str
    same: int = 0
    """Partitions that have the bytes they had."""
    not_compared: int = 0
    """Units that are not up to date, so that nothing says which bytes they should have."""
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.same} partitions the same, {len(self.problems)} problems"


def compare(
    recipe: Recipe,
    table: LakeTable,
    plan: Plan,
    units: Mapping[Key, Unit],
    selection: Selection,
    hold_lease: Callable[[], object],
) -> Comparison:
    """Compute the units of a selection that are up to date in a scratch lake and compare.

    Units of one date at a time, as a build does it, and each file is removed once it is hashed.
    """
    model = recipe.model
    stale = {unit.key for unit, _ in (*plan.dirty, *plan.blocked)}
    chosen = {key for key in units if selection.contains(model.unit_by, key)} - stale
    comparison = Comparison(model.location, not_compared=len(stale))
    failures: dict[str, str] = {}
    with table.storage.staging() as folder:
        scratch = LakeTable(LocalStorage(str(folder)), model.location, model.partition_by)
        hashed: set[Key] = set()

        def after_partition() -> None:
            hold_lease()
            for key in scratch.published.keys() - hashed:
                scratch.storage.delete(f"{scratch.folder(key)}/{DATA}")
                hashed.add(key)

        again = Plan(dirty=[(units[key], "compare") for key in sorted(chosen)])
        try:
            report = build(recipe, scratch, again, "", after_partition, table.storage)
            failures = {
                partition_path(model.unit_by, key): why for key, why in report.failures.items()
            }
        except LakeError as error:  # the model or the machine: nothing can be said of any unit
            chosen, failures = set(), {"": str(error)}
    comparison.problems += [
        Problem(
            f"{model.location}/{where}".rstrip("/"),
            f"could not be computed again: {why}",
            "mend that, then verify again",
        )
        for where, why in failures.items()
    ]
    for key in sorted(scratch.published.keys() | table.published.keys()):
        unit = project(model.partition_by, key, model.unit_by)
        if unit not in chosen or partition_path(model.unit_by, unit) in failures:
            continue
        before, after = table.published.get(key), scratch.published.get(key)
        if before and after and before.sha256 == after.sha256:
            comparison.same += 1
            continue
        what = (
            "computed again from its inputs it has other bytes" if before and after
            else "computed again from its inputs there is no such partition" if before
            else "is missing: its inputs yield it"
        )  # fmt: skip
        comparison.problems.append(Problem(table.folder(key), what))
    return comparison
