"""Attribution: who wrote each run of a text, and when, from who first delivered it.

A document does not tell which struct a character is of. So the whole state is written once more,
with each character replaced by a mark of the change that brought it: Yjs itself then puts the marks
in the order in which the characters stand.
"""

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pycrdt

from collab.arrays import Arrays, Elements
from collab.document import Document
from collab.errors import UnknownRoot
from collab.history.changes import Change, Changes
from collab.history.content import root_of
from collab.lib0 import write_var_string
from collab.render.tree import check_depth
from collab.render.values import Json, json_value
from collab.roots import root_kinds
from collab.store import Entry
from collab.structs import Kind, read_structs

_NOBODY = -1
_DIGITS = 0xC000
_FIRST = 0x0100
"""Marks are numbers in digits; U+0100 to U+C0FF, each one UTF-16 unit, are the digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Consecutive characters that came in one change, or one embed.

    Attributes:
        insert: the characters, or the JSON value of an embed or a nested type.
        change: what brought them; None where it is older than the history.
    """

    insert: Json
    change: Change | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributedText:
    """One text of a document.

    Attributes:
        path: where it is: the root, then keys and indices.
        runs: what it shows, in order.
    """

    path: Sequence[str | int]
    runs: Sequence[Run]


class Deliveries:
    """Which change first brought each struct, gathered from a log's entries in order.

    It keeps three numbers for each entry, and the changes.

    Args:
        pause_seconds: see ``Changes``.
    """

    def __init__(self, pause_seconds: float) -> None:
        self._changes = Changes(pause_seconds)
        self._clients: dict[int, _Clocks] = {}

    @property
    def changes(self) -> Sequence[Change]:
        """The changes, in the order in which they were begun."""
        return self._changes.gathered

    def skip(self, update: bytes) -> None:
        """Takes in what is older than the history: nobody knows who brought it."""
        self._deliver(update, _NOBODY)

    def add(self, entry: Entry) -> None:
        """Takes in the next entry of the log."""
        self._deliver(entry.update, self._changes.add(entry))

    def spans(self, client: int, clock: int, length: int) -> Iterator[tuple[int, int]]:
        """Tells who brought a range of clocks: (length, index in ``changes`` or -1) pairs."""
        clocks = self._clients.get(client)
        if clocks is None:
            yield length, _NOBODY
        else:
            yield from clocks.spans(clock, clock + length)

    def _deliver(self, update: bytes, change: int) -> None:
        for client, clock, length, kind, *_ in read_structs(update):
            if kind is not Kind.SKIP:
                clocks = self._clients.get(client)
                if clocks is None:
                    clocks = self._clients[client] = _Clocks()
                clocks.deliver(clock, clock + length, change)


class _Clocks:
    """One client's clocks: from each start on, up to the next, one change brought them."""

    __slots__ = ("_brought", "_end", "_starts")

    _MISSING = -2

    def __init__(self) -> None:
        self._starts = array("q", (0,))
        self._brought = array("q", (self._MISSING,))
        self._end = 0  # everything from here on is missing

    def deliver(self, start: int, end: int, change: int) -> None:
        if start >= self._end:
            if start > self._end:
                self._append(self._end, self._MISSING)
            self._append(start, change)
            self._end = end
            return
        # What came before what it depends on left gaps; what comes twice is its first bringer's.
        gaps = [
            (max(first, start), min(last, end))
            for first, last, brought in self._pieces(start, min(end, self._end))
            if brought == self._MISSING
        ]
        for first, last in gaps:
            self._fill(first, last, change)
        if end > self._end:
            self._append(self._end, change)
            self._end = end

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        known = min(end, self._end)
        if start < known:
            for first, last, brought in self._pieces(start, known):
                yield min(last, known) - max(first, start), max(brought, _NOBODY)
        if end > max(known, start):
            yield end - max(known, start), _NOBODY

    def _pieces(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        index = bisect_right(self._starts, start) - 1
        while index < len(self._starts) and self._starts[index] < end:
            last = self._starts[index + 1] if index + 1 < len(self._starts) else self._end
            yield self._starts[index], last, self._brought[index]
            index += 1

    def _append(self, start: int, change: int) -> None:
        if self._starts[-1] == start:
            self._brought[-1] = change
        elif self._brought[-1] != change:
            self._starts.append(start)
            self._brought.append(change)

    def _fill(self, start: int, end: int, change: int) -> None:
        index = bisect_right(self._starts, start) - 1
        first = self._starts[index]
        last = self._starts[index + 1] if index + 1 < len(self._starts) else self._end
        pieces = [(first, self._MISSING)] if first < start else []
        pieces.append((start, change))
        if end < last:
            pieces.append((end, self._MISSING))
        self._starts[index : index + 1] = array("q", [piece[0] for piece in pieces])
        self._brought[index : index + 1] = array("q", [piece[1] for piece in pieces])


def attribute(
    document: Document, deliveries: Deliveries, root: str | None = None
) -> list[AttributedText]:
    """Tells who wrote each run of a document's texts.

    Args:
        document: the document.
        deliveries: of the entries it was built from.
        root: name of a root, None for all.

    Returns:
        The texts and XML texts, in the order in which they stand.

    Raises:
        UnknownRoot: no such root.
        RenderError: it is nested too deeply.
    """
    update = document.doc.get_update()
    kinds = root_kinds([update])
    if root is not None and root not in kinds:
        raise UnknownRoot(root, tuple(sorted(kinds)))
    # Digit by digit, the least first; a mark of 0 stands for nobody.
    units = [1]
    while units[-1] * _DIGITS <= len(deliveries.changes):
        units.append(units[-1] * _DIGITS)
    docs = [_doc_of(update), *(_doc_of(_mark(update, deliveries, unit)) for unit in units)]
    sides = _Sides(deliveries.changes, [Arrays(doc, kinds).elements for doc in docs])
    texts: list[AttributedText] = []
    for name in [root] if root is not None else sorted(kinds):
        texts += sides.texts((name,), [root_of(doc, name, kinds[name]) for doc in docs])
    return texts


def _doc_of(update: bytes) -> "pycrdt.Doc[Any]":
    # Made in a worker thread; it may be another one's that collects it.
    doc: pycrdt.Doc[Any] = pycrdt.Doc(allow_multithreading=True)
    doc.apply_update(update)
    return doc


def _mark(update: bytes, deliveries: Deliveries, unit: int) -> bytes:
    """Writes an update with marks for its characters and embeds."""

    def digits(client: int, clock: int, length: int) -> str:
        return "".join(
            chr(_FIRST + (change + 1) // unit % _DIGITS) * count
            for count, change in deliveries.spans(client, clock, length)
        )

    written = bytearray()
    copied = 0
    for struct in read_structs(update):
        if struct.kind in (Kind.STRING, Kind.EMBED):
            marks = digits(struct.client, struct.clock, struct.length)
            written += update[copied : struct.content]
            written += write_var_string(
                marks if struct.kind is Kind.STRING else json.dumps([marks])
            )
            copied = struct.end
    return bytes(written + update[copied:])


_NESTED = (pycrdt.XmlText, pycrdt.XmlElement, pycrdt.XmlFragment, pycrdt.Text, pycrdt.Map)


class _Sides:
    """What is shown, and beside it the same with marks, one digit of them on each side.

    Args:
        changes: what the marks stand for.
        elements: for each side, tells what its arrays hold.
    """

    def __init__(self, changes: Sequence[Change], elements: Sequence[Elements]) -> None:
        self._changes = changes
        self._elements = elements

    def texts(self, path: tuple[str | int, ...], sides: Sequence[Any]) -> Iterator[AttributedText]:
        """Walks a type, as it is on each side."""
        check_depth(len(path))
        shown = sides[0]
        if isinstance(shown, (pycrdt.Text, pycrdt.XmlText)):
            chunks = [text.diff() for text in sides]
            yield AttributedText(path=path, runs=self._runs(chunks))
            for index, inserts in enumerate(zip(*chunks, strict=True)):
                if isinstance(inserts[0][0], _NESTED):
                    yield from self.texts((*path, index), [insert for insert, _ in inserts])
        elif isinstance(shown, pycrdt.Map):
            for key in sorted(shown.keys()):
                yield from self.texts((*path, key), [each[key] for each in sides])
        elif isinstance(shown, (pycrdt.Array, pycrdt.XmlElement, pycrdt.XmlFragment)):
            columns = [
                elements(each) if isinstance(each, pycrdt.Array) else each.children
                for each, elements in zip(sides, self._elements, strict=True)
            ]
            for index, values in enumerate(zip(*columns, strict=True)):
                yield from self.texts((*path, index), values)

    def _runs(self, chunks: Sequence[Sequence[tuple[Any, object]]]) -> list[Run]:
        """The runs of a text: its chunks beside their marks."""
        runs: list[Run] = []
        for (insert, _), *columns in zip(*chunks, strict=True):
            marks = [column[0] for column in columns]
            if all(isinstance(mark, str) for mark in marks):
                start = 0
                for digits, group in groupby(_marks_of_characters(insert, marks)):
                    end = start + sum(1 for _ in group)
                    change = _change(digits, self._changes)
                    last = runs[-1] if runs else None
                    if last and last.change is change and isinstance(last.insert, str):
                        runs[-1] = Run(insert=last.insert + insert[start:end], change=change)
                    else:
                        runs.append(Run(insert=insert[start:end], change=change))
                    start = end
            elif isinstance(marks[0], list):
                change = _change(tuple(mark[0] for mark in marks), self._changes)
                value = json_value(insert, elements=self._elements[0])
                runs.append(Run(insert=value, change=change))
        return runs


def _marks_of_characters(text: str, marks: Sequence[str]) -> Iterator[tuple[str, ...]]:
    units = zip(*marks, strict=True)
    for character in text:
        yield next(units)
        if ord(character) > 0xFFFF:  # two units
            next(units)


def _change(digits: Sequence[str], changes: Sequence[Change]) -> Change | None:
    mark = sum((ord(digit) - _FIRST) * _DIGITS**place for place, digit in enumerate(digits))
    return changes[mark - 1] if mark else None
