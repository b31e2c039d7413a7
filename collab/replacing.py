"""Replacing: a text turned into another one by as small a change as can be seen at its ends."""

import pycrdt

from collab.errors import RenderError
from collab.roots import RootKind, root_kinds


def replace_text(state: bytes, text: str, root: str) -> bytes | None:
    """Makes the change that turns a document's text into another one.

    What both have at their beginning and at their end stays as it is, with its formats, and so do
    the positions in it that others have.

    Args:
        state: the document as one update.
        text: what the text is to be.
        root: the name of its root; one that the document does not have is made.

    Returns:
        The change as an update; None where there is nothing to change.

    Raises:
        RenderError: the root is no text, or has other things than characters in it.
    """
    kind = root_kinds([state]).get(root, RootKind.EMPTY)
    if kind not in (RootKind.TEXT, RootKind.EMPTY):
        raise RenderError(f"expected a text as root {root!r}, got {kind}")
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    doc.apply_update(state)
    shared = doc.get(root, type=pycrdt.Text)
    pieces = [piece for piece, _ in shared.diff()]
    if not all(isinstance(piece, str) for piece in pieces):
        raise RenderError(f"expected characters alone in root {root!r}, got embedded values")
    before = "".join(pieces)
    start = _common(before, text)
    rest, replacement = before[start:], text[start:]
    end = _common(rest[::-1], replacement[::-1])
    removed, added = rest[: len(rest) - end], replacement[: len(replacement) - end]
    changes: list[bytes] = []
    subscription = doc.observe(lambda event: changes.append(event.update))
    with doc.transaction():
        position = len(before[:start].encode())  # pycrdt counts bytes.
        if removed:
            del shared[position : position + len(removed.encode())]
        if added:
            shared.insert(position, added)
    doc.unobserve(subscription)
    return changes[0] if changes else None


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
