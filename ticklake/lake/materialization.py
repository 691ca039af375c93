"""The Python half of `macros/materializations/`: what Jinja asks for.

`call` answers Jinja's `lake_call(function, arguments)`. Models and tests of a run ask side by side:
one is planned at a time, and what is built is built by the workers.
"""

import json
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any

import duckdb
from dbt_common.clients.agate_helper import table_from_rows

from ticklake.lake.catalog import listed
from ticklake.lake.checks import Check, Tested
from ticklake.lake.code import code_fingerprint
from ticklake.lake.connection import prepare
from ticklake.lake.determinism import reads_only_the_lake
from ticklake.lake.errors import LakeError
from ticklake.lake.inputs import input_files, set_files
from ticklake.lake.paths import RAW, Key, partition_path
from ticklake.lake.planning import TO_BE_BUILT, Plan, Selection, Unit, plan_table, units_of
from ticklake.lake.quarantine import Problem, SetAside, things_set_aside
from ticklake.lake.report import Report
from ticklake.lake.session import Session, close_session, session_of
from ticklake.lake.specs import NULLS_FIRST, InputSpec, ModelSpec, ViewSpec
from ticklake.lake.tables import LakeTable, Partition, fingerprint
from ticklake.lake.views import Layout, lake_views, layouts_with_files

PLAN_ONLY = "TICKLAKE_PLAN_ONLY"
"""Environment variable: plan every model and build none."""
COMPARE_ONLY = "TICKLAKE_COMPARE_ONLY"
"""Environment variable: compute what is up to date again and compare it; publish nothing."""
DIE_AFTER = "TICKLAKE_DIE_AFTER"
"""Environment variable for tests: end the process at once after so many published partitions."""
PASSED = table_from_rows([(0, False, False)], ("failures", "should_warn", "should_error"))
"""What dbt takes for the result of a test that passed."""


def call(database: duckdb.DuckDBPyConnection, function: str, arguments: Mapping[str, Any]) -> Any:
    """Answer one question of Jinja's: the name of a function below, and its arguments."""
    values = dict(arguments)
    session = session_of(values.pop("invocation"), values.pop("root"))
    session.database = database
    try:
        if function == "build_model":
            return _build_model(session, **values)
        with session.lock:
            return _FUNCTIONS[function](session, **values)
    except LakeError as error:
        return {"error": str(error)}


def _begin_check(
    session: Session,
    *,
    test: str,
    code: Any,
    by_unit: bool,
    inputs: Sequence[Mapping[str, Any]],
    is_build: bool,
    selection: Mapping[str, Any],
) -> Any:
    """Plan a test like a model: it has to read the units that it has not passed on yet.

    A test whose verdict is not made of verdicts on units reads everything when anything changed.
    The answer is the result of a test that has passed on all there is, else a file for each input,
    with the list of what to read of it.
    """
    specs = [_input(item) for item in inputs]
    locations = tuple(item.location for item in specs)
    for item in specs:
        _refuse_damage(session, item)
    if locations not in session.tested:
        session.tested[locations] = Tested([session.input(item) for item in specs])
    tested = session.tested[locations]
    chosen = _selection(selection)
    check = Check(session.storage, test, fingerprint(code), tested, by_unit, chosen)
    if check.is_done:
        return {"result": PASSED}
    files = _files_to_check(session, specs, check.unverified, code[0])
    raw = tuple(f"{item.location}/" for item in specs if item.is_raw)
    problems = {
        path: item for path, item in session.screening.problems.items() if path.startswith(raw)
    }
    if problems and not is_build:
        (path, problem), *others = sorted(problems.items())
        more = f" Nor can {len(others)} more." if others else ""
        raise LakeError(
            f"{path} cannot be used ({problem.error_type}: {problem.message}).{more} "
            "`dbt build` sets it aside."
        )
    session.checks[test] = check
    return {"lists": {name: _list_file(session, found) for name, found in files.items()}}


def _list_file(session: Session, files: Sequence[str]) -> str:
    """Write the names of files into one, so that SQL and its log can be short; return its path."""
    path = session.scratch / f"{uuid.uuid4().hex}.json"
    path.write_text(json.dumps(files))
    return str(path)


def _files_to_check(
    session: Session, specs: Sequence[InputSpec], units: Sequence[Unit], query: str
) -> dict[str, list[str]]:
    """Return the files that a test reads, without raw segments that cannot be used.

    Tests of raw sources run before what is built from them, so that an error would keep the build
    from setting such segments aside. These tests are tried here; others come after the build.
    """

    def files() -> dict[str, list[str]]:
        storage, left_out = session.storage, session.screening.problems
        return input_files(session.memory, specs, units, storage.url, session.scratch, left_out)

    session.screening.look(specs, units)
    if units and all(item.is_raw for item in specs):
        with duckdb.connect() as connection:
            prepare(connection, session.storage)
            set_files(connection, files())
            try:
                connection.execute(f"select count(*) from ({query}) as tested").fetchall()
            except duckdb.Error:
                for unit in units:
                    session.screening.pages(specs, unit)
    return files()


def _refuse_damage(session: Session, spec: InputSpec) -> None:
    """Raise LakeError where a table has a partition that cannot be tested."""
    if spec.is_raw:
        return
    for item in session.lake_table(spec.location, spec.partition_by).published.values():
        if item.damage:
            path = f"{spec.location}/{partition_path(spec.partition_by, item.key)}"
            raise LakeError(f"{path} is damaged: {item.damage}. `dbt build` repairs it.")


def _pass_check(session: Session, *, test: str, query: str, tables: Sequence[str]) -> Any:
    if not session.screening.problems:  # else it has not seen all
        with session.database.cursor() as cursor:
            if reads_only_the_lake(cursor, query, tables, session.functions):
                session.checks[test].passed()
    return {}


def _unusable_segments(session: Session) -> Any:
    """Return the raw segments in quarantine, and those that the next build will put there."""
    storage, problems = session.storage, session.screening.problems
    aside = things_set_aside(storage, RAW)
    found: dict[str, SetAside | Problem] = {
        path: item for path, item in aside.items() if storage.find(path) is None
    }
    return [
        {"path": path, "error_type": item.error_type, "message": item.message}
        for path, item in sorted((found | problems).items())
    ]


def _begin_run(
    session: Session,
    *,
    channels: Mapping[str, Sequence[Layout]],
    built: Mapping[str, Sequence[Layout]],
) -> Any:
    """Return by what each table has files, and which tables that are built need no other view.

    Tables are given as location -> layouts: the partition columns by which files may lie. It also
    shows once and clearly where the lake cannot be reached.
    """
    next(iter(session.storage.entries("_lease")), None)
    layouts = layouts_with_files(session.storage, {**channels, **built})
    with session.database.cursor() as cursor:
        views = lake_views(cursor, session.storage)
    return {
        "layouts": layouts,
        "with_views": [
            location for location in built if views.get(location) is (location in layouts)
        ],
    }


def _end_run(session: Session) -> Any:
    """Close the session. The answer says what to warn of, and which units could not be built."""
    try:
        session.remove_left_over()
    finally:
        close_session()
    return {"warnings": _unknown_names(session), "failed": "\n".join(session.failed) or None}


def _unknown_names(session: Session) -> list[str]:
    """Return a sentence for each var with names that nothing has of what the models read."""
    found = []
    for column, names in session.asked.items():
        there = session.seen.get(column, set())
        if there and (unknown := sorted(names - there)):
            close = get_close_matches(unknown[0], there, 1)
            found.append(
                f"Nothing that these models read has the {column} {', '.join(unknown)}, which the "
                f"var `{column}s` names, so nothing was built of it. "
                + (f"Is {close[0]} meant? " if close else "")
                + f"There is {listed(sorted(there))}."
            )
    return found


def _build_model(session: Session, **spec: Any) -> Any:
    """Plan a model, build what is left to do, and return what its materialization reports."""
    with session.lock:
        planner, plan, result = _plan_model(session, spec)
        if result is None:
            session.tested.clear()
    return result or _built(session, spec, planner, plan)


def _plan_model(
    session: Session, spec: Mapping[str, Any]
) -> "tuple[_Planner, Plan, dict[str, Any] | None]":
    """Plan a model. The last answer is its result if there is nothing to do, else none."""
    is_plan_only = bool(os.environ.get(PLAN_ONLY))
    model = _model(spec)
    config = {
        **spec["config"],
        "seeds": [_seed_fingerprint(session, name) for name in spec["seeds"]],
        "input types": {item.name: dict(item.columns) for item in model.inputs},
    }
    code = code_fingerprint(spec["code"], config, spec["language"])
    is_comparison = bool(os.environ.get(COMPARE_ONLY))
    if is_comparison:
        session.hold_lease()
    planner, plan = _planned(session, model, code, spec)
    is_dry_run = is_plan_only or spec["is_dry_run"]
    if not (plan.is_done or is_dry_run) and session.hold_lease():
        planner, plan = _planned(session, model, code, spec)  # another writer may have been there
    table = planner.table
    session.plans[model.name] = (model, plan)
    if is_comparison:
        return planner, plan, None
    if is_plan_only:
        dirty = [unit.key for unit, _ in plan.dirty]
        session.pending[model.location] = _stand_ins(model, table.published, dirty)
        message = f"{len(plan.dirty)} units to build, {len(plan.dropped)} partitions to drop"
        return planner, plan, {"message": message, "rows": 0, "is_plan": True}
    if spec["is_dry_run"]:  # dbt's --empty: everything but building
        plan = Plan(unchanged=len(table.published))
    else:
        plan = planner.screened(plan, full_refresh=spec["full_refresh"])
    wanted = {partition_path(model.unit_by, key) for key in planner.units}
    for path in table.empty_units.keys() - wanted:
        del table.empty_units[path]
    if not plan.is_done:
        return planner, plan, None
    table.save_cache()
    report = Report(unchanged=plan.unchanged, stale_outside=plan.stale_outside)
    if not is_dry_run:
        session.renewed[model.location] = model.partition_by
    result = _result(planner, report) | {"view_comment": _view_comment(session, model)}
    return planner, plan, result


def _view_made(session: Session, *, location: str, behind: Sequence[Mapping[str, Any]]) -> Any:
    """Take note of a view: what an earlier version stored under its name is removed at the end.

    It stays while no table behind the view has anything.
    """
    tables = [session.lake_table(item["location"], item["partition_by"]) for item in behind]
    if any(table.published for table in tables):
        session.renewed[location] = ()
    return {}


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "begin_check": _begin_check,
    "pass_check": _pass_check,
    "unusable_segments": _unusable_segments,
    "view_made": _view_made,
    "begin_run": _begin_run,
    "end_run": _end_run,
}


def _built(
    session: Session, spec: Mapping[str, Any], planner: "_Planner", plan: Plan
) -> dict[str, Any]:
    """Do what is planned; return what the materialization reports to Jinja."""
    from ticklake.lake.tasks import Recipe

    model, table, code = planner.model, planner.table, planner.code
    seeds = {_place(name): _seed_rows(session, name) for name in spec["seeds"]}
    recipe = Recipe(model, spec["language"], spec["compiled_code"], spec["path"], seeds)
    if os.environ.get(COMPARE_ONLY):
        from ticklake.lake.comparing import compare

        selection = _selection(spec["selection"])
        comparison = compare(recipe, table, plan, planner.units, selection, session.hold_lease)
        session.comparisons[model.name] = comparison
        return {"message": str(comparison), "rows": 0, "is_plan": True}
    from ticklake.lake.building import build, failed_units

    report = build(recipe, table, plan, code, _after_partition(session), raw=planner)
    with session.lock:
        if report.failures:
            if report.failures.keys() >= planner.units.keys():  # the model is at fault, not a unit
                raise LakeError(failed_units(model, plan, report))
            session.failed.append(failed_units(model, plan, report))
            failed = _stand_ins(model, table.published, report.failures, "it could not be built")
            session.pending[model.location] = failed
            session.tested.clear()
        built = {unit.key for unit, _ in plan.dirty} - report.failures.keys()
        session.release(unit for key, unit in planner.units.items() if key in built)
        session.renewed[model.location] = model.partition_by
    # Types that no contract fixes follow the inputs: then the view has to be made again.
    comment = _view_comment(session, model) if model.columns else None
    return _result(planner, report) | {"view_comment": comment}


def _result(planner: "_Planner", report: Report) -> dict[str, Any]:
    report.set_aside = planner.set_aside
    published = planner.table.published.values()
    return {
        "message": str(report),
        "rows": report.rows,
        "is_plan": False,
        "has_partitions": any(item.damage is None for item in published),
        "code": planner.code,
    }


def _view_comment(session: Session, model: ModelSpec) -> str | None:
    """Return the comment on a table's view; None where there is none."""
    with session.database.cursor() as cursor:
        found = cursor.execute(
            """select comment from duckdb_views()
            where database_name = current_database() and schema_name = ? and view_name = ?""",
            model.location.split("/"),
        ).fetchone()
    return found[0] if found else None


def _planned(
    session: Session, model: ModelSpec, code: str, spec: Mapping[str, Any]
) -> "tuple[_Planner, Plan]":
    """Compare what should be of a model with what is in the lake now."""
    table = session.lake_table(model.location, model.partition_by)
    planner = _Planner(session, model, table, code, _selection(spec["selection"]))
    return planner, planner.plan(full_refresh=spec["full_refresh"])


class _Planner:
    """Plans one model, and keeps raw segments that cannot be used out of its way."""

    def __init__(
        self,
        session: Session,
        model: ModelSpec,
        table: LakeTable,
        code: str,
        selection: Selection,
    ) -> None:
        self.model, self.table, self.code = model, table, code
        self._session, self._selection = session, selection
        self.units: Mapping[Key, Unit] = {}
        self.set_aside = 0

    def plan(self, *, full_refresh: bool) -> Plan:
        """Compare what should be with what is."""
        model, table = self.model, self.table
        inputs = [self._session.input(item) for item in model.inputs]
        self._session.note(self._selection, inputs)
        self.units = units_of(inputs, model.unit_by, self.code, model.closed_by, model.units_from)
        return plan_table(
            self.units,
            table.published,
            partition_by=model.partition_by,
            unit_by=model.unit_by,
            code=self.code,
            empty_units=table.empty_units,
            selection=self._selection,
            full_refresh=full_refresh,
        )

    def screened(self, plan: Plan, *, full_refresh: bool = False) -> Plan:
        """Set aside what the units to build cannot be built from, and plan without it."""
        while True:
            dirty = [unit for unit, _ in plan.dirty]
            problems = self._session.screening.look(self.model.inputs, dirty)
            if not problems:
                return plan
            self._set_aside(problems)
            plan = self.plan(full_refresh=full_refresh)

    def unreadable(self, unit: Unit) -> Mapping[str, Problem]:
        with self._session.lock:
            return self._session.screening.pages(self.model.inputs, unit)

    def plan_without(self, problems: Mapping[str, Problem], units: Collection[Key]) -> Plan:
        with self._session.lock:
            self._set_aside(problems)
            plan = self.screened(self.plan(full_refresh=False))
        return Plan(dirty=[(unit, why) for unit, why in plan.dirty if unit.key in units])

    def _set_aside(self, problems: Mapping[str, Problem]) -> None:
        self._session.hold_lease()
        self._session.set_aside(problems)
        self.set_aside += len(problems)


def _stand_ins(
    model: ModelSpec, published: Iterable[Key], units: Iterable[Key], damage: str | None = None
) -> dict[Key, Partition]:
    """Return stand-ins for the partitions of units that a build would write, or could not.

    Their fingerprint is new, so that a plan shows what depends on them; with `damage` nothing is
    built from them. The values of columns that only the data decide are shown as `?`.
    """
    found = {}
    for unit in units:
        values = dict(zip(model.unit_by, unit, strict=True))
        keys = [
            key
            for key in published
            if all(
                values.get(column, value) == value
                for column, value in zip(model.partition_by, key, strict=True)
            )
        ] or [tuple(values.get(column, "?") for column in model.partition_by)]
        found.update({key: Partition(key, (), 0, TO_BE_BUILT, damage) for key in keys})
    return found


def _place(relation: str) -> str:
    """Return the `schema.name` of a relation."""
    return ".".join(relation.replace('"', "").split(".")[-2:])


def _seed_rows(session: Session, relation: str) -> bytes:
    """Return the rows of a seed as an Arrow stream."""
    import pyarrow as pa

    with session.database.cursor() as cursor:
        rows = cursor.execute(f"from {relation}").to_arrow_table()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())


def _seed_fingerprint(session: Session, relation: str) -> str:
    """Return the fingerprint of a seed as it is in DuckDB now: that is what the model reads."""
    with session.database.cursor() as cursor:
        try:
            columns = cursor.execute(f"describe {relation}").fetchall()
        except duckdb.CatalogException:
            raise LakeError(
                f"The seed {relation} is not loaded. Run `dbt seed`, or `dbt build`, which loads "
                "it."
            ) from None
        content = cursor.execute(
            f"select count(*), cast(sum(hash(seed)) as varchar) from {relation} as seed"
        ).fetchone()
    return fingerprint([relation, [column[:2] for column in columns], content])


def _model(spec: Mapping[str, Any]) -> ModelSpec:
    config = spec["config"]
    partition_by = tuple(config["partition_by"])
    unit_by = tuple(config["unit_by"] or partition_by)
    order_by = tuple(config["order_by"] or ())
    names = [item.removesuffix(NULLS_FIRST) for item in order_by]
    is_plain = names and not any(" " in name for name in names)
    if config["keeps_order"] and (unit_by != partition_by or not is_plain):
        raise LakeError(
            f"Model {spec['name']}: keeps_order needs unit_by to be partition_by, and order_by to "
            f'name columns, with "{NULLS_FIRST}" behind them or nothing. Leave keeps_order out, or '
            "change these."
        )
    return ModelSpec(
        name=spec["name"],
        location=spec["location"],
        partition_by=partition_by,
        unit_by=unit_by,
        order_by=order_by,
        columns=spec["columns"],
        inputs=tuple(_input(item) for item in spec["inputs"]),
        time_column=config["time_column"],
        closed_by=config["closed_by"],
        units_from=config.get("units_from"),
        keeps_order=config["keeps_order"],
        views=tuple(
            ViewSpec(
                item["location"], item["query"], tuple(item["tables"]), tuple(item["order_by"])
            )
            for item in config.get("views", ())
        ),
    )


def _input(item: Mapping[str, Any]) -> InputSpec:
    return InputSpec(
        name=item["name"],
        location=item["location"],
        partition_by=tuple(item["partition_by"]),
        columns=item["columns"],
        is_raw=item["is_raw"],
        lookback=item.get("lookback", 0),
        required=tuple(item.get("required", ())),
        views=tuple(item.get("views", ())),
    )


def _selection(values: Mapping[str, Any]) -> Selection:
    def names(value: Any) -> frozenset[str] | None:
        if value is None:
            return None
        return frozenset(map(str, [value] if isinstance(value, str) else value))

    start, end = _day("from", values["from"]), _day("to", values["to"])
    if start is not None and end is not None and end < start:
        raise LakeError(
            f"The var `to` is {end}, before `from`, which is {start}: nothing is between."
        )
    return Selection(
        start=start,
        end=end,
        exchanges=names(values["exchanges"]),
        symbols=names(values["symbols"]),
    )


def _day(name: str, value: Any) -> str | None:
    """Return a day, written as YYYYMMDD or YYYY-MM-DD, as partitions have it."""
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise LakeError(f"The var `{name}` is {value}, which is no day like 2025-08-01.") from None


def _after_partition(session: Session) -> Callable[[], None]:
    """Return what runs after each partition: a count, and the end that a test asked for."""
    limit = os.environ.get(DIE_AFTER)

    def after_partition() -> None:
        session.partitions_published += 1
        if limit is not None and session.partitions_published >= int(limit):
            os._exit(9)

    return after_partition
