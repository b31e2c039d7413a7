"""Passes: tokens of our own, for one document and for no more than they say."""

import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase, digits
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from collab.access import ANYONE, Access, Grants, Identity
from collab.errors import AccessDenied, Unauthenticated
from collab.revocation import Revocation, Revoked
from collab.server.auth.guard import Guard
from collab.server.auth.passes import Passes

pytestmark = pytest.mark.anyio

ANA = Identity(id="ana", access=Access.WRITE)
SECRET = "of the servers"
DIGITS = f"{ascii_uppercase}{ascii_lowercase}{digits}-_"


async def nobody(connection: HTTPConnection) -> None:
    return None


def bringing(token: str) -> HTTPConnection:
    return HTTPConnection(
        {"type": "websocket", "query_string": f"token={token}".encode(), "headers": []}
    )


def later(seconds: float = 60) -> float:
    return time.time() + seconds


async def test_a_pass_lets_its_bearer_in_as_who_it_is_for() -> None:
    passes = Passes(Guard(nobody, None), SECRET)
    token = passes.issue(ANA, "notes", later())
    permit = await passes.admit(bringing(token), "notes", Access.WRITE)
    assert (permit.identity.id, permit.access) == ("ana", Access.WRITE)


async def test_a_pass_is_for_no_other_document() -> None:
    passes = Passes(Guard(nobody, None), SECRET)
    token = passes.issue(ANA, "notes", later())
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing(token), "plans")


async def test_a_pass_is_good_for_a_while() -> None:
    passes = Passes(Guard(nobody, None), SECRET)
    token = passes.issue(ANA, "notes", later(-1))
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing(token), "notes")


@pytest.mark.parametrize("authorize", [None, "everything"])
async def test_a_pass_for_less_is_for_less_whoever_says_more(authorize: str | None) -> None:
    async def everything(identity: Identity, document: str) -> Access:
        return Access.WRITE

    asked: Callable[[Identity, str], Awaitable[Access]] | None = everything if authorize else None
    passes = Passes(Guard(nobody, asked), SECRET)
    token = passes.issue(replace(ANA, at_most=Access.READ), "notes", later())
    assert (await passes.admit(bringing(token), "notes")).access is Access.READ
    with pytest.raises(AccessDenied):
        await passes.admit(bringing(token), "notes", Access.WRITE)


async def test_a_pass_ends_with_what_was_revoked() -> None:
    guard = Guard(nobody, None)
    passes = Passes(guard, SECRET)
    bearer = replace(ANA, token_id="t1", expires_at=later())
    token = passes.issue(bearer, "notes", later())
    guard.revocations.add(
        Revoked(revocation=Revocation(token_id="t1"), time_ms=int(later()) * 1000)
    )
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing(token), "notes")


async def test_where_anyone_may_do_anything_a_token_must_be_a_pass() -> None:
    passes = Passes(Guard(None, None), SECRET)
    token = passes.issue(replace(ANYONE, at_most=Access.READ), "notes", later())
    assert (await passes.admit(bringing(token), "notes")).access is Access.READ
    assert (await passes.admit(bringing(""), "notes")).access is Access.ADMIN
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing("of yesterday"), "notes")


async def test_a_pass_is_good_with_every_server_of_the_same_secret_and_no_other() -> None:
    token = Passes(Guard(nobody, None), SECRET).issue(ANA, "notes", later())
    permit = await Passes(Guard(nobody, None), SECRET).admit(bringing(token), "notes")
    assert permit.identity.id == "ana"
    with pytest.raises(Unauthenticated):
        await Passes(Guard(nobody, None), "another").admit(bringing(token), "notes")


async def test_a_pass_is_for_what_its_grants_came_to_and_shows_nothing_else_of_them() -> None:
    grants = Grants({"secret project/*": Access.WRITE, "notes": Access.READ})
    passes = Passes(Guard(nobody, None), SECRET)
    token = passes.issue(Identity(id="ana", grants=grants), "notes", later())
    assert (await passes.admit(bringing(token), "notes")).access is Access.READ
    assert b"secret" not in base64.urlsafe_b64decode(token.partition(".")[0] + "==")


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
async def test_what_nobody_signed_is_no_pass(token: str) -> None:
    with pytest.raises(Unauthenticated):
        await Passes(Guard(nobody, None), SECRET).admit(bringing(quote(token)), "notes")


@pytest.mark.parametrize("at", range(0, 140, 7))
async def test_a_pass_that_was_changed_is_none(at: int) -> None:
    passes = Passes(Guard(nobody, None), SECRET)
    token = passes.issue(ANA, "notes", later())
    other = DIGITS[DIGITS.index(token[at]) ^ 32]  # Not its last bits, which the last may not use.
    with pytest.raises(Unauthenticated):
        await passes.admit(bringing(token[:at] + other + token[at + 1 :]), "notes")
