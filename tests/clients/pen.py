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

    def __init__(self, doc: "pycrdt.Doc[Any]") -> None:
        """Has typed nothing; see ``follow``.

        Args:
            doc: the document.
        """
        self.doc = doc
        self.text = doc.get("content", type=pycrdt.Text)
        self.typed: list[str] = []
        self.clocks: list[int] = []
        self._mark: int | None = None
        self._random = random.Random()

    def follow(self, seed: int, mark: int | None) -> None:
        """Types from now on as these say.

        Args:
            seed: of what it types where.
            mark: code point to put after the first word; each that follows gets the next one, so
                that no word is twice in a text. None leaves words unmarked.
        """
        self._random = random.Random(seed)
        self._mark = mark

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

    def insert(self, at: int, text: str) -> None:
        """Inserts a text, after so many characters."""
        self.text.insert(len(str(self.text)[:at].encode()), text)
        self.clocks.append(self.clock)

    def type(self) -> None:
        """Types a word and a mark, and sometimes deletes the word's first character again."""
        written = str(self.text)
        at = len(written[: self._random.randint(0, len(written))].encode())
        characters = [*self._random.choice(_WORDS)]
        if self._mark is not None:
            characters.append(chr(self._mark))
            self._mark += 1
        self.text.insert(at, "".join(characters))
        self.clocks.append(self.clock)
        if self._random.random() < 0.25:
            del self.text[at : at + len(characters.pop(0).encode())]
            self.clocks.append(self.clock)
        self.typed += characters
