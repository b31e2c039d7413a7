"""What tests do with documents: write a text, read it, wait for what others do to it."""

from collections.abc import Callable

import anyio
import pycrdt

from collab.client import RemoteDocument

WITHIN_SECONDS = 30.0
"""How long anything may take that should take moments; the machine may be busy."""


def text_of(document: RemoteDocument) -> pycrdt.Text:
    """The text that tests write into."""
    text: pycrdt.Text = document.doc.get("content", type=pycrdt.Text)
    return text


def write(document: RemoteDocument, text: str) -> None:
    """Writes at the end."""
    shared = text_of(document)
    shared += text


async def until(document: RemoteDocument, condition: Callable[[], bool], what: str = "it") -> None:
    """Waits until something that happens to a document makes this true."""
    changes = document.changes()
    try:
        with anyio.fail_after(WITHIN_SECONDS):
            while not condition():
                await anext(changes)
    except TimeoutError:
        raise AssertionError(
            f"expected {what}, got {document.status}, {str(text_of(document))!r}, "
            f"{document.presence()} and {document.pending_changes} changes pending"
        ) from None


async def until_shows(document: RemoteDocument, text: str) -> None:
    """Waits until a document has a text."""
    await until(document, lambda: str(text_of(document)) == text, repr(text))
