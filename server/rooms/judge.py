"""Judge: what a document takes of what is brought to it, and what is said of the rest."""

from collab.errors import DocumentFull
from collab.protocol.messages import Receipt, SyncStep2, Update
from collab.server.metrics import Metrics
from collab.server.rooms.content import Content
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

        A document that is full takes what only deletes text that is here. Of a long change of which
        a part was refused, the rest is refused, too.
        """
        content, torn = self._content, member.session.torn
        full = content.full
        if full is not None:
            full = self._look_for_room()
        if full is None and not torn:
            if isinstance(message, Update):
                content.add(member, message)
            else:
                content.integrate(member, message)
        elif not torn and content.document.can_delete(message.update):
            # As an answer is taken in: what was deleted already costs nothing.
            content.integrate(member, SyncStep2(message.update, message.receipt))
        else:
            if full is not None:
                self._metrics.count_limit(full)
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

    def take_readers(self, member: Member, answer: SyncStep2) -> None:
        """Acknowledges a reader's step 2 where it brings nothing new, and refuses it otherwise."""
        if member.session.torn or not self._content.document.has(answer.update):
            self._refuse(member, answer, READ_ONLY)
        elif answer.receipt is not None:
            self.promise(member, answer.receipt)

    def promise(self, member: Member, receipt: Receipt) -> bool:
        """Has a receipt sent when all that a member has sent so far is durable.

        Returns:
            Whether it will be: not where a part of that was refused.
        """
        if member.session.has_refused:
            return False  # Perhaps after the receipt was asked for.
        self._content.add_receipt(member, receipt)
        return True

    def _look_for_room(self) -> str | None:
        """Measures a document that is full anew; returns what says that it still is, if so."""
        self._content.look_for_room()
        return self._content.full

    @staticmethod
    def _refuse(member: Member, message: Update | SyncStep2, reason: str) -> None:
        refusal = member.session.refuse(message, reason)
        if refusal is not None:
            member.connection.send(refusal.frame)
