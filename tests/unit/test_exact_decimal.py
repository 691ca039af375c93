"""The macro `exact_decimal`: the decimal that a text says, or an error."""

import re
from decimal import Decimal
from pathlib import Path

import duckdb
import jinja2
from hypothesis import example, given, settings
from hypothesis import strategies as st

MACRO = Path(__file__).parents[2] / "macros" / "exact_decimal.sql"
QUERY = (
    jinja2.Environment()
    .from_string(
        MACRO.read_text()
        + """
        select {{ exact_decimal('px') }}, {{ exact_decimal("struct_extract(nested, 'px')") }}
        from (select unnest($texts) as px, struct_pack(px := px) as nested)
        """
    )
    .render()
)
LIMIT = Decimal(10) ** 26

decimals = st.from_regex(r"-?[0-9]{1,27}([.][0-9]{0,13}0{0,3})?", fullmatch=True)
strange = st.text("01 9.-+_eE\t\n\N{ARABIC-INDIC DIGIT THREE}", max_size=14)


def said(text: str) -> Decimal | None:
    """The decimal that a text says, None if it is not a plain one of at most 26 and 12 digits."""
    short = re.fullmatch(r"-?[0-9]+([.][0-9]{0,12}0*)?", text)
    return Decimal(text) if short and Decimal(text).copy_abs() < LIMIT else None


@settings(max_examples=200, deadline=None)
@given(decimals | strange)
@example("12345678901234567890123456.123456789012")
@example("99999999999999999999999999.999999999999")
@example("-999999999999999999.999999999999")
@example("123456789012345678901234567")
@example("000000000000000000000000000001.5")
@example("1.50000000000000000")
@example("-0.0")
@example("9999999999.99999999")
@example("1.5e-9")
@example("NaN")
@example("")
def test_a_text_becomes_its_decimal_or_an_error(given: str) -> None:
    expected = said(given)
    with duckdb.connect() as connection:
        # A value beside others: DuckDB decides by vector which branches of a case run.
        texts = ["1.5", given, "12345678901234567890.5"]
        if expected is None:
            try:
                rows = connection.execute(QUERY, {"texts": texts}).fetchall()
            except duckdb.ConversionException:
                return
            assert _is_short(given)
            assert rows[1][0] == rows[1][1] == Decimal(given.strip())
            return
        rows = connection.execute(QUERY, {"texts": texts}).fetchall()
        assert [row[0] for row in rows] == [row[1] for row in rows]
        assert rows[1][0] == expected


def _is_short(text: str) -> bool:
    """Say whether a text takes the short way, which also reads blanks, signs and bare points."""
    place = text.find(".") + 1
    return 2 <= place <= 11 and len(text) - place <= 8 and "e" not in text and "E" not in text
