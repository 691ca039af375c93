"""Which parts of the lake a dbt test has passed on.

A test is a pure function of the bytes it reads, like everything else here: units of a table that
passed are not read again until their bytes or the test change. What passed is remembered in
`_cache/checks/`, so deleting that makes every test read everything once.
"""

import json
from collections.abc import Mapping

from ticklake.lake.paths import Key, partition_path
from ticklake.lake.planning import Unit
from ticklake.lake.storage import Storage
from ticklake.lake.tables import CACHE, fingerprint


class Check:
    """One test and the units it passed on."""

    def __init__(
        self,
        storage: Storage,
        name: str,
        code: str,
        unit_by: tuple[str, ...],
        units: Mapping[Key, Unit],
    ) -> None:
        self._storage, self._code = storage, code
        self._path = f"{CACHE}/checks/{name}.json"
        self._now = {
            partition_path(unit_by, key): unit.fingerprint[:32] for key, unit in units.items()
        }
        passed = self._passed()
        self.unverified = [
            unit
            for (path, mark), unit in zip(self._now.items(), units.values(), strict=True)
            if passed.get(path) != mark
        ]

    def passed(self) -> None:
        """Remember that the test passed on all units."""
        if self.unverified:
            header = json.dumps({"code": self._code, "all": fingerprint(self._now)})
            content = f"{header}\n{json.dumps(self._now)}"
            self._storage.write(self._path, content.encode())

    def _passed(self) -> Mapping[str, str]:
        try:
            header, _, units = self._storage.read(self._path).partition(b"\n")
            stored = json.loads(header)
            if stored["code"] != self._code:
                return {}
            if stored["all"] == fingerprint(self._now):
                return self._now
            found: dict[str, str] = json.loads(units)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}
        return found
