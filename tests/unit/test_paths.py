import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ticklake.lake.errors import LakeError
from ticklake.lake.paths import partition_key, partition_path, project, spellings

COLUMNS = ("exchange", "symbol", "date")
NO_VALUES = ["NULL", "null", "nUlL", "__HIVE_DEFAULT_PARTITION__", "__hive_default_partition__"]
AWKWARD = st.sampled_from([*NO_VALUES, "PURR/USDC", "a%2Fb", "%", "..", "*", "[a]", "{x}", "a=b"])
# Nine bytes a character at worst, and 255 of them in the name of a folder.
VALUES = st.text(min_size=1, max_size=20) | AWKWARD
KEYS = st.tuples(VALUES, VALUES, st.dates().map(str))


@given(KEYS)
def test_a_key_survives_its_path(key: tuple[str, ...]) -> None:
    assert partition_key(COLUMNS, partition_path(COLUMNS, key)) == key


@given(KEYS, KEYS)
def test_different_keys_have_different_paths(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (partition_path(COLUMNS, one) == partition_path(COLUMNS, other)) == (one == other)


@given(KEYS)
def test_a_path_holds_only_characters_that_nothing_takes_for_a_pattern(
    key: tuple[str, ...],
) -> None:
    path = partition_path(COLUMNS, key)
    assert path.isprintable()
    assert unicodedata.is_normalized("NFC", path)
    assert not set(path) & set("*?[]{}\\ '\"#:<>|^`")
    assert path.count("/") == path.count("=") - 1 == 2


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(VALUES, min_size=1, max_size=12))
def test_duckdb_reads_the_same_values_from_a_path(values: set[str]) -> None:
    numbers = dict(enumerate(sorted(values)))
    with TemporaryDirectory() as root:
        for number, value in numbers.items():
            folder = Path(root, partition_path(["symbol"], (value,)))
            folder.mkdir()
            pq.write_table(pa.table({"number": [number]}), folder / "data.parquet")
        found = duckdb.execute(
            "select number, symbol from read_parquet($files, hive_partitioning = true, "
            "hive_types = {'symbol': varchar})",
            {"files": f"{root}/*/data.parquet"},
        ).fetchall()
    assert dict(found) == numbers


@pytest.mark.parametrize("value", NO_VALUES)
def test_a_symbol_called_null_is_not_a_missing_symbol(tmp_path: Path, value: str) -> None:
    folder = tmp_path / partition_path(["symbol"], (value,))
    folder.mkdir()
    pq.write_table(pa.table({"x": [1]}), folder / "data.parquet")
    query = "select symbol from read_parquet($file, hive_partitioning = true)"
    found = duckdb.execute(query, {"file": str(folder / "data.parquet")}).fetchone()
    assert found == (value,)


@pytest.mark.parametrize(
    ("symbol", "folder"),
    [
        *((name, name) for name in ("@107", "BTC-USD_250926", "tBTC,USD", "$WIF", "A&B", "ñ币")),
        *(("PURR/USDC", "PURR%2FUSDC"), ("xyz:GOLD", "xyz%3AGOLD"), ("#1890", "%231890")),
        *(("a b", "a%20b"), ("50%", "50%25"), ("e\u0301", "e%CC%81"), ("a\u200bb", "a%E2%80%8Bb")),
    ],
)
def test_only_characters_that_mean_something_in_a_path_are_encoded(
    symbol: str, folder: str
) -> None:
    assert partition_path(["symbol"], (symbol,)) == f"symbol={folder}"
    for spelling in spellings("symbol", symbol):
        assert partition_key(["symbol"], spelling) == (symbol,)


def test_a_symbol_is_spelled_as_the_design_says() -> None:
    key = ("hyperliquid", "PURR/USDC", "2026-01-02")
    expected = "exchange=hyperliquid/symbol=PURR%2FUSDC/date=2026-01-02"
    assert partition_path(COLUMNS, key) == expected


@pytest.mark.parametrize(
    "path",
    [
        "exchange=a/symbol=b",
        "exchange=a/symbol=b/date=c/more=d",
        "exchange=a/date=c/symbol=b",
        "exchange=a/symbol=/date=c",
        "exchange=a/symbol/date=c",
        *(f"exchange=a/symbol=b/date={day}" for day in ("2025-13-01", "2025-02-29", "2025-1-1")),
        *(f"exchange=a/symbol=b/date={day}" for day in ("20250101", "null", "2025-01-01 ")),
        "",
    ],
)
def test_a_path_of_other_columns_has_no_key(path: str) -> None:
    assert partition_key(COLUMNS, path) is None


def test_a_path_that_others_wrote_without_encoding_has_a_key() -> None:
    assert partition_key(["symbol"], "symbol=xyz:NVDA") == ("xyz:NVDA",)


def test_an_empty_value_is_refused() -> None:
    with pytest.raises(LakeError, match="'symbol'"):
        partition_path(COLUMNS, ("binance", "", "2026-01-02"))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        partition_path(COLUMNS, ("binance",))


def test_a_key_is_projected_by_name() -> None:
    assert project(COLUMNS, ("e", "s", "d"), ("date", "exchange")) == ("d", "e")
