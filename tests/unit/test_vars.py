"""Vars that no model can be built with are refused in a sentence."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
DEFAULTS = yaml.safe_load((REPOSITORY / "dbt_project.yml").read_text())["vars"]


class RefusedError(Exception):
    """What dbt raises as a compilation error."""


def check(**changed: Any) -> None:
    """Run the macro `check_vars` with some vars changed."""

    def refuse(message: str) -> None:
        raise RefusedError(message)

    files = [REPOSITORY / "macros" / f"{name}.sql" for name in ("bar_lengths", "check_vars")]
    source = "\n".join(file.read_text() for file in files)
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals |= {
        "var": {**DEFAULTS, **changed}.__getitem__,
        "tojson": lambda value, default: json.dumps(value),
        "exceptions": SimpleNamespace(raise_compiler_error=refuse),
    }
    environment.from_string(source + "{{ check_vars() }}").render()


def test_the_vars_of_the_project_are_allowed() -> None:
    check()
    check(half_lives_s=[0.5], bar_seconds=[3600], drop_repeats_of=["*"], max_mark_age_s=0.5)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("vpin_buckets", 0, "a whole number from 1 to 1000000000"),
        ("vpin_buckets", True, "a whole number from 1"),
        ("bars_per_day", -1, "a whole number from 1"),
        ("book_levels", "ten", "a whole number from 1"),
        ("book_levels", 0, "a whole number from 1"),
        ("max_gaps", 1.5, "a whole number from 0"),
        ("max_gap_s", float("nan"), "a whole number from 1"),
        ("gap_seconds", None, "a whole number from 1"),
        ("max_crossed_share", 1.1, "a number from 0 to 1"),
        ("max_silence_s", float("inf"), "a number from 0 to 1000000000"),
        ("max_clock_skew_s", float("nan"), "a number from 0"),
        ("max_mark_age_s", -1, "a number from 0"),
        ("horizons_s", [], "at least one whole number above 0, each once"),
        ("horizons_s", [5, 5], "at least one whole number above 0, each once"),
        ("horizons_s", [0.5], "at least one whole number"),
        ("horizons_s", 5, "at least one whole number"),
        ("horizons_s", "5", "at least one whole number"),
        ("half_lives_s", [-1], "at least one number above 0"),
        ("depth_bps", [0], "at least one number above 0"),
        ("sweep_sizes", [1, "2"], "at least one number above 0"),
        ("bar_seconds", [], "at least one whole number above 0"),
        ("bar_seconds", [7], "divide a day"),
        ("bar_seconds", [60, 60], "each once"),
        ("drop_repeats_of", "kraken", "a list of exchanges"),
        ("warmup_s", 60, "and 40 half-lives: 1200"),
    ],
)
def test_another_value_is_refused_with_what_is_allowed(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(RefusedError) as error:
        check(**{name: value})
    assert str(error.value).startswith(f"The var {name} is {json.dumps(value)}. Allowed: ")
    assert allowed in str(error.value)
