"""Which parts of the lake a dbt test has passed on.

A test is a pure function of the bytes it reads, like everything else here: units of a table that
passed are not read again until their bytes or the test change. What passed is remembered in
`_cache/checks/`, so deleting that makes every test read everything once.

Units that this run could not build are left out: the run says so itself.

Where a run is narrowed to some days, exchanges or symbols, tables may differ outside of these. So a
test that compares tables reads units that lie inside; the next run that is not narrowed reads the
others.
"""

import json
from collections.abc import Mapping, Sequence

from ticklake.lake.paths import Key, partition_path
from ticklake.lake.planning import Input, Selection, Unit, units_of
from ticklake.lake.storage import Storage
from ticklake.lake.tables import CACHE, fingerprint, save_if_possible


class Tested:
    """The units of some tables that a test reads together, with a mark of the content of each."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        first, *others = inputs
        unit_by = [
            column for column in first.columns if all(column in other.columns for other in others)
        ]
        self.columns = tuple(unit_by)
        self.other_columns = {column for item in inputs for column in item.columns} - {*unit_by}
        self.is_one_table = not others
        self.units: dict[Key, Unit] = units_of(inputs, unit_by, code="")
        self.marks = {
            partition_path(unit_by, key): unit.fingerprint[:32] for key, unit in self.units.items()
        }
        self.mark_of_all = fingerprint(self.marks)


class Check:
    """One test and the units it passed on."""

    def __init__(
        self,
        storage: Storage,
        name: str,
        code: str,
        tested: Tested,
        by_unit: bool,
        selection: Selection,
    ) -> None:
        self._storage, self._code, self._tested = storage, code, tested
        self._path = f"{CACHE}/checks/{name}.json"
        passed = self._passed()
        self._has_passed = passed is tested.marks
        if not by_unit and not self._has_passed:
            passed = {}
        unverified = {
            path: unit
            for (path, mark), unit in zip(tested.marks.items(), tested.units.values(), strict=True)
            if passed.get(path) != mark
        }
        chosen = {
            path: unit
            for path, unit in unverified.items()
            if _is_chosen(tested, unit, by_unit, selection) and not unit.damaged_input
        }
        self.unverified = [*chosen.values()]
        self.is_done = self._has_passed or (bool(unverified) and not chosen)
        """Whether there is nothing to run: it passed on all there is to be looked at."""
        self._left_out = unverified.keys() - chosen.keys()

    def passed(self) -> None:
        """Remember that the test passed on all units that were to be looked at."""
        if self._has_passed:
            return
        marks = {path: it for path, it in self._tested.marks.items() if path not in self._left_out}
        mark_of_all = None if self._left_out else self._tested.mark_of_all
        header = json.dumps({"code": self._code, "all": mark_of_all})
        content = f"{header}\n{json.dumps(marks)}".encode()
        save_if_possible(self._storage, self._path, content)

    def _passed(self) -> Mapping[str, str]:
        try:
            header, _, units = self._storage.read(self._path).partition(b"\n")
            stored = json.loads(header)
            if stored["code"] != self._code:
                return {}
            if stored["all"] == self._tested.mark_of_all:
                return self._tested.marks
            found: dict[str, str] = json.loads(units)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}
        return found


def _is_chosen(tested: Tested, unit: Unit, by_unit: bool, selection: Selection) -> bool:
    """Say whether a test can judge a unit in a run that is narrowed to a selection."""
    if tested.is_one_table:
        return True
    if not by_unit:  # it reads everything
        return not selection.columns
    is_whole = not selection.columns & tested.other_columns  # else only a part of it is selected
    return is_whole and selection.contains(tested.columns, unit.key)
