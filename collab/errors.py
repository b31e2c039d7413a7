"""Everything collab raises on purpose, drawn as a tree.

::

    CollabError
    ├── ProtocolError            a peer broke the wire protocol; closes that client only
    │   ├── Truncated            ended in the middle of a value
    │   ├── TooLarge             more than a limit allows
    │   ├── TooEarly             more than may wait for a token to be looked at
    │   └── PoisonedUpdate       an update the CRDT cannot apply
    ├── PairsCut                 a long document is to be made anew before it takes an update
    ├── Unauthenticated          nobody knows who this is
    ├── AccessDenied             the identity may not do this
    ├── OriginRefused            a web page from elsewhere, which was not listed
    ├── HostRefused              a host name that is not one of this machine's
    ├── KeysUnavailable          the keys that tokens are checked with cannot be fetched now
    ├── InvalidName              not a document name
    ├── InvalidGrant             not a pattern of document names, or not an access
    ├── InvalidQuery             a request asks for something that makes no sense
    ├── InvalidMessage           not an application message, or one too long
    ├── BodyTooLarge             a request brings more than it may
    ├── BodyTooSlow              a request takes longer than it may to bring it
    ├── HeadTooLarge             the head of a handshake is longer than it may be
    ├── SessionEnded             a request belongs to a session that is over
    ├── OutOfTurn                a request of a session came when it was another's turn
    ├── DocumentFull             a document is as large as one may be: it takes deletions alone
    ├── SourceError              what is to be imported cannot be read
    ├── InvalidSeed              not content that a document can begin with
    ├── RenderError              a document cannot be shown this way
    │   ├── UnknownRoot          no such root type in the document
    │   └── UnknownFormat        no such export format
    ├── HistoryError             what a document was cannot be had any more, or not this way
    │   ├── InvalidPoint         not a place in a history
    │   └── PointNotFound        no such place in this document's history
    ├── StoreError               the store could not do it
    │   ├── StoreNotFound        there is no store at this address
    │   ├── DocumentNotFound     the store has no such document
    │   │   └── DocumentDeleted  it was deleted
    │   ├── DocumentExists       there is a document of this name already
    │   ├── VersionNotFound      the document has no version of this name
    │   ├── VersionExists        the document has a version of this name already
    │   ├── BrokenDocument       what is stored of a document cannot be read or does not apply
    │   ├── BrokenEntries        a stretch of a log cannot be read; what follows it can
    │   ├── SeedUnavailable      what a new document begins with cannot be had now
    │   ├── StoreUnavailable     a passing failure: full disk, lock, I/O error; try again
    │   │   └── EntriesDropped   what was to be read next of a log is gone meanwhile; begin anew
    │   ├── StoreOwned           another process owns the store's open documents
    │   └── StoreVersionError    the store was written by a newer collab
    ├── AddressUnavailable       an address cannot be listened on now
    ├── NotRunning               the app was used before it was entered, or after it was left
    ├── WrongTask                the app was left in another task than the one that entered it
    ├── WrongThread              an open document was changed on another thread than its own
    ├── WorkerFailed             a worker process of a server did not start, or not end in order
    ├── ServerBusy               a bound is reached; try again later
    ├── TooMany                  one address or user takes too much; later, or with less
    ├── RequestRefused           the server that a command turned to refused
    ├── ConnectionEnded          a client's connection to a server is over, or there is none
    │   └── WebSocketsBlocked    the server was reached, but not with a WebSocket
    ├── TimedOut                 what was waited for did not come about in time
    ├── NotSaved                 changes are not durable, or nobody knows whether they are
    └── SettingsError            a setting that cannot work
"""

from typing import TYPE_CHECKING

from collab.close import CloseCode

if TYPE_CHECKING:
    from collab.cutting import Cutting  # which raises what is here


class CollabError(Exception):
    """Base of everything collab raises on purpose."""


class ProtocolError(CollabError):
    """A peer broke the wire protocol.

    Attributes:
        code: the close code this client gets.
    """

    code: CloseCode = CloseCode.MALFORMED


class Truncated(ProtocolError):
    """A message ended in the middle of a value."""


class TooLarge(ProtocolError):
    """A peer sent more than a limit allows."""

    code = CloseCode.TOO_LARGE


class TooEarly(ProtocolError):
    """A peer sent more than is kept until its token was looked at; it may come back."""

    code = CloseCode.TRY_AGAIN_LATER


class PoisonedUpdate(ProtocolError):
    """An update that is not one, or that the CRDT cannot apply.

    Attributes:
        update: the bytes refused.
    """

    def __init__(self, message: str, update: bytes) -> None:
        super().__init__(message)
        self.update = update

    @classmethod
    def of(cls, update: bytes, error: BaseException) -> "PoisonedUpdate":
        """Whatever the CRDT raised, as ours: its PanicException derives from BaseException.

        Raises:
            KeyboardInterrupt: it is one.
            SystemExit: it is one.
        """
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        return cls(f"expected an update that applies, got: {error}", update)


class PairsCut(CollabError):
    """An update cuts pairs of a document too long to be made anew at once; see ``collab.pairs``.

    Attributes:
        cutting: what is to be carried out and taken over before the update is given again.
    """

    def __init__(self, message: str, cutting: "Cutting") -> None:
        super().__init__(message)
        self.cutting = cutting


class Unauthenticated(CollabError):
    """No credentials, or credentials that are not valid (any more)."""


class AccessDenied(CollabError):
    """The identity may not do this.

    Attributes:
        document: the document name.
    """

    def __init__(self, message: str, document: str) -> None:
        super().__init__(message)
        self.document = document


class OriginRefused(CollabError):
    """A request of a web page from elsewhere, which was not listed.

    Attributes:
        origin: where the page is from, as the browser says.
    """

    def __init__(self, origin: str) -> None:
        super().__init__(f"expected a page of this server or a listed origin, got {origin!r}")
        self.origin = origin


class HostRefused(CollabError):
    """A request for a host name that is not one of this machine's, where only these are answered.

    Attributes:
        host: what was asked for.
    """

    def __init__(self, host: str) -> None:
        super().__init__(
            f"expected a host name of this machine or of a listed origin, got {host!r}"
        )
        self.host = host


class KeysUnavailable(CollabError):
    """The keys that tokens are checked with cannot be fetched now; try again later."""


class InvalidName(CollabError):
    """A string that cannot name a document.

    Attributes:
        name: the string.
    """

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class InvalidGrant(CollabError):
    """A grant whose pattern names no documents, or whose access is none."""


class InvalidQuery(CollabError):
    """A request asks for something that makes no sense."""


class InvalidMessage(CollabError):
    """Something that is no application message, or one longer than the configured bound."""


class BodyTooLarge(CollabError):
    """A request's body is longer than the configured bound.

    Attributes:
        max_bytes: the bound.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"expected a body of at most {max_bytes} bytes, got more")
        self.max_bytes = max_bytes


class BodyTooSlow(CollabError):
    """A request's body took longer to come than the configured bound.

    Attributes:
        seconds: the bound.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"expected a body within {seconds:g} s, got a part of it")
        self.seconds = seconds


class HeadTooLarge(CollabError):
    """The head of a WebSocket handshake is longer than the configured bound.

    Attributes:
        max_bytes: the bound.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"expected a head of at most {max_bytes} bytes, got more")
        self.max_bytes = max_bytes


class SessionEnded(CollabError):
    """A request belongs to a session that is over, or that there never was."""


class OutOfTurn(CollabError):
    """A request of a session came before those it follows, or gave way to a newer one."""


class DocumentFull(CollabError):
    """A document is as large as one may be, and takes only what deletes text of it.

    Attributes:
        document: the document name.
        setting: name of the setting that says how large that is.
    """

    def __init__(self, document: str, setting: str) -> None:
        super().__init__(
            f"expected deletions alone, as {document!r} is as large as one may be ({setting}), "
            "got more"
        )
        self.document = document
        self.setting = setting


class SourceError(CollabError):
    """What is to be imported is not there, or is not what it was said to be."""


class InvalidSeed(CollabError):
    """Not content that a document can begin with."""


class RenderError(CollabError):
    """A document cannot be shown in the format asked for."""


class UnknownRoot(RenderError):
    """The document has no root type of this name.

    Attributes:
        root: the name asked for.
        known: the names there are.
    """

    def __init__(self, root: str, known: tuple[str, ...]) -> None:
        there = ", ".join(known) if known else "none"
        super().__init__(f"expected one of the document's roots ({there}), got {root!r}")
        self.root = root
        self.known = known


class UnknownFormat(RenderError):
    """No export format of this name.

    Attributes:
        format: the name asked for.
        known: the names there are.
    """

    def __init__(self, format: str, known: tuple[str, ...]) -> None:  # noqa: A002 - the field's word
        super().__init__(f"expected a format of {', '.join(known)}, got {format!r}")
        self.format = format
        self.known = known


class HistoryError(CollabError):
    """What a document was cannot be had any more, or not this way."""


class InvalidPoint(HistoryError):
    """A text that names no place in a history."""


class PointNotFound(HistoryError):
    """The document's history has no such place.

    Attributes:
        document: the document name.
    """

    def __init__(self, message: str, document: str) -> None:
        super().__init__(message)
        self.document = document


class StoreError(CollabError):
    """The store could not do it."""


class StoreNotFound(StoreError):
    """There is no store at this address.

    Attributes:
        address: where it was looked for.
    """

    def __init__(self, address: str) -> None:
        super().__init__(f"no store at {address}")
        self.address = address


class DocumentNotFound(StoreError):
    """The store has no such document.

    Attributes:
        document: the name asked for.
    """

    _why = ""

    def __init__(self, document: str) -> None:
        super().__init__(f"no document named {document!r}{self._why}")
        self.document = document


class DocumentDeleted(DocumentNotFound):
    """The document was deleted, and perhaps erased; what is left of it takes no changes."""

    _why = ": it was deleted"


class DocumentExists(StoreError):
    """There is a document of this name already.

    Attributes:
        document: the name.
    """

    def __init__(self, document: str) -> None:
        super().__init__(f"expected a new name, got that of the document {document!r}")
        self.document = document


class VersionNotFound(StoreError):
    """The document has no version of this name.

    Attributes:
        document: the document name.
        version: the name asked for.
    """

    def __init__(self, document: str, version: str, *, forms: str | None = None) -> None:
        """Says what was looked for.

        Args:
            document: the document name.
            version: the name asked for.
            forms: what it might have been as well; None where only a name was asked for.
        """
        message = f"no version {version!r} of {document!r}"
        if forms is not None:
            message = f"expected {forms} of {document!r}, got {version!r}"
        super().__init__(message)
        self.document = document
        self.version = version


class VersionExists(StoreError):
    """The document has a version of this name already.

    Attributes:
        document: the document name.
        version: the name.
    """

    def __init__(self, document: str, version: str) -> None:
        super().__init__(f"expected a new name for a version of {document!r}, got {version!r}")
        self.document = document
        self.version = version


class BrokenDocument(StoreError):
    """A stored state of a document cannot be read, or something does not apply.

    Attributes:
        document: the document name.
    """

    def __init__(self, message: str, document: str) -> None:
        super().__init__(message)
        self.document = document


class SeedUnavailable(StoreError):
    """What a new document begins with cannot be had now; it stays unopened.

    Attributes:
        document: the name.
    """

    def __init__(self, document: str) -> None:
        super().__init__(f"expected the initial content of {document!r}, got none")
        self.document = document


class BrokenEntries(StoreError):
    """A stretch of a log cannot be read; what follows it can.

    Attributes:
        first_seq: seq of its first entry.
        last_seq: seq of its last one.
    """

    def __init__(self, message: str, first_seq: int, last_seq: int) -> None:
        super().__init__(message)
        self.first_seq = first_seq
        self.last_seq = last_seq


class StoreUnavailable(StoreError):
    """A passing failure (full disk, lock, I/O error): nothing was written, try again."""


class EntriesDropped(StoreUnavailable):
    """What was to be read next of a log was dropped meanwhile: its history begins later now."""


class StoreOwned(StoreError):
    """Another process owns the store: what is to be written goes through it, or waits.

    Attributes:
        path: the store's file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"expected {path} to be free, got one that another process works on")
        self.path = path


class StoreVersionError(StoreError):
    """The store was written by a newer collab than this one."""


class AddressUnavailable(CollabError):
    """An address cannot be listened on: it is taken, or not this machine's."""


class NotRunning(CollabError):
    """The app was used before it was entered, or after it was left."""


class WrongTask(CollabError):
    """The app was left in another task than the one that entered it."""


class WrongThread(CollabError):
    """An open document was changed on another thread than the one that opened it.

    Attributes:
        document: the document name.
    """

    def __init__(self, document: str) -> None:
        super().__init__(
            f"expected {document!r} to be changed on the thread that opened it, got a change on "
            "another, which is neither passed on nor stored; anyio.from_thread.run_sync(change) "
            "hands it to the thread of an event loop"
        )
        self.document = document


class WorkerFailed(CollabError):
    """A worker process of a server did not start, or did not end in order."""


class TooMany(CollabError):
    """One address or user has as many connections as it may."""


class ServerBusy(CollabError):
    """A bound is reached; try again later."""


class RequestRefused(CollabError):
    """The server that a command turned to refused, for the reason it gave.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class ConnectionEnded(CollabError):
    """A client's connection to a server is over, or could not be made.

    Attributes:
        code: the server's close code; None where it said nothing.
        reason: why, in the server's words or the network's.
    """

    def __init__(self, code: int | None, reason: str) -> None:
        said = reason if code is None else f"{code} {reason}".rstrip()
        super().__init__(f"expected a connection, got its end: {said}")
        self.code = code
        self.reason = reason


class WebSocketsBlocked(ConnectionEnded):
    """The server was reached, or what stands before it, and no WebSocket came of it."""


class TimedOut(CollabError, TimeoutError):
    """What a program waited for did not come about in the time it gave."""


class NotSaved(CollabError):
    """Changes of a client are not durable, or nobody knows whether they are.

    Attributes:
        document: the document name.
    """

    def __init__(self, message: str, document: str) -> None:
        super().__init__(message)
        self.document = document


class SettingsError(CollabError):
    """A setting that cannot work."""
