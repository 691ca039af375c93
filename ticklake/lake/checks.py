"""Which parts of the lake a dbt test has passed on.

A test is a pure function of the bytes it reads, like everything else here: units of a table that
passed are not read again until their bytes or the test change. What passed is remembered in
`_cache/checks/`, so deleting that makes every test read everything once.
"""

import json
from collections.abc import Mapping, Sequence

from ticklake.lake.paths import Key, partition_path
from ticklake.lake.planning import Input, Unit, units_of
from ticklake.lake.storage import Storage
from ticklake.lake.tables import CACHE, fingerprint


class Tested:
    """The units of some tables that a test reads together, with a mark of the content of each."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        first, *others = inputs
        unit_by = [
            column for column in first.columns if all(column in other.columns for other in others)
        ]
        self.units: dict[Key, Unit] = units_of(inputs, unit_by, code="")
        self.marks = {
            partition_path(unit_by, key): unit.fingerprint[:32] for key, unit in self.units.items()
        }
        self.mark_of_all = fingerprint(self.marks)


class Check:
    """One test and the units it passed on."""

    def __init__(
        self, storage: Storage, name: str, code: str, tested: Tested, by_unit: bool
    ) -> None:
        self._storage, self._code, self._tested = storage, code, tested
        self._path = f"{CACHE}/checks/{name}.json"
        passed = self._passed()
        self.has_passed = passed is tested.marks
        """Whether the test passed on all there is, so that there is nothing to run."""
        if not by_unit and not self.has_passed:
            passed = {}
        self.unverified = [
            unit
            for (path, mark), unit in zip(
                tested.marks.items(), tested.units.values(), strict=True
            )
            if passed.get(path) != mark
        ]  # fmt: skip

    def passed(self) -> None:
        """Remember that the test passed on all units."""
        if not self.has_passed:
            header = json.dumps({"code": self._code, "all": self._tested.mark_of_all})
            content = f"{header}\n{json.dumps(self._tested.marks)}"
            self._storage.write(self._path, content.encode())

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
