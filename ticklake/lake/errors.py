"""The one exception of the lake that is meant for people."""


class LakeError(RuntimeError):
    """Something an operator can act on: the message says what happened, where, and what to do.

    A RuntimeError, because that is what dbt-duckdb shows as a message and not as a stack trace.
    """
