"""A wallet is erased, the build after it is green, and trades with others keep the other leg."""

import dataclasses
import shutil
from pathlib import Path

from tests.integration.odd.conftest import OddLake
from tests.integration.odd.sources_erased_wallet import COIN, ERASED, OTHER, THIRD
from tests.integration.test_end_to_end import Operator

TRADES = f"""
    select trade_id, taker_user, maker_user, leg_count
    from compacted.trades where symbol = '{COIN}' order by trade_seq
"""


def test_a_lake_without_a_wallet_builds_green_and_changes_nobody_else(
    odd: OddLake, tmp_path: Path
) -> None:
    assert odd.query(TRADES) == [
        ("1", ERASED, OTHER, 2),
        ("2", OTHER, ERASED, 2),
        ("3", ERASED, ERASED, 2),
        ("4", OTHER, THIRD, 2),
    ]
    shutil.copytree(odd.operator.root, tmp_path / "lake")
    operator = Operator(str(tmp_path / "lake"), {}, tmp_path)
    output = operator.run("ticklake", "delete", "--user", ERASED, "--yes")
    assert "raw.fills: 4 rows to remove" in output
    operator.build()
    copy = dataclasses.replace(odd, operator=operator)
    assert copy.query(TRADES) == [
        ("1", None, OTHER, 1),
        ("2", OTHER, None, 1),
        ("4", OTHER, THIRD, 2),
    ]
    own = f"from compacted.fills where user = '{ERASED}'"
    assert copy.query(f"select count(*) {own}") == [(0,)]
    before, after = odd.operator.hashes(), operator.hashes()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed
    for path in changed:
        assert "exchange=hyperliquid" in path
        assert f"symbol={COIN}/" in path or "symbol=" not in path, path
        assert "date=2025-09-0" in path or "date=" not in path, path
    assert "no problem" in operator.run("ticklake", "verify").splitlines()[-1]
