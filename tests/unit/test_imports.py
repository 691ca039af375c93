"""What a build that has nothing to do leaves out: importing what only a build needs."""

import subprocess
import sys

HEAVY = {"llvmlite", "numba", "numpy", "polars", "pyarrow"}


def imported(code: str) -> set[str]:
    """Return the packages that are there after some code ran in a process of its own."""
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stdout.split())


def test_the_plugin_of_dbt_imports_nothing_that_computes() -> None:
    assert not HEAVY & imported("import ticklake.lake.duckdb_plugin")


def test_the_fingerprint_of_a_python_model_imports_nothing_of_it() -> None:
    model = "from ticklake.microstructure.order_flow import Levels"
    code = "from ticklake.lake.code import code_fingerprint, _imported; "
    code += f"assert len(_imported({model!r})) > 2; code_fingerprint({model!r}, {{}}, 'python')"
    assert not HEAVY & imported(code)
