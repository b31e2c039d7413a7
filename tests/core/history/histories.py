"""Random histories: clients that edit every type, online and offline, and the log it makes."""

import math
import random
from typing import Any

import pycrdt

from collab.document import Document
from collab.history.content import Shared, read_content
from collab.merging import merge
from collab.roots import root_kinds
from collab.store import Entry

ROOTS: dict[str, type[Any]] = {
    "text": pycrdt.Text,
    "array": pycrdt.Array,
    "map": pycrdt.Map,
    "xml": pycrdt.XmlFragment,
    "text 2": pycrdt.Text,
    "map 2": pycrdt.Map,
}
WORDS = ["a", "é", "😀", "hello "]


def make_log(choose: random.Random, moves: int, clients: int = 3) -> list[bytes]:
    """A log of what some clients wrote, in an order in which a server may have heard of it."""
    typists = [Typist(choose) for _ in range(clients)]
    log: list[bytes] = []
    for _ in range(moves):
        typist = choose.choice(typists)
        choice = choose.random()
        if choice < 0.6:
            typist.edit()
        elif choice < 0.8:
            log += typist.send()
        else:
            typist.read(log)
    for typist in typists:
        log += typist.send()
    return log


def entries_of(log: list[bytes], authors: str = "abc") -> list[Entry]:
    """The log as a store has it, each entry by somebody, a second apart."""
    return [
        Entry(seq=seq, update=update, time_ms=seq * 1000, author=authors[seq % len(authors)])
        for seq, update in enumerate(log, 1)
    ]


def content_of(document: Document, log: list[bytes]) -> dict[str, Shared]:
    """What a document shows, root by root as the whole log says they are."""
    return read_content(document.doc, root_kinds(log))


def document_of(log: list[bytes]) -> Document:
    document = Document()
    for update in log:
        document.apply(update)
    return document


class Typist:
    """A client that edits at random."""

    def __init__(self, choose: random.Random) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=choose.randrange(1, 2**32))
        self._choose = choose
        self._unsent: list[bytes] = []
        self._read = 0
        self._reading = False
        self.doc.observe(self._changed)

    def send(self) -> list[bytes]:
        unsent, self._unsent = self._unsent, []
        return [merge(unsent)] if len(unsent) > 1 and self._choose.random() < 0.3 else unsent

    def read(self, log: list[bytes]) -> None:
        self._reading = True
        for update in log[self._read :]:
            self.doc.apply_update(update)
        self._reading = False
        self._read = len(log)

    def edit(self) -> None:
        name = self._choose.choice(list(ROOTS))
        self._edit(self.doc.get(name, type=ROOTS[name]))

    def _changed(self, event: pycrdt.TransactionEvent) -> None:
        if not self._reading:
            self._unsent.append(event.update)

    def _edit(self, value: object) -> None:
        if isinstance(value, (pycrdt.Text, pycrdt.XmlText)):
            self._edit_text(value)
        elif isinstance(value, pycrdt.Array):
            self._edit_array(value)
        elif isinstance(value, pycrdt.Map):
            self._edit_map(value)
        elif isinstance(value, (pycrdt.XmlFragment, pycrdt.XmlElement)):
            self._edit_xml(value)

    def _edit_text(self, text: Any) -> None:
        choose = self._choose
        inserts = [insert for insert, _ in text.diff()]
        embeds = any(not isinstance(insert, str) for insert in inserts)
        written = "" if embeds else "".join(inserts)
        start, end = sorted(choose.randint(0, len(written)) for _ in range(2))
        start_byte, end_byte = (len(written[:at].encode()) for at in (start, end))
        choice = choose.random()
        if choice < 0.5 or not written:
            formats = {"bold": True} if choose.random() < 0.2 else {}
            text.insert(start_byte, choose.choice(WORDS), formats)
        elif choice < 0.75:
            if start != end:
                del text[start_byte:end_byte]
        elif choice < 0.95:
            if start != end:
                value = choose.choice([True, None, "x"])
                text.format(start_byte, end_byte, {choose.choice(["bold", "em"]): value})
        elif isinstance(text, pycrdt.Text):
            text.insert_embed(start_byte, {"image": choose.randrange(9)})

    def _edit_array(self, array: "pycrdt.Array[Any]") -> None:
        size = len(array)
        choice = self._choose.random()
        if choice < 0.5 or size == 0:
            array.insert(self._choose.randint(0, size), self._value())
        elif choice < 0.75:
            del array[self._choose.randrange(size)]
        else:
            self._edit(array[self._choose.randrange(size)])

    def _edit_map(self, entries: "pycrdt.Map[Any]") -> None:
        keys = list(entries.keys())
        choice = self._choose.random()
        if choice < 0.5 or not keys:
            entries[self._choose.choice("abc")] = self._value()
        elif choice < 0.7:
            del entries[self._choose.choice(keys)]
        else:
            self._edit(entries[self._choose.choice(keys)])

    def _edit_xml(self, node: Any) -> None:
        choose = self._choose
        children = list(node.children)
        choice = choose.random()
        if isinstance(node, pycrdt.XmlElement) and choice < 0.2:
            node.attributes[choose.choice("xy")] = choose.choice("12")
        elif choice < 0.5 or not children:
            word = pycrdt.XmlText(choose.choice(WORDS))
            paragraph = pycrdt.XmlElement(choose.choice("pd"), {"x": "1"}, [pycrdt.XmlText("in")])
            child = choose.choice([word, paragraph])
            node.children.insert(choose.randint(0, len(children)), child)
        elif choice < 0.65:
            del node.children[choose.randrange(len(children))]
        else:
            self._edit(choose.choice(children))

    def _value(self, depth: int = 0) -> object:
        deeper = depth < 2
        choice = self._choose.randrange(5)
        if choice == 0:
            return pycrdt.Text(self._choose.choice(WORDS))
        if choice == 1:
            return pycrdt.Array([1, "x", *([self._value(depth + 1)] if deeper else [])])
        if choice == 2:
            return pycrdt.Map({"k": 1, **({"n": self._value(depth + 1)} if deeper else {})})
        return self._choose.choice([1, "s", None, True, math.nan, b"bytes", {"j": [1]}])
