"""Which units of a table have to be built, and why. Pure functions over what is in the lake.

A unit is the part of a table that is planned, computed and fingerprinted as one: all partitions
that agree on the `unit_by` columns. It depends on exactly those input partitions that agree with it
on the columns they share, on the look-back days where a definition needs them, and on the code. Of
an input that has a partition a month a day reads its own. So late, changed and removed inputs and
changed code are one case: the fingerprint differs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from ticklake.lake.errors import LakeError
from ticklake.lake.paths import Key, partition_path, project
from ticklake.lake.tables import Partition, Published, fingerprint

TO_BE_BUILT = "to be built"
"""Stands for the fingerprint of a partition that a plan would build and nobody has built yet."""

ANY_INPUT = "*"
"""As `closed_by`: every input with all `unit_by` columns."""


@dataclass(frozen=True)
class Input:
    """One input of a table: its partitions, and how many days back a unit looks into it."""

    name: str
    columns: tuple[str, ...]
    partitions: Mapping[Key, Partition]
    lookback: int = 0
    views: tuple[str, ...] = ()
    """Views through which it is read: `closed_by` and `units_from` may name them."""
    _groups: dict[Key, "_Groups"] = field(default_factory=dict, repr=False, compare=False)

    def is_called(self, name: str | None) -> bool:
        """Say whether this is the input of a name, or of any with none."""
        return name is None or name == self.name or name in self.views

    def groups(self, shared: Key) -> "_Groups":
        """Return the partitions by their values of some columns; put in order once."""
        if shared not in self._groups:
            self._groups[shared] = _Groups(self, shared)
        return self._groups[shared]


@dataclass(frozen=True)
class Unit:
    """One unit: the input partitions it is a function of, and the fingerprint of all that."""

    key: Key
    inputs: Mapping[str, tuple[Partition, ...]]
    is_closed: bool
    fingerprint: str
    own_inputs: frozenset[str] = frozenset()
    """Inputs whose partitions no other unit of the same days reads."""

    @property
    def damaged_input(self) -> str | None:
        """Name an input that cannot be read, if there is one."""
        for name, parts in self.inputs.items():
            for part in parts:
                if part.damage:
                    return f"{name} {'/'.join(part.key)} is damaged ({part.damage})"
        return None

    @property
    def size(self) -> int:
        """Bytes of input. What other units read too counts only where nothing else is read."""
        return sum(
            part.size
            for name, parts in self.inputs.items()
            for part in parts
            if not self.own_inputs or name in self.own_inputs
        )


@dataclass(frozen=True)
class Selection:
    """The part of a table that a run may touch: days from `start` to `end`, both included."""

    start: str | None = None
    end: str | None = None
    exchanges: frozenset[str] | None = None
    symbols: frozenset[str] | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The partition columns that it narrows."""
        dates = {"date", "month"} if self.start or self.end else set()
        names = {"exchange": self.exchanges, "symbol": self.symbols}
        return frozenset(dates | {name for name, wanted in names.items() if wanted is not None})

    def contains(self, columns: Sequence[str], key: Key) -> bool:
        """Say whether a unit lies in the selection. Columns it does not have never exclude it."""
        values = dict(zip(columns, key, strict=True))
        day = values.get("date") or values.get("month")
        if day is not None:  # a month is compared by its first seven characters
            if self.start is not None and day < self.start[: len(day)]:
                return False
            if self.end is not None and day > self.end[: len(day)]:
                return False
        return all(
            wanted is None or column not in values or values[column] in wanted
            for column, wanted in (("exchange", self.exchanges), ("symbol", self.symbols))
        )


@dataclass
class Plan:
    """What a build would do to one table."""

    dirty: list[tuple[Unit, str]] = field(default_factory=list)
    """Units to build, in order, each with the reason."""
    dropped: list[Key] = field(default_factory=list)
    """Partitions whose inputs are gone."""
    blocked: list[tuple[Unit, str]] = field(default_factory=list)
    """Units that cannot be built before an input is mended, each with what to do."""
    unchanged: int = 0
    """Partitions that are up to date."""
    stale_outside: int = 0
    """Units that are not up to date and not selected."""

    @property
    def is_done(self) -> bool:
        """Say whether a build has nothing to do."""
        return not (self.dirty or self.dropped or self.blocked)


def units_of(
    inputs: Sequence[Input],
    unit_by: Sequence[str],
    code: str,
    closed_by: str | None = None,
    units_from: str | None = None,
) -> dict[Key, Unit]:
    """Return every unit that the inputs give rise to.

    A unit exists where an input that has all `unit_by` columns has a partition; with `units_from`
    just that input counts, and the others are looked up for what it has. With `closed_by`, a
    unit also depends on one more fact: whether that input, or any with `*`, has a partition of a
    later date, that is, whether its day is over.
    """
    leading = [
        item for item in inputs if set(unit_by) <= set(item.columns) and item.is_called(units_from)
    ]
    _refuse_half_views(inputs, leading, unit_by, units_from)
    if not leading:
        named = ", ".join(f"{item.name} ({', '.join(item.columns)})" for item in inputs) or "none"
        raise LakeError(
            f"No input has all columns of unit_by ({', '.join(unit_by)}), so nothing says which "
            f"units there are. Inputs: {named}. Set unit_by to columns that an input has, and "
            "units_from, where it is set, to the name of such an input."
        )
    keys = {project(item.columns, key, unit_by) for item in leading for key in item.partitions}
    indexes = [_Index(item, unit_by) for item in inputs]
    last_dates = _last_dates(inputs, unit_by, closed_by)
    own_inputs = frozenset(item.name for item in inputs if set(unit_by) <= set(item.columns))
    units = {}
    for key in sorted(keys):
        values = dict(zip(unit_by, key, strict=True))
        groups = [index.keys(values) for index in indexes]
        found = {
            index.input.name: index.groups.partitions(keys)
            for index, keys in zip(indexes, groups, strict=True)
        }
        is_closed = closed_by is not None and values["date"] < last_dates.get(
            tuple(value for column, value in values.items() if column != "date"), ""
        )
        content: list[Any] = [code, is_closed]
        for index, own in zip(indexes, groups, strict=True):
            content.append([index.input.name, index.groups.content(own)])
        units[key] = Unit(key, found, is_closed, fingerprint(content), own_inputs)
    return units


def _refuse_half_views(
    inputs: Sequence[Input],
    leading: Sequence[Input],
    unit_by: Sequence[str],
    units_from: str | None,
) -> None:
    """Raise LakeError where only some tables behind a view would say which units there are."""
    for item in inputs:
        for view in item.views:
            leads = [other.name for other in leading if view in other.views]
            if leads and item not in leading and item.is_called(units_from):
                raise LakeError(
                    f"{view} has rows of {item.name}, which has partitions by "
                    f"{', '.join(item.columns)}: it does not say which {', '.join(unit_by)} there "
                    f"are, and units of {' and '.join(leads)} alone would leave its rows out. Set "
                    "unit_by to columns that both have, or units_from to another input."
                )


def plan_table(
    units: Mapping[Key, Unit],
    published: Mapping[Key, Published],
    *,
    partition_by: Sequence[str],
    unit_by: Sequence[str],
    code: str,
    empty_units: Mapping[str, str],
    selection: Selection,
    full_refresh: bool = False,
) -> Plan:
    """Compare what should be with what is."""
    by_unit: dict[Key, list[Published]] = {}
    for key, item in published.items():
        by_unit.setdefault(project(partition_by, key, unit_by), []).append(item)
    plan = Plan()
    for key, unit in units.items():
        existing = by_unit.get(key, [])
        is_known_empty = empty_units.get(partition_path(unit_by, key)) == unit.fingerprint
        reason = _reason(unit, existing, code, is_known_empty)
        if not selection.contains(unit_by, key):
            plan.stale_outside += reason is not None
            plan.unchanged += len(existing)
        elif reason and unit.damaged_input:
            plan.blocked.append((unit, f"{unit.damaged_input}; build that table first"))
        elif full_refresh or reason:
            plan.dirty.append((unit, "full refresh" if full_refresh else str(reason)))
        else:
            plan.unchanged += len(existing)
    for key in by_unit.keys() - units.keys():
        if selection.contains(unit_by, key):
            plan.dropped.extend(item.key for item in by_unit[key])
    plan.dropped.sort()
    return plan


def _reason(
    unit: Unit, existing: Iterable[Published], code: str, is_known_empty: bool
) -> str | None:
    existing = list(existing)
    if not existing:
        return None if is_known_empty else "missing"
    for item in existing:
        if item.damage:
            return f"damaged: {item.damage}"
    if any(item.code != code for item in existing):
        return "code changed"
    if any(item.inputs != unit.fingerprint for item in existing):
        parts = (part for parts in unit.inputs.values() for part in parts)
        is_guess = any(part.fingerprint == TO_BE_BUILT for part in parts)
        return "an input is to be built" if is_guess else "input changed"
    if any(item.unit_partitions != len(existing) for item in existing):
        return f"missing: {existing[0].unit_partitions - len(existing)} of its partitions"
    return None


class _Groups:
    """The partitions of one input by their values of some columns, in order, and their content."""

    def __init__(self, item: Input, shared: Sequence[str]) -> None:
        self._found: dict[Key, list[Partition]] = {}
        self._content: dict[Key, list[list[str]]] = {}
        for key in sorted(item.partitions):
            group, part = project(item.columns, key, shared), item.partitions[key]
            self._found.setdefault(group, []).append(part)
            content = [partition_path(item.columns, key), part.fingerprint]
            self._content.setdefault(group, []).append(content)

    def partitions(self, groups: Iterable[Key]) -> tuple[Partition, ...]:
        """Return the partitions of some groups."""
        return tuple([part for group in groups for part in self._found.get(group, ())])

    def content(self, groups: Iterable[Key]) -> list[list[str]]:
        """Return the path and the fingerprint of each of these partitions."""
        return [part for group in groups for part in self._content.get(group, ())]


class _Index:
    """What a unit reads of one input, by the columns that it shares with the units."""

    def __init__(self, item: Input, unit_by: Sequence[str]) -> None:
        self.input = item
        shared = [column for column in unit_by if column in item.columns]
        if "date" in unit_by and "month" in item.columns and "month" not in unit_by:
            shared.append("month")
        self._shared = tuple(shared)
        if item.lookback and "date" not in self._shared:
            raise LakeError(
                f"lookback on {item.name} needs a date that both it and unit_by have. "
                "Add 'date' to unit_by, or leave the lookback out."
            )
        self.groups = item.groups(self._shared)

    def keys(self, values: Mapping[str, str]) -> list[Key]:
        """Return the groups that a unit reads: look-back days first, then its own."""
        if "date" in values:
            values = {"month": values["date"][:7], **values}
        return [
            tuple(
                [
                    values[column] if column != "date" or not days else _days_before(values, days)
                    for column in self._shared
                ]
            )
            for days in range(self.input.lookback, -1, -1)
        ]


def _days_before(values: Mapping[str, str], days: int) -> str:
    return (date.fromisoformat(values["date"]) - timedelta(days=days)).isoformat()


def _last_dates(
    inputs: Sequence[Input], unit_by: Sequence[str], closed_by: str | None
) -> dict[Key, str]:
    """Return the last date of the `closed_by` input for each unit key without its date."""
    if closed_by is None:
        return {}
    closing = [
        item
        for item in inputs
        if (closed_by == ANY_INPUT or item.is_called(closed_by))
        and set(unit_by) <= set(item.columns)
    ]
    if not closing or set(unit_by) != {"exchange", "date"}:
        raise LakeError(
            f"closed_by names {closed_by!r}: that has to be an input with exchange and date, or * "
            f"for any such, and unit_by has to be these two, not {', '.join(unit_by)}."
        )
    without_date = [column for column in unit_by if column != "date"]
    last: dict[Key, str] = {}
    for item in closing:
        for key in item.partitions:
            group = project(item.columns, key, without_date)
            (day,) = project(item.columns, key, ["date"])
            last[group] = max(day, last.get(group, ""))
    return last
