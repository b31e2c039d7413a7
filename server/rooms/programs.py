"""Programs: what this server's own programs read and change of a document that is open here."""

from collections.abc import Callable, Sequence
from functools import partial

import anyio

from collab.document import Document
from collab.errors import PoisonedUpdate, ServerBusy
from collab.server.rooms.changes import now_ms
from collab.server.rooms.content import Content
from collab.server.rooms.judge import Judge
from collab.server.rooms.persister import Persister
from collab.server.rooms.publication import Publication
from collab.store import NewEntry


class Programs:
    """Shows REST and the embedding app the document, and takes in what they change of it.

    They are no members: nobody holds them back, so each of them waits for the document and for
    the store itself. While the document is rebuilt there is nothing to be read: the one that broke
    may have what nobody else will see.

    Args:
        content: the document.
        judge: tells what a full document takes.
        publication: passes on what is new of it.
        persister: where their changes go.
        rebuild_seconds: how long they wait for a document that is being rebuilt.
    """

    __slots__ = (
        "_content",
        "_journal",
        "_judge",
        "_persister",
        "_publication",
        "_rebuild_seconds",
    )

    def __init__(
        self,
        content: Content,
        judge: Judge,
        publication: Publication,
        persister: Persister,
        rebuild_seconds: float,
    ) -> None:
        self._content = content
        self._judge = judge
        self._publication = publication
        self._journal = publication.journal
        self._persister = persister
        self._rebuild_seconds = rebuild_seconds

    async def read(self) -> Document:
        """Gives the document with everything that came, to be read before the next await.

        Raises:
            ServerBusy: it is being rebuilt, and that takes long.
            CollabError: the room has ended.
        """
        content = self._content
        with anyio.move_on_after(self._rebuild_seconds):
            await content.whole()
            return content.document
        raise ServerBusy("expected the document to be whole, got one that is being rebuilt")

    async def take_in(
        self, effect: bytes, entries: Sequence[NewEntry], *, bounded: bool = True
    ) -> None:
        """Takes in changes that were made elsewhere and waits until they are durable.

        Those that bring nothing new are not stored: taking them in again is harmless.

        Args:
            effect: what they come to, as one update that ``check_update`` lets pass.
            entries: the changes as they are to be stored.
            bounded: whether a document that is full takes of them what only deletes, as it does of
                clients'; whoever brings a log that exists elsewhere is to lose none of it.

        Raises:
            DocumentFull: the document is as large as one may be.
            TooLarge: they are of more new clients than may come at once; in parts they may come.
            PoisonedUpdate: they cannot be applied; the document goes on without them.
            ServerBusy: too much waits for the store, or the document is being rebuilt for long.
        """
        await self._quiet()
        if bounded:
            self._judge.refuse_if_full(effect)
        self._content.document.check_new_clients(effect)
        await self._take_saved(effect, entries)

    async def revise(
        self, revision: Callable[[Document], bytes | None], author: str | None
    ) -> bool:
        """Makes a change that depends on what the document is, and waits until it is durable.

        It may make the document larger than one may be: a restore brings back what fit in before.

        Args:
            revision: gives the change to the document it is shown, or None for none; nothing
                changes the document between the one and the other.
            author: of the identity in whose name it is stored.

        Returns:
            Whether there was a change.

        Raises:
            PoisonedUpdate: it cannot be applied; the document goes on without it.
            ServerBusy: too much waits for the store, or the document is being rebuilt for long.
        """
        await self._quiet()
        update = revision(self._content.document)
        if update is None:
            await self.saved()
            return False
        entry = NewEntry(update=update, time_ms=now_ms(), author=author)
        await self._take_saved(update, [entry])
        return True

    async def saved(self) -> None:
        """Waits until every change so far is durable, however many are made meanwhile.

        Raises:
            CollabError: the room has ended.
        """
        await self._content.whole()
        journal = self._journal
        last, newest = journal.last, self._publication.awaited()
        while journal.awaits(last) or (newest is not None and not newest.durable):
            self._persister.hasten()
            await journal.next_change()
            self._content.refuse_if_ended()

    async def _quiet(self) -> None:
        """Returns when everything that came is in the document, and changes can be made in it.

        Raises:
            ServerBusy: too much waits for the store, or the document takes no changes.
            CollabError: the room has ended.
        """
        if self._persister.backlog.full:
            raise ServerBusy("expected the store to keep up, got too much that waits for it")
        await self.read()
        self._content.refuse_if_stopped()

    async def _take_saved(self, effect: bytes, entries: Sequence[NewEntry]) -> None:
        refused: list[PoisonedUpdate] = []
        self._take(effect, entries, refused)
        if not refused:
            await self.saved()
        if refused:  # Once the document was made anew, perhaps.
            raise refused[0]

    def _take(
        self, effect: bytes, entries: Sequence[NewEntry], refused: list[PoisonedUpdate]
    ) -> None:
        content = self._content
        if content.stopped:
            return  # The room has ended meanwhile, as whoever waits for it is told.
        state_before = content.document.state_vector
        # Whoever waits for it may give up: where it has to wait, it is taken in all the same.
        again = partial(self._take, effect, entries, refused)
        try:
            news = content.news([effect], again)
        except PoisonedUpdate as error:
            refused.append(error)
            return
        if news is not None:
            self._publication.publish(
                content.document, {}, {}, list(entries), news, state_before, own=news
            )
