"""Guard: who is let in, what they may do, and how that ends."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
import pytest
from starlette.requests import HTTPConnection

from collab.access import ANYONE, Access, Grants, Identity
from collab.errors import AccessDenied, Unauthenticated
from collab.revocation import Revocation, Revoked
from collab.server.auth.guard import Guard

pytestmark = pytest.mark.anyio

REQUEST = HTTPConnection({"type": "http", "headers": [], "query_string": b""})
ANA = Identity(
    id="ana",
    grants=Grants({"team/*": Access.WRITE, "notes": Access.READ}),
    token_id="t1",
    issued_at=100.0,
    expires_at=1e12,
)


def always(identity: Identity | None) -> Callable[[HTTPConnection], Awaitable[Identity | None]]:
    async def authenticate(connection: HTTPConnection) -> Identity | None:
        return identity

    return authenticate


async def test_anyone_may_do_anything_where_nothing_is_configured() -> None:
    guard = Guard(None, None)
    assert guard.open
    assert (await guard.admit(REQUEST, "x", Access.ADMIN)).identity == ANYONE
    assert guard.permit_anyone(REQUEST, "x") == await guard.admit(REQUEST, "x")


async def test_nobody_known_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        await Guard(always(None), None).admit(REQUEST, "x")


@pytest.mark.parametrize(
    ("document", "access", "complaint"),
    [
        ("notes", Access.WRITE, "may not change this document"),
        ("team/a", Access.ADMIN, "may not administer this document"),
        ("other", Access.READ, "may not read this document"),
        (None, Access.READ, "may not read all documents"),
    ],
)
async def test_somebody_known_may_do_what_their_grants_say_and_no_more(
    document: str | None, access: Access, complaint: str
) -> None:
    guard = Guard(always(ANA), None)
    assert (await guard.admit(REQUEST, "notes")).access is Access.READ
    assert (await guard.admit(REQUEST, "team/a", Access.WRITE)).access is Access.WRITE
    with pytest.raises(AccessDenied, match=complaint):
        await guard.admit(REQUEST, document, access)


async def test_the_application_may_be_asked_about_each_document() -> None:
    async def authorize(identity: Identity, document: str) -> Access:
        return Access.WRITE if document == f"of {identity.id}" else Access.NONE

    guard = Guard(always(ANA), authorize)
    assert (await guard.admit(REQUEST, "of ana")).access is Access.WRITE
    with pytest.raises(AccessDenied):
        await guard.admit(REQUEST, "notes")
    admin = Identity(id="root", access=Access.ADMIN)
    assert await guard.access_to(admin, "notes") is Access.ADMIN


async def test_an_answer_from_before_a_change_is_not_believed() -> None:
    asked, go_on = anyio.Event(), anyio.Event()
    answers = [Access.WRITE, Access.READ]

    async def authorize(identity: Identity, document: str) -> Access:
        answer = answers.pop(0)
        asked.set()
        await go_on.wait()
        return answer

    guard = Guard(always(ANA), authorize)
    found: list[Access] = []

    async def ask() -> None:
        found.append((await guard.admit(REQUEST, "x")).access)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await asked.wait()
        guard.revise()
        go_on.set()
    assert found == [Access.READ]


async def test_a_permit_is_looked_at_again_once_grants_have_changed() -> None:
    access = Access.WRITE

    async def authorize(identity: Identity, document: str) -> Access:
        return access

    guard = Guard(always(ANA), authorize)
    permit = await guard.admit(REQUEST, "x")
    access = Access.READ
    assert await guard.renewed(permit) is permit
    guard.revise()
    assert not guard.is_current(permit)
    renewed = await guard.renewed(permit)
    assert renewed.access is Access.READ
    assert guard.is_current(renewed)


async def test_a_permit_is_not_renewed_once_the_token_has_expired() -> None:
    ana = replace(ANA, expires_at=time.time())
    guard = Guard(always(ana), None)
    permit = await guard.admit(REQUEST, "notes")
    assert guard.is_current(permit)
    with pytest.raises(Unauthenticated, match="has expired"):
        await guard.renewed(permit)


class TestRevocations:
    @pytest.mark.parametrize(
        ("revocation", "documents"),
        [
            (Revocation(user="ana"), {"notes", "team/a"}),
            (Revocation(token_id="t1"), {"notes", "team/a"}),
            (Revocation(document="notes"), {"notes"}),
            (Revocation(user="ana", document="notes"), {"notes"}),
            (Revocation(user="ana", token_id="t1", document="team/a"), {"team/a"}),
            (Revocation(user="ben"), set()),
            (Revocation(token_id="t2"), set()),
            (Revocation(user="ben", document="notes"), set()),
        ],
    )
    async def test_what_it_covers_is_refused_and_nothing_else(
        self, revocation: Revocation, documents: set[str]
    ) -> None:
        guard = Guard(always(ANA), None)
        guard.revocations.add(Revoked(revocation=revocation, time_ms=200_000))
        for document in ("notes", "team/a"):
            assert revocation.covers(ANA, document) == (document in documents)
            if document in documents:
                with pytest.raises(Unauthenticated, match="revoked"):
                    await guard.admit(REQUEST, document)
                assert await guard.access_to(ANA, document) is Access.NONE
            else:
                await guard.admit(REQUEST, document)

    @pytest.mark.parametrize(
        ("issued_at", "refused"), [(None, True), (199.0, True), (200.0, True), (201.0, False)]
    )
    async def test_a_newer_token_counts(self, issued_at: float | None, refused: bool) -> None:
        guard = Guard(None, None)
        guard.revocations.add(Revoked(revocation=Revocation(user="ana"), time_ms=200_000))
        ana = Identity(id="ana", issued_at=issued_at, expires_at=1000.0)
        assert guard.revocations.cover(ana, "x") == refused

    async def test_who_has_no_token_is_the_application_s_to_refuse(self) -> None:
        guard = Guard(None, None)
        guard.revocations.add(Revoked(revocation=Revocation(document="x"), time_ms=200_000))
        assert (await guard.permit(ANYONE, "x")).identity == ANYONE
