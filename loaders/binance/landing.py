"""Landing what was chosen, and a second choice for what that could not give.

A monthly file may be broken, or lack days or parts of days that have daily files; a daily file may
be broken while the monthly one is whole. In the end a daily file stays beside the monthly one only
if it has more rows of its day; the rows that both have are dropped as duplicates by the build.
"""

from collections.abc import Callable

from loaders.binance.archive import Series, days_of, is_month
from loaders.binance.request import (
    LOADER,
    Plan,
    Wanted,
    double_of,
    find,
    incomplete_days,
    listed,
    periods_landed,
    rows_held,
)
from loaders.landing import Report, State, Summary, land
from ticklake.lake.raw import read_ledger, release, withdraw
from ticklake.lake.storage import Storage, open_storage

Say = Callable[[str], None]
States = dict[tuple[Series, str], State]


def land_plan(plan: Plan, report: Report, say: Say) -> Summary:
    """Land what a plan has chosen, and what stands in for files that are not enough."""
    storage = open_storage(plan.root)
    chosen = [(item.series, period) for item in plan.wanted for period in item.periods]
    summary, states = _land(plan, chosen, report)
    if plan.cadence is None:
        more = _second_choice(plan, storage, states, say)
        if more:
            added, others = _land(plan, more, report)
            summary = _joined(summary, added)
            states |= others
    _take_out_doubles(storage, plan, say)
    _settle(storage, plan, summary, states)
    return summary


def _land(plan: Plan, chosen: list[tuple[Series, str]], report: Report) -> tuple[Summary, States]:
    request = plan.request(chosen)
    summary = land(request, report)
    by_path = {outcome.path: outcome.state for outcome in summary.outcomes}
    states = {
        pair: by_path[item.path]
        for pair, item in zip(chosen, request.items, strict=True)
        if item.path in by_path
    }
    return summary, states


def _joined(first: Summary, second: Summary) -> Summary:
    first.outcomes += second.outcomes
    first.missing += second.missing
    first.seconds += second.seconds
    return first


def _second_choice(
    plan: Plan, storage: Storage, states: States, say: Say
) -> list[tuple[Series, str]]:
    """Return the files to land for days that the first choice did not give."""
    more: list[tuple[Series, str]] = []
    for item in plan.wanted:
        if item.is_by_month:
            days, why = _days_to_fill(item, plan, storage, states)
            if days:
                say(f"{item.series.symbol} {item.span.month}: {why}. Daily files are tried.")
            more += [(item.series, day) for day in days]
        elif _month_for_broken_days(item, plan, states):
            say(
                f"{item.series.symbol} {item.span.month}: not all daily files can be used. The "
                "monthly file is tried."
            )
            more.append((item.series, item.span.month))
    return more


def _days_to_fill(
    item: Wanted, plan: Plan, storage: Storage, states: States
) -> tuple[list[str], str]:
    """Return the days that a monthly file did not give, or not whole, and why."""
    one, month = item.series, item.span.month
    state = states.get((one, month))
    entry = read_ledger(storage, LOADER, one.name(month))
    if state == "quarantined" and entry is None:
        return list(item.span.days), "its monthly file cannot be used"
    if state in (None, "failed") or not one.has_rows_every_day:
        return [], ""
    held = rows_held(storage, one, month)
    lacking = [day for day in item.span.days if day not in held]
    partial = [day for day in incomplete_days(storage, one, month) if day in item.span.days]
    daily = find(plan.source, [(one, day) for day in partial])
    partial = [day for day in partial if (one, day) in daily]
    whys = [f"its monthly file has no rows of {listed(lacking)}"] * bool(lacking)
    whys += [f"its monthly file has only part of {listed(partial)}"] * bool(partial)
    return sorted({*lacking, *partial}), " and ".join(whys)


def _month_for_broken_days(item: Wanted, plan: Plan, states: States) -> bool:
    """Return whether the monthly file can stand in for daily files that are broken."""
    one, month = item.series, item.span.month
    is_broken = any(states.get((one, day)) == "quarantined" for day in item.periods)
    return (
        is_broken
        and double_of(one, month, plan.landed) is None
        and (one, month) in find(plan.source, [(one, month)])
    )


def _take_out_doubles(storage: Storage, plan: Plan, say: Say) -> None:
    """Take out the daily files that have no more rows of their day than the monthly file."""
    landed = periods_landed(storage)
    months = dict.fromkeys((item.series, item.span.month) for item in plan.wanted)
    for one, month in months:
        periods = landed.get(one, set())
        daily = [day for day in days_of(month) if day in periods]
        if month not in periods or not daily:
            continue
        held = rows_held(storage, one, month)
        twice = []
        for day in daily:
            count = rows_held(storage, one, day)[day]
            if held[day] >= count:
                twice.append(day)
            elif held[day]:
                say(
                    f"{one.symbol} {day}: the daily file has {count:,} rows, the monthly file "
                    f"{held[day]:,}. Both are kept; what they have in common counts once."
                )
        for day in twice:
            withdraw(storage, LOADER, one.name(day))
        if twice:
            replaced = listed(twice)
            say(f"{one.symbol} {month}: the monthly file replaces the daily files of {replaced}.")


def _settle(storage: Storage, plan: Plan, summary: Summary, states: States) -> None:
    """Take files out of quarantine whose days have landed from others."""
    good = {pair for pair, state in states.items() if state in ("landed", "skipped")}
    settled = set()
    for item in plan.wanted:
        for period in item.periods:
            one = item.series
            if states.get((one, period)) != "quarantined":
                continue
            if is_month(period):
                is_settled = all((one, day) in good for day in item.span.days)
            else:
                held = rows_held(storage, one, item.span.month)
                is_settled = (one, item.span.month) in good and period in held
            if is_settled:
                release(storage, f"{LOADER}/{one.name(period)}")
                settled |= {one.path(period), *one.odd_paths(period)}
    summary.outcomes = [item for item in summary.outcomes if item.path not in settled]
