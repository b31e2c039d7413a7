"""Guard: who a request speaks for and what they may do, asked before anything is accepted."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.errors import AccessDenied, Unauthenticated
from collab.server.auth.introduction import introduced
from collab.server.auth.revocations import Revocations

Authenticate = Callable[[HTTPConnection], Awaitable[Identity | None]]
"""Names the identity a request speaks for, from its headers, cookies or query; None refuses it."""

Authorize = Callable[[Identity, str], Awaitable[Access]]
"""Says what an identity may do with the document of this name."""

_PERMIT = "collab.permit"
"""Key of an ASGI scope: what its request was last admitted for, and what that needs."""

_ALLOWS = {Access.READ: "read", Access.WRITE: "change", Access.ADMIN: "administer"}


@dataclass(frozen=True, slots=True)
class Permit:
    """What somebody was found to be allowed.

    Attributes:
        identity: who it is.
        access: what they may do.
        document: with which document; None for all of them.
        generation: how often grants had changed by then.
    """

    identity: Identity
    access: Access
    document: str | None
    generation: int


class Guard:
    """Lets in who may come in. Every way to a document leads by here.

    Args:
        authenticate: names the identity behind a request; None lets anyone do anything.
        authorize: says what an identity may do with a document; None has the identity's own grants
            say so. It is not asked about an identity that may administer everything.

    Attributes:
        revocations: what is no longer believed although ``authenticate`` still does.
    """

    def __init__(self, authenticate: Authenticate | None, authorize: Authorize | None) -> None:
        self._authenticate = authenticate
        self._authorize = authorize
        self._generation = 0
        self.revocations = Revocations()

    @property
    def open(self) -> bool:
        """Whether anyone may do anything."""
        return self._authenticate is None

    def permit_anyone(self, connection: HTTPConnection, document: str) -> Permit:
        """The permit everybody has where anyone may do anything.

        Raises:
            InvalidName: what they call themselves is no name.
        """
        identity = introduced(connection)
        return Permit(identity, identity.access_to(document), document, self._generation)

    async def identify(self, connection: HTTPConnection) -> Identity:
        """Names who a request speaks for.

        Args:
            connection: the request or the WebSocket handshake.

        Raises:
            Unauthenticated: nobody is known by its credentials.
            InvalidName: anyone may do anything, and what they call themselves is no name.
        """
        if self._authenticate is None:
            return introduced(connection)
        identity = await self._authenticate(connection)
        if identity is None:
            raise Unauthenticated("expected valid credentials, got none")
        return identity

    async def admit(
        self,
        connection: HTTPConnection,
        document: str | None = None,
        access: Access = Access.READ,
    ) -> Permit:
        """Finds out who a request speaks for, and that they may do what it is for.

        Args:
            connection: the request or the WebSocket handshake.
            document: the document it is about; None where it is about all of them.
            access: what it needs.

        Raises:
            Unauthenticated: nobody is known by its credentials.
            AccessDenied: somebody is, who may not do that.
        """
        return await self.admit_as(await self.identify(connection), connection, document, access)

    async def admit_as(
        self,
        identity: Identity,
        connection: HTTPConnection,
        document: str | None = None,
        access: Access = Access.READ,
    ) -> Permit:
        """The same where it is known already who a request speaks for.

        Raises:
            Unauthenticated: they were known, and are to be believed no longer.
            AccessDenied: they may not do that.
        """
        permit = await self.permit(identity, document, access)
        connection.scope[_PERMIT] = permit, access
        return permit

    async def check_admitted(self, connection: HTTPConnection) -> None:
        """Looks again at what a request was last admitted for; at nothing where it was not yet.

        Raises:
            CollabError: what ``renewed`` raises.
        """
        if _PERMIT in connection.scope:
            await self.renewed(*connection.scope[_PERMIT])

    async def permit(
        self, identity: Identity, document: str | None = None, access: Access = Access.READ
    ) -> Permit:
        """Finds out that somebody known may do something.

        Raises:
            Unauthenticated: they were known, and are to be believed no longer.
            AccessDenied: they may not.
        """
        while True:
            generation = self._generation
            granted = await self._access_to(identity, document)
            if generation == self._generation:  # Otherwise the answer may be of before.
                break
        if granted < access:
            what = "this document" if document is not None else "all documents"
            raise AccessDenied(f"you may not {_ALLOWS[access]} {what}", document or "")
        return Permit(identity, granted, document, generation)

    async def access_to(self, identity: Identity, document: str) -> Access:
        """What somebody known may do with a document; nothing once they are not believed."""
        try:
            return (await self.permit(identity, document, Access.NONE)).access
        except Unauthenticated:
            return Access.NONE

    def readable_prefixes(self, identity: Identity) -> Sequence[str]:
        """What the names of all documents that somebody may read begin with, in order."""
        asked = self._authorize is not None and identity.access_to_all < Access.ADMIN
        if asked or identity.grants is None:
            return ("",)
        return identity.grants.prefixes()

    def writable_patterns(self, identity: Identity) -> Sequence[str] | None:
        """Patterns of the names that somebody may write; None where each is decided for itself."""
        if self._authorize is not None and identity.access_to_all < Access.ADMIN:
            return None
        if identity.grants is None:
            return ("**",) if identity.access_to_all >= Access.WRITE else ()
        return identity.grants.patterns(Access.WRITE) if identity.at_most >= Access.WRITE else ()

    async def renewed(self, permit: Permit, access: Access = Access.READ) -> Permit:
        """A permit that is as good as new: itself, where no grants have changed since.

        Whoever waited for something between being permitted and doing it asks this before; for an
        answer too, which is not given to who lost their rights while it was made.

        Args:
            permit: the permit, for as much as is needed.
            access: what is needed.

        Raises:
            Unauthenticated: they are to be believed no longer, or their token has expired.
            AccessDenied: they may not do that any more.
        """
        expires_at = permit.identity.expires_at
        if expires_at is not None and time.time() >= expires_at:
            raise Unauthenticated("expected a token that is still valid, got one that has expired")
        if permit.generation == self._generation:
            return permit
        return await self.permit(permit.identity, permit.document, access)

    @property
    def generation(self) -> int:
        """How often grants have changed."""
        return self._generation

    def is_current(self, permit: Permit) -> bool:
        """Whether no grants have changed since."""
        return permit.generation == self._generation

    def revise(self) -> None:
        """Has permits that were given so far looked at again before they are used."""
        self._generation += 1

    async def _access_to(self, identity: Identity, document: str | None) -> Access:
        if self.revocations.cover(identity, document):
            raise Unauthenticated("expected credentials that are still good, got revoked ones")
        if document is None:
            return identity.access_to_all
        if self._authorize is None or identity.access_to_all is Access.ADMIN:
            return identity.access_to(document)
        return min(await self._authorize(identity, document), identity.at_most)
