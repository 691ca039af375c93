"""What the README shows is what the project has."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize(
    "path",
    sorted((REPOSITORY / "analyses" / "first_queries").glob("*.sql")),
    ids=lambda path: path.stem,
)
def test_a_first_query_stands_in_the_readme_as_it_is(path: Path) -> None:
    title, _, query = path.read_text().strip().partition("\n")
    assert title.removeprefix("-- ") in README
    assert query in README


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README
