"""Versions: named points of a document's log, and how a store keeps them.

A version is content at a seq under a name. The contract, which
``tests/storage/test_conformance_versions.py`` runs over every store:

Durability
    When a call returns, what it changed survives the process and the machine. When it raises,
    nothing of it is in the store.
Names
    Unique within a document; ``check_version_name`` says what can be one. No name reads like a seq
    or a time, so that a place in a history can be given as any of the three.
Points
    A version's seq is one the document has, not before the base of its
    history. What is appended later moves no version.
Pins
    Content is replayed from the log while the log has it. A version whose content is pinned carries
    it as an update (whole state at its seq), and then needs no entries any more.
Documents
    Versions belong to a document and never make one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from collab.errors import InvalidName

MAX_VERSION_NAME_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One named point of a document.

    Attributes:
        name: what it is called; see ``check_version_name``.
        seq: the entry after which the document was like this; 0 is before the first.
        created_ms: when it was named, milliseconds since the Unix epoch.
        author: id of the identity that named it, or None.
        automatic: whether the server made it by itself, and may remove it again.
        pinned: whether the store keeps its content beside the log.
    """

    name: str
    seq: int
    created_ms: int
    author: str | None = None
    automatic: bool = False
    pinned: bool = False


class VersionStore(Protocol):
    """Where versions are kept; the part of ``collab.store.Store`` that is about them.

    Every method raises ``StoreUnavailable`` for a passing failure and ``StoreError`` for others.
    """

    async def add_version(self, document: str, version: Version) -> None:
        """Names a point of a document. ``version.pinned`` is the store's to say, and not read.

        Raises:
            InvalidName: the version cannot have this name.
            DocumentNotFound: the store has no such document.
            VersionExists: the document has a version of this name.
            PointNotFound: its history has no such seq, or begins later.
            StoreError: the author is not storable.
        """
        ...

    async def versions(self, document: str) -> Sequence[Version]:
        """Lists a document's versions in order of seq; those of one seq by time, then by name.

        Raises:
            DocumentNotFound: the store has no such document.
        """
        ...

    async def remove_version(self, document: str, name: str) -> None:
        """Forgets a version and what is pinned for it; the log stays as it is.

        Raises:
            DocumentNotFound: the store has no such document.
            VersionNotFound: the document has no version of this name.
        """
        ...

    async def pin_version(self, document: str, name: str, update: bytes) -> None:
        """Keeps a version's content beside the log; pinning again replaces it.

        Args:
            document: document name.
            name: name of the version.
            update: whole state at the version's seq.

        Raises:
            DocumentNotFound: the store has no such document.
            VersionNotFound: the document has no version of this name.
        """
        ...

    async def pinned(self, document: str, name: str) -> bytes | None:
        """Reads a version's pinned content; None where it is not pinned.

        Raises:
            DocumentNotFound: the store has no such document.
            VersionNotFound: the document has no version of this name.
        """
        ...


def check_version_name(name: str) -> str:
    """Returns the name if a version can have it.

    Args:
        name: 1 to 200 UTF-8 bytes without control characters or blanks at its ends, which read
            neither as a whole number nor as an ISO 8601 date or time.

    Raises:
        InvalidName: it is something else.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidName("expected whole characters, got a lone surrogate", name) from error
    if not 1 <= size <= MAX_VERSION_NAME_BYTES:
        expected = f"expected a version's name of 1 to {MAX_VERSION_NAME_BYTES} bytes"
        raise InvalidName(f"{expected}, got {size}", name)
    if name != name.strip() or any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in name):
        expected = "expected a version's name without control characters and blanks at its ends"
        raise InvalidName(f"{expected}, got {name!r}", name)
    if name.isdecimal() or is_time(name):
        expected = "expected a version's name that is no number, date or time"
        raise InvalidName(f"{expected}, got {name!r}", name)
    return name


def is_time(text: str) -> bool:
    """Whether a text reads as an ISO 8601 date or time."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
