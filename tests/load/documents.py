"""Long documents to open: one that a single author wrote at once, one of many authors."""

import hashlib
import random
from base64 import b85encode
from pathlib import Path

import pycrdt

from collab.storage.sqlite import SQLiteStore
from collab.store import Append

ROOT = "content"
AUTHORS = 200

_PAGE_BYTES = 2000
_MARKS = "é 😀 👨‍👩‍👧 e\u0301 𝒳y\n"


def write_alone(size_bytes: int) -> "pycrdt.Doc[pycrdt.Text]":
    """One author, one insertion."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
    doc[ROOT] = pycrdt.Text(_prose(size_bytes, seed=1))
    return doc


def write_together(size_bytes: int) -> "pycrdt.Doc[pycrdt.Text]":
    """Many authors, a passage each."""
    whole: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    for author in range(1, AUTHORS + 1):
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=author)
        doc[ROOT] = pycrdt.Text(_prose(size_bytes // AUTHORS, seed=author))
        whole.apply_update(doc.get_update())
    return whole


def digest(doc: "pycrdt.Doc[pycrdt.Text]") -> str:
    """SHA-256 of its text, in hexadecimal."""
    return hashlib.sha256(str(doc.get(ROOT, type=pycrdt.Text)).encode()).hexdigest()


async def keep(store: Path, name: str, doc: "pycrdt.Doc[pycrdt.Text]") -> None:
    """Puts a document into a store, as a checkpoint."""
    async with SQLiteStore(store) as opened:
        await opened.append([Append(document=name, entries=[], checkpoint=doc.get_update())])


def _prose(size_bytes: int, seed: int) -> str:
    """Text of about so many bytes, which does not compress to nothing on the way."""
    chance = random.Random(seed)
    pages = -(-size_bytes // (_PAGE_BYTES + len(_MARKS.encode())))
    return "".join(
        b85encode(chance.randbytes(_PAGE_BYTES * 4 // 5)).decode() + _MARKS for _ in range(pages)
    )
