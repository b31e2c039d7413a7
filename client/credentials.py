"""Credentials: the token that a client shows, and where the next one comes from."""

import inspect
from collections.abc import Awaitable, Callable

from collab.errors import Unauthenticated

Token = str | Callable[[], str | Awaitable[str]] | None
"""A token, or what gives one whenever one is wanted; None where the server asks for none."""


class Credentials:
    """Keeps the token that is good, and asks for another one when it no longer is.

    Args:
        token: the token, or what gives one.
    """

    def __init__(self, token: Token) -> None:
        self._source = token
        self._current: str | None = None

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
            Unauthenticated: what is to be shown is no text.
        """
        if self._current is None:
            self._current = await self._ask()
        return self._current

    async def _ask(self) -> str:
        given = self._source() if callable(self._source) else self._source or ""
        token = await given if inspect.isawaitable(given) else given
        if not isinstance(token, str):  # Such as what os.environ.get finds nothing for.
            raise Unauthenticated(f"expected a token, got {type(token).__name__}")
        return token
