"""The one exception of the lake that is meant for people."""

import errno

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""What an operating system says of a place that may not be written."""


class LakeError(RuntimeError):
    """Something an operator can act on: the message says what happened, where, and what to do.

    A RuntimeError, because that is what dbt-duckdb shows as a message and not as a stack trace.
    """


class ReadOnlyError(LakeError):
    """The lake may be read and not written."""


class HeldError(LakeError):
    """Another writer holds the lease."""
