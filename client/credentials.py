"""Credentials: the token that a client shows, and where the next one comes from."""

import inspect
from collections.abc import Awaitable, Callable

from collab.errors import Unauthenticated

Token = str | Callable[[], str | Awaitable[str]] | None
"""A token, or what gives one whenever one is wanted; None where the server asks for none."""

_MISTAKES = (TypeError, AttributeError, NameError, ImportError)
"""What is raised by a function that is wrong; asked again, it raises the same."""


class Credentials:
    """Keeps the token that is good, and asks for another one when it no longer is.

    Args:
        token: the token, or what gives one.

    Raises:
        Unauthenticated: it is neither.

    Attributes:
        fresh: whether the token that was last to be shown was given just then.
    """

    def __init__(self, token: Token) -> None:
        if not callable(token):
            _check("" if token is None else token)
        self._source = token
        self._current: str | None = None
        self.fresh = False

    @property
    def renewable(self) -> bool:
        """Whether there may be another token than the last one."""
        return callable(self._source)

    def expire(self) -> None:
        """The token is no longer good."""
        self._current = None

    async def token(self) -> str:
        """The token to show; empty where there is none.

        Raises:
            Unauthenticated: what gives tokens gives none that can be shown, and will not by itself.
            Exception: what it raises otherwise: there may be a token later.
        """
        self.fresh = self._current is None
        if self._current is None:
            self._current = await self._ask()
        return self._current

    async def _ask(self) -> str:
        if not callable(self._source):
            return self._source or ""
        try:
            given = self._source()
            token = await given if inspect.isawaitable(given) else given
        except _MISTAKES as error:
            why = f"expected a token of the function given, got {type(error).__name__}: {error}"
            raise Unauthenticated(why) from error
        return _check(token)


def _check(token: object) -> str:
    if not isinstance(token, str):  # Such as what os.environ.get finds nothing for.
        raise Unauthenticated(f"expected a token, got {type(token).__name__}")
    try:
        token.encode()
    except UnicodeEncodeError as error:
        raise Unauthenticated(f"expected a token, got text that cannot be sent: {error}") from None
    return token
