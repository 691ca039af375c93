"""Decimal strings without SQL: the same values, and the same refusals, as the macro has."""

import re
from pathlib import Path

import duckdb
import jinja2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticklake.fills.columns import DECIMAL
from ticklake.fills.decimals import exact_decimals

MACRO = Path(__file__).parents[3] / "macros" / "exact_decimal.sql"
SQL = jinja2.Environment().from_string(MACRO.read_text() + "{{ exact_decimal('given') }}").render()

decimals = st.from_regex(r"-?[0-9]{1,27}([.][0-9]{0,13}0{0,3})?", fullmatch=True)
strange = st.text("01 9.-+_eE\t\n\N{ARABIC-INDIC DIGIT THREE}", max_size=14)


def converted(values: list[str | None]) -> pa.Array:
    words = exact_decimals(pa.array(values, pa.string()), "px of hour_00")
    return pa.Array.from_buffers(DECIMAL, len(values), [None, pa.py_buffer(words)])


@settings(max_examples=300, deadline=None)
@given(decimals | strange)
@example("12345678901234567890123456.123456789012")
@example("99999999999999999999999999.999999999999")
@example("-999999999999999999.999999999999")
@example("123456789012345678901234567")
@example("000000000000000000000000000001.5")
@example("1.50000000000000000")
@example("9223372.036854775808")
@example("18446744.073709551616")
@example("-18446744.073709551616")
@example("-0.0")
@example(".5")
@example("-.")
@example("1_0.5")
@example("")
def test_a_string_is_the_decimal_that_the_macro_makes_of_it(given: str) -> None:
    with duckdb.connect() as connection:
        query = f"select {SQL} from (select $given as given)"
        try:
            expected = connection.execute(query, {"given": given}).fetchone()
        except duckdb.ConversionException:
            with pytest.raises(ValueError, match=re.escape(f"{given!r} in px of hour_00")):
                converted([given])
        else:
            assert expected is not None
            assert converted([given]).to_pylist() == [expected[0]]


def test_what_is_looked_at_one_by_one_leaves_the_others_as_they_are() -> None:
    values = ["1.5", None, "12345678901234567890.5", "-2", None, " 1.5", "7"]
    texts = pa.array(["", *values], pa.string()).slice(1)
    words = exact_decimals(texts, "px")
    found = [int(low) + (int(high) << 64) for low, high in np.delete(words, [1, 4], axis=0)]
    assert found[:1] == [1_500_000_000_000]
    assert found[1] == 12345678901234567890_500000000000
    assert found[2] == (1 << 128) - 2 * 10**12
    assert found[3:] == [1_500_000_000_000, 7 * 10**12]
