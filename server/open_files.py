"""Open files: each connection is one, and a process may have only so many."""

import contextlib
import resource
import sys

_RESERVED = 64
"""How many are kept for the store, its bus and whatever else a server opens as it runs."""


def raise_limit() -> None:
    """Lets this process have as many open files as it may allow itself.

    The limit that programs are started with, often 1,024, is low for the sake of those that wait
    with ``select``.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Not all kernels that say there is no limit take that for one.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """Returns the number from which on an open file is one that connections must not take."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:  # A negative number on some systems.
        return sys.maxsize
    return soft - min(_RESERVED, soft // 2)
