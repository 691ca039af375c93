"""ticklake: a SQL-first dbt and DuckDB lakehouse for market microstructure data."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklake.reading import read

__all__ = ["read"]


def __getattr__(name: str) -> Any:
    """Import `read` when it is asked for: every worker process imports this package."""
    if name != "read":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ticklake.reading import read

    return read
