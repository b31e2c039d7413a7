"""HomeThread: the thread that a Doc belongs to, and what is said to another one that changes it."""

import threading

from collab.errors import WrongThread


class HomeThread:
    """The thread on which a document was opened.

    Two threads that change a Doc at once share a transaction, and what one does counts as the
    other's. So a change on another thread is refused, and so is whatever follows: it may build on a
    change that nobody else has.

    Args:
        document: the document name.

    Attributes:
        strayed: whether the document was changed on another thread.
    """

    __slots__ = ("_document", "_home", "strayed")

    def __init__(self, document: str) -> None:
        self.strayed = False
        self._document = document
        self._home = threading.get_ident()

    def check(self) -> None:
        """Notes that the document is changed on the thread that runs.

        Raises:
            WrongThread: it is another one.
        """
        if threading.get_ident() != self._home:
            self.strayed = True
            raise WrongThread(self._document)

    def refuse_if_strayed(self) -> None:
        """Refuses to vouch for a document that was changed on another thread.

        Raises:
            WrongThread: it was.
        """
        if self.strayed:
            raise WrongThread(self._document)
