"""Logs as editors write them."""

from collections.abc import Sequence

import pycrdt


def typed(*words: str, client_id: int = 1, root: str = "content") -> list[bytes]:
    """The updates of somebody who types words one after the other."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=client_id)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    text = doc.get(root, type=pycrdt.Text)
    for word in words:
        text += word
    doc.unobserve(subscription)
    return updates


def read(updates: Sequence[bytes], root: str = "content") -> str:
    """The text that updates come to."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    for update in updates:
        doc.apply_update(update)
    return str(doc.get(root, type=pycrdt.Text))
