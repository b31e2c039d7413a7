"""Comparison: whether two documents are the same, however their updates are cut and encoded."""

from collections.abc import Iterable, Mapping

from collab.document import Document
from collab.errors import RenderError
from collab.render.export import Format, render
from collab.roots import RootKind, root_kinds
from collab.structs import Kind, read_deletions, read_structs


def difference(one: Document, other: Document) -> str | None:
    """Tells in which way two documents differ.

    They are the same where neither has a change that the other lacks, deletions and what still
    waits for its dependencies included, and where both show the same. What was deleted is compared
    by place alone: a document may have forgotten it.

    Returns:
        What differs, in words; None where nothing does.
    """
    first, second = one.encode(), other.encode()
    if first == second:
        return None
    # Integrating makes deletions: both are to have integrated what can be.
    first, second = _document(first).encode(), _document(second).encode()
    here, there = _Coverage(first), _Coverage(second)
    if there.exceeds(here):
        return "the second has changes that the first lacks"
    if here.exceeds(there):
        return "the first has changes that the second lacks"
    kinds = root_kinds([first, second])  # One may have forgotten what a root was.
    if _shown(first, kinds) != _shown(second, kinds):
        return "they have the same changes with other content"
    return None


Ranges = dict[int, list[tuple[int, int]]]
"""By client: its clocks, as begins and ends in order, none of which touch."""


class _Coverage:
    """The changes and the deletions that an update has, whether they can be integrated or not."""

    def __init__(self, update: bytes) -> None:
        structs = [each for each in read_structs(update) if each.kind is not Kind.SKIP]
        deletions = [(each.client, each.clock, each.length) for each in read_deletions(update)]
        # What came deleted is among the deletions or not, for as long as it waits for others.
        deletions += [
            (each.client, each.clock, each.length)
            for each in structs
            if each.kind in (Kind.GC, Kind.DELETED)
        ]
        self._structs = _ranges((each.client, each.clock, each.length) for each in structs)
        self._deletions = _ranges(deletions)

    def exceeds(self, other: "_Coverage") -> bool:
        """Whether there is something in it that the other has not."""
        return _exceed(self._structs, other._structs) or _exceed(self._deletions, other._deletions)


def _ranges(runs: Iterable[tuple[int, int, int]]) -> Ranges:
    ranges: Ranges = {}
    for client, clock, length in sorted(runs):
        known = ranges.setdefault(client, [])
        if known and clock <= known[-1][1]:
            known[-1] = (known[-1][0], max(known[-1][1], clock + length))
        else:
            known.append((clock, clock + length))
    return ranges


def _exceed(ranges: Ranges, others: Ranges) -> bool:
    return any(
        not any(begin <= first and last <= end for begin, end in others.get(client, ()))
        for client, known in ranges.items()
        for first, last in known
    )


def _shown(whole: bytes, kinds: Mapping[str, RootKind]) -> bytes | str:
    # A fresh Doc: showing gives roots their types.
    try:
        return render(_document(whole).doc, kinds, Format.JSON)
    except RenderError as error:
        return str(error)


def _document(whole: bytes) -> Document:
    document = Document()
    document.apply(whole)
    return document
