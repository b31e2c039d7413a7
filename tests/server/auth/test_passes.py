"""Passes: tokens of our own, for one document and for no more than they say."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from starlette.requests import HTTPConnection

from collab.access import ANYONE, Access, Identity
from collab.errors import AccessDenied, Unauthenticated
from collab.revocation import Revocation, Revoked
from collab.server.auth.guard import Guard
from collab.server.auth.passes import Passes

pytestmark = pytest.mark.anyio

ANA = Identity(id="ana", access=Access.WRITE)


async def nobody(connection: HTTPConnection) -> None:
    return None


def bringing(token: str) -> HTTPConnection:
    return HTTPConnection(
        {"type": "websocket", "query_string": f"token={token}".encode(), "headers": []}
    )


def later(seconds: float = 60) -> float:
    return time.time() + seconds


async def test_a_pass_lets_its_bearer_in_as_who_it_is_for() -> None:
    passes = Passes(Guard(nobody, None))
    token = passes.issue(ANA, "notes", later())
    permit = await passes.admit(bringing(token), "notes", Access.WRITE)
    assert (permit.identity, permit.access) == (ANA, Access.WRITE)


async def test_a_pass_is_for_no_other_document() -> None:
    passes = Passes(Guard(nobody, None))
    token = passes.issue(ANA, "notes", later())
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing(token), "plans")


async def test_a_pass_is_good_for_a_while() -> None:
    passes = Passes(Guard(nobody, None))
    token = passes.issue(ANA, "notes", later(-1))
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing(token), "notes")


@pytest.mark.parametrize("authorize", [None, "everything"])
async def test_a_pass_for_less_is_for_less_whoever_says_more(authorize: str | None) -> None:
    async def everything(identity: Identity, document: str) -> Access:
        return Access.WRITE

    asked: Callable[[Identity, str], Awaitable[Access]] | None = everything if authorize else None
    passes = Passes(Guard(nobody, asked))
    token = passes.issue(replace(ANA, at_most=Access.READ), "notes", later())
    assert (await passes.admit(bringing(token), "notes")).access is Access.READ
    with pytest.raises(AccessDenied):
        await passes.admit(bringing(token), "notes", Access.WRITE)


async def test_a_pass_ends_with_what_was_revoked() -> None:
    guard = Guard(nobody, None)
    passes = Passes(guard)
    bearer = replace(ANA, token_id="t1", expires_at=later())
    token = passes.issue(bearer, "notes", later())
    guard.revocations.add(
        Revoked(revocation=Revocation(token_id="t1"), time_ms=int(later()) * 1000)
    )
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing(token), "notes")


async def test_where_anyone_may_do_anything_a_token_must_be_a_pass() -> None:
    passes = Passes(Guard(None, None))
    token = passes.issue(replace(ANYONE, at_most=Access.READ), "notes", later())
    assert (await passes.admit(bringing(token), "notes")).access is Access.READ
    assert (await passes.admit(bringing(""), "notes")).access is Access.ADMIN
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing("of yesterday"), "notes")
