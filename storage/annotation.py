"""Metadata of a YStore as the author of an entry, and back, byte by byte."""

import base64

_BASE64 = "base64:"


def author_of(metadata: bytes) -> str | None:
    """The author that stands for metadata: its text, or base64 where it is none; None for none."""
    if not metadata:
        return None
    try:
        author = metadata.decode()
    except UnicodeDecodeError:
        return _BASE64 + base64.b64encode(metadata).decode()
    if author.startswith(_BASE64):
        return _BASE64 + base64.b64encode(metadata).decode()
    return author


def metadata_of(author: str | None) -> bytes:
    """The metadata that an author stands for; another's name is its text."""
    if author is None:
        return b""
    if author.startswith(_BASE64):
        try:
            return base64.b64decode(author.removeprefix(_BASE64), validate=True)
        except ValueError:
            pass  # Not written here: somebody is called that.
    return author.encode()
