"""Who somebody is and what they may do with a document."""

from dataclasses import dataclass, field
from enum import IntEnum

from collab.errors import InvalidName

MAX_NAME_BYTES = 512


class Access(IntEnum):
    """What may be done with one document; each level includes those below it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3
    """May also do what concerns everybody: delete documents, end others' sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a connection speaks for.

    Attributes:
        id: stable id, stored as the author of changes; None for somebody unnamed.
        name: what people are shown; None where unknown.
        access: what this identity may do, where nothing more special is said.

    Raises:
        InvalidName: the id has half a surrogate pair, which no store takes.
    """

    id: str | None = None
    name: str | None = None
    access: Access = field(default=Access.WRITE)

    def __post_init__(self) -> None:
        if self.id is not None:
            try:
                self.id.encode()
            except UnicodeEncodeError as error:
                raise InvalidName(
                    "expected an identity of whole characters, got a lone surrogate", self.id
                ) from error

    def access_to(self, document: str) -> Access:
        """What this identity may do with a document.

        Args:
            document: document name.
        """
        return self.access


ANYONE = Identity(access=Access.ADMIN)
"""Somebody unnamed who may do everything: the identity where no authentication is configured."""


def check_name(name: str) -> str:
    """Returns the document name if it can be one.

    Args:
        name: any Unicode string of 1 to 512 UTF-8 bytes without control characters.

    Raises:
        InvalidName: it is empty, too long, has control characters or is not encodable.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidName("expected whole characters, got a lone surrogate", name) from error
    if not 1 <= size <= MAX_NAME_BYTES:
        raise InvalidName(f"expected a name of 1 to {MAX_NAME_BYTES} bytes, got {size}", name)
    for character in name:
        code = ord(character)
        if code < 0x20 or 0x7F <= code < 0xA0:
            raise InvalidName(f"expected a name without control characters, got {name!r}", name)
    return name
