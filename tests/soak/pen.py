"""Typing at random, with an account of it: what ``typist.mjs`` does, in Python."""

import random
from typing import Any

import pycrdt

from collab.state_vector import decode

MARKS_EACH = 2000
"""How many marks each writer has."""

_FIRST_MARK = 0xF0000
_WORDS = ["a", "to ", "type", "é", "😀", "👨‍👩‍👧", "e\u0301", "𝒳y", "together ", "\n"]


def first_mark(writer: int) -> int:
    """Where a writer's marks begin: characters that nobody else types, and each only once.

    They are for private use, in planes 15 and 16 of Unicode.
    """
    return _FIRST_MARK + writer * MARKS_EACH


class Pen:
    """Types into a document, and keeps account of it.

    Attributes:
        doc: the document.
        text: what is typed into.
        typed: characters typed and not deleted again.
        clocks: clock up to which it had typed after each change it made.
    """

    def __init__(self, doc: "pycrdt.Doc[Any]", writer: int, seed: int) -> None:
        """Has typed nothing.

        Args:
            doc: the document.
            writer: number that nobody else has.
            seed: of what it types where.
        """
        self.doc = doc
        self.text = doc.get("content", type=pycrdt.Text)
        self.typed: list[str] = []
        self.clocks: list[int] = []
        self._mark = first_mark(writer)
        self._random = random.Random(seed)
        self._updates: list[bytes] = []
        self._subscription = doc.observe(lambda event: self._updates.append(event.update))

    @property
    def client_id(self) -> int:
        """Its Yjs client id."""
        return self.doc.client_id

    @property
    def clock(self) -> int:
        """Up to which it has typed."""
        return self.known.get(self.client_id, 0)

    @property
    def known(self) -> dict[int, int]:
        """Clocks it has of all clients."""
        return decode(self.doc.get_state())

    def type(self) -> list[bytes]:
        """Types a word and a mark, and sometimes deletes the word's first character again.

        Returns:
            The updates that say so.
        """
        written = str(self.text)
        at = len(written[: self._random.randint(0, len(written))].encode())
        characters = [*self._random.choice(_WORDS), chr(self._mark)]
        self._mark += 1
        self._updates.clear()
        self.text.insert(at, "".join(characters))
        self.clocks.append(self.clock)
        if self._random.random() < 0.25:
            del self.text[at : at + len(characters.pop(0).encode())]
            self.clocks.append(self.clock)
        self.typed += characters
        return self._updates.copy()
