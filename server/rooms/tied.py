"""Tied: what a relay needs of the room that it ties to others of the same document."""

from collections.abc import Callable, Sequence
from typing import Protocol

from collab.document import Document
from collab.presence import Elsewhere, Presence, Present
from collab.server.rooms.promises import Left
from collab.server.tasks import Spawn


class TiedContent(Protocol):
    """A room's document, as its relay sees it."""

    def flush(self) -> None:
        """Applies and passes on what has gathered."""

    def postpone(self, call: Callable[[], None]) -> bool:
        """Has something wait while the document is rebuilt; tells whether it has to."""
        ...


class TiedRemote(Protocol):
    """Where a room takes in what other instances have changed."""

    def take(self, update: bytes, *, promised: bool) -> None:
        """Takes in a change that another instance has taken in, and logs.

        Args:
            update: the change.
            promised: whether ``mark`` will say where that is in the log.
        """

    def integrate(self, update: bytes) -> None:
        """Takes in what another instance has that may be known here for the most part."""

    def mark(self, seqs: Sequence[range]) -> None:
        """What others have taken in is durable.

        Args:
            seqs: where it is in the log; nothing where that is not known.
        """

    def read_back(self) -> None:
        """Others have written to the document, or may have: what they wrote is read."""

    async def stores(self, updates: Sequence[bytes]) -> bool:
        """Whether the store has changes that another instance has passed on.

        Raises:
            CollabError: that cannot be seen.
        """
        ...

    async def secure(self, left: Left) -> None:
        """Logs what the store has not of changes that another instance has passed on, and waits.

        Raises:
            StoreError: the store cannot be read.
            ServerBusy: the document cannot be looked at now.
            CollabError: the room has ended.
        """


class TiedMessaging(Protocol):
    """Where a room hears what is said on other instances."""

    def hear(self, text: str, to: str | None, sender: str | None) -> int:
        """Passes on what was said on another instance; tells to how many."""
        ...


class TiedRoom(Protocol):
    """A room, as its relay sees it."""

    @property
    def content(self) -> TiedContent:
        """Holds the document, and what is about to come into it."""
        ...

    @property
    def remote(self) -> TiedRemote:
        """Takes in what others have changed."""
        ...

    @property
    def document(self) -> Document:
        """The document."""
        ...

    @property
    def presence(self) -> Presence:
        """Who is here."""
        ...

    @property
    def messaging(self) -> TiedMessaging:
        """Hears what others say."""
        ...

    @property
    def spawn(self) -> Spawn:
        """Starts a task that ends with the app."""
        ...

    @property
    def ended(self) -> bool:
        """Whether it serves nobody any more."""
        ...

    def show_relayed(self, clients: Sequence[Present], owner: Elsewhere) -> Sequence[Present]:
        """Takes in presence of clients of another instance.

        Returns:
            Those it is to be told have left, as far as anybody knows here.
        """
        ...

    def forget_instance(self, instance: str) -> None:
        """Removes the presence of another instance's clients, which is gone."""

    def reopen(self) -> None:
        """Ends, so that everyone opens the document anew: another instance has changed it whole."""
