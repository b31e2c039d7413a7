"""Logged: a document and the log it can be built from again, and what must hold for the two."""

from collections.abc import Iterable

from collab.checking import check_update
from collab.comparison import difference
from collab.document import Document
from collab.errors import PoisonedUpdate
from collab.store import Entry, Stored
from tests.fuzz.excuses import OtherContent, contradict

PENDING_MAX_BYTES = 2048
MAX_CLIENTS = 8


class Logged:
    """A document that hostile updates come to, kept as a room keeps it.

    Attributes:
        document: the document.
        log: the updates it was made of.
        given: all updates, those that were refused as well.
    """

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.log: list[bytes] = []
        self.document = self._load()

    def apply(self, update: bytes) -> bool:
        """Applies a checked update, and tells whether it was taken."""
        self.given.append(update)
        before = self.document.encode()
        try:
            self.document.apply(update)
        except PoisonedUpdate:
            self._recover(before)
            return False
        self.log.append(update)
        return True

    def integrate(self, update: bytes) -> bool:
        """Takes what is new of a checked update, and tells whether it was taken."""
        self.given.append(update)
        before = self.document.encode()
        try:
            news = self.document.integrate(update)
        except PoisonedUpdate:
            self._recover(before)
            return False
        if news is None:
            expect_same(self.document, document_of([before]), "nothing was new")
        else:
            self.log.append(news)
        return True

    def check(self) -> None:
        """Checks that everybody who has it, has the same."""
        encoded = self.document.encode()
        check_update(encoded)
        expect_same(self.document, document_of([encoded]), "who gets all at once")
        if not contradict(self.log):
            expect_same(self.document, self._load(), "who opens it again")
            backwards = document_of(reversed(self.log))
            expect_same(self.document, backwards, "who gets it the other way round")

    def _recover(self, before: bytes) -> None:
        self.document = self._load()
        expect_same(self.document, document_of([before]), "what was refused left nothing")

    def _load(self) -> Document:
        entries = [
            Entry(seq=seq, update=update, time_ms=0, author=None)
            for seq, update in enumerate(self.log, 1)
        ]
        document = Document.load(
            Stored(
                document="", seq=len(entries), checkpoint=None, checkpoint_seq=0, entries=entries
            )
        )
        document.pending_max_bytes = PENDING_MAX_BYTES
        document.max_new_clients = MAX_CLIENTS
        return document


def document_of(updates: Iterable[bytes]) -> Document:
    """A document of these updates, without bounds."""
    document = Document()
    for update in updates:
        document.apply(update)
    return document


def expect_same(one: Document, other: Document, who: str) -> None:
    """Fails where two documents differ and should not.

    Raises:
        OtherContent: they do in what they show alone.
    """
    differs = difference(one, other)
    if differs is not None and "content" in differs:
        raise OtherContent(f"{who}: {differs}")
    assert differs is None, f"{who}: {differs}"
