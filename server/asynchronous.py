"""Asynchronous callables: an application's plain function is refused when it is given."""

import inspect
from functools import partial

from collab.errors import SettingsError


def check_asynchronous(name: str, function: object) -> None:
    """Refuses a function of the application's that is to be awaited and is known not to be async.

    Only what is written in Python is known: a callable of a compiled module is taken as it is.

    Args:
        name: what it is given as.
        function: what is given; None is nothing.

    Raises:
        SettingsError: it cannot be called, or is a plain function.
    """
    if function is None:
        return
    if not callable(function):
        raise SettingsError(f"expected {name} to be an async function, got {function!r}")
    called: object = function
    while isinstance(called, partial):
        called = called.func
    if not inspect.isroutine(called):
        called = type(called).__call__
    called = inspect.unwrap(called)
    if inspect.ismethod(called):
        called = called.__func__
    if inspect.isfunction(called) and not inspect.iscoroutinefunction(called):
        raise SettingsError(
            f"expected {name} to be an async function (`async def`), got {called.__qualname__}, "
            "which is not"
        )
