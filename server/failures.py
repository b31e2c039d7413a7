"""Failures: how much of one the log tells."""

from collab.errors import CollabError, StoreError


def unforeseen(error: Exception, foreseen: type[CollabError] = StoreError) -> Exception | None:
    """What the log is to tell the traceback of, as ``exc_info``.

    Args:
        error: what went wrong.
        foreseen: errors whose own words are enough.

    Returns:
        The error, or None where it is one of those.
    """
    return None if isinstance(error, foreseen) else error
