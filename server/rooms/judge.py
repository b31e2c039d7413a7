"""Judge: what a document takes of what is brought to it, and what is said of the rest."""

from functools import partial

from collab.access import Access
from collab.errors import DocumentFull
from collab.protocol.messages import EMPTY_UPDATE, Receipt, SyncStep2, Update
from collab.server.metrics import Metrics
from collab.server.rooms.content import Content
from collab.server.rooms.long_messages import LONG_BYTES
from collab.server.rooms.member import Member
from collab.session import READ_ONLY


class Judge:
    """Takes in what writers bring while the document has room, and then what makes room alone.

    Whose change is refused goes on reading, and nothing is promised of it. Programs that write for
    somebody are asked to have their changes judged, too.

    Args:
        content: the document.
        metrics: count what is refused at a bound.
    """

    __slots__ = ("_content", "_metrics")

    def __init__(self, content: Content, metrics: Metrics) -> None:
        self._content = content
        self._metrics = metrics

    def take(self, member: Member, message: Update | SyncStep2) -> None:
        """Takes in what a writer brings, or refuses it.

        A document that is full takes what only deletes text that is here, and of an answer to a
        step 1 as much: there is room for the rest of it then, when it is brought again. Of a long
        change of which a part was refused, the rest is refused, too.
        """
        content, torn = self._content, member.session.torn
        full = content.full
        if full is not None:
            full = self._look_for_room()
        if full is None and not torn:
            if isinstance(message, Update):
                content.add(member, message)
            else:
                content.integrate(member, self._made_good(member, message))
        elif not torn and content.document.can_delete(message.update):
            # As an answer is taken in: what was deleted already costs nothing.
            if isinstance(message, Update):
                message = SyncStep2(message.update, message.receipt, message.whole, message.more)
            else:
                message = self._made_good(member, message)
            content.integrate(member, message)
        else:
            if full is not None:
                self._metrics.count_limit(full)
                self._make_room(member, message)
            self._refuse(member, message, "this document is as large as one may be")

    def refuse_if_full(self, update: bytes) -> None:
        """Raises that the document does not take a program's change, if so.

        Raises:
            DocumentFull: it is full, and the change does not only delete text that is here.
        """
        full = self._content.full
        if full is not None:
            full = self._look_for_room()
        if full is not None and not self._content.document.can_delete(update):
            self._metrics.count_limit(full)
            raise DocumentFull(self._content.name, full)

    def may_take_refused(self, member: Member) -> bool:
        """Whether what was refused of a member's could be taken in by now."""
        session = member.session
        if not session.has_refused or session.access < Access.WRITE:
            return False
        return self._content.full is None or self._look_for_room() is None

    def take_readers(self, member: Member, message: Update | SyncStep2) -> None:
        """Refuses what a reader brings, but for a step 2 that brings nothing new.

        Who may write by now, as it had to wait, is judged as a writer.
        """
        content = self._content
        if isinstance(message, SyncStep2):
            content.flush()  # It may have what is about to come in.
            if content.defer(member, partial(self.take_readers, member, message)):
                return
        if member.session.access >= Access.WRITE:
            self.take(member, message)
        elif isinstance(message, Update) or not self._knows(member, message):
            self._refuse(member, message, READ_ONLY)
        elif (receipt := self._made_good(member, message).receipt) is not None:
            self.promise(member, receipt)

    def promise(self, member: Member, receipt: Receipt) -> bool:
        """Has a receipt sent when all that a member has sent so far is durable.

        Returns:
            Whether it will be: where a part of that was refused, not before that is brought again.
        """
        if member.session.has_refused:
            member.session.keep(receipt)
            return False
        self._content.add_receipt(member, receipt)
        return True

    def _look_for_room(self) -> str | None:
        """Measures a document that is full anew; returns what says that it still is, if so."""
        self._content.look_for_room()
        return self._content.full

    def _make_room(self, member: Member, message: Update | SyncStep2) -> None:
        """Takes in what an answer that is refused deletes, unless it is long to read."""
        if isinstance(message, SyncStep2) and len(message.update) <= LONG_BYTES:
            deletions = self._content.document.deletions_in(message.update)
            if deletions != EMPTY_UPDATE:
                self._content.integrate(member, SyncStep2(deletions))

    def _knows(self, member: Member, answer: SyncStep2) -> bool:
        """Whether the document has all of an answer, as far as that was read."""
        return not member.session.torn and self._content.document.has(answer.update)

    @staticmethod
    def _made_good(member: Member, answer: SyncStep2) -> SyncStep2:
        return answer if answer.more else member.session.make_good(answer)

    @staticmethod
    def _refuse(member: Member, message: Update | SyncStep2, reason: str) -> None:
        refusal = member.session.refuse(message, reason)
        if refusal is not None:
            member.connection.send(refusal)
