"""The one exception of the lake that is meant for people."""


class LakeError(Exception):
    """Something an operator can act on: the message says what happened, where, and what to do."""
