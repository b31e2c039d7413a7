"""Asynchronous callables: plain functions are refused when the app is made."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from collab.access import Identity
from collab.errors import SettingsError
from collab.server.app import Collab
from collab.server.auth.keys import OneKey, read_secret
from collab.server.auth.tokens import Tokens
from collab.storage.memory import MemoryStore
from tests.server.signing import SECRET

Authenticate = Callable[[HTTPConnection], Awaitable[Identity | None]]


async def asked(connection: HTTPConnection) -> Identity | None:
    return None


def logged(function: Authenticate) -> Authenticate:
    @functools.wraps(function)
    def call(connection: HTTPConnection) -> Awaitable[Identity | None]:
        return function(connection)

    return call


def looked_up(connection: HTTPConnection) -> Identity | None:
    return None


class Table:
    """Looks people up, at once or not."""

    def __call__(self, connection: HTTPConnection) -> Identity | None:
        return None

    async def ask(self, connection: HTTPConnection) -> Identity | None:
        return None


@pytest.mark.parametrize("name", ["authenticate", "authorize", "seed"])
@pytest.mark.parametrize(
    ("function", "got"),
    [
        (looked_up, "looked_up, which is not"),
        (functools.partial(looked_up), "looked_up, which is not"),
        (Table(), r"Table\.__call__, which is not"),
        (Table().__call__, r"Table\.__call__, which is not"),
        ("ana", "'ana'"),
    ],
)
def test_what_is_not_async_is_refused(name: str, function: object, got: str) -> None:
    given: dict[str, Any] = {name: function}
    with pytest.raises(
        SettingsError, match=f"expected {name} to be an async function.*, got {got}"
    ):
        Collab(MemoryStore(), **given)


@pytest.mark.parametrize(
    "function",
    [
        asked,
        logged(asked),
        functools.partial(asked),
        Table().ask,
        Tokens(OneKey(read_secret(SECRET))),
    ],
)
def test_what_is_async_is_taken(function: Authenticate) -> None:
    assert Collab(MemoryStore(), authenticate=function).authenticate is function
