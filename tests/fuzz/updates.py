"""Updates: what the strict reader lets in, and what documents make of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import pycrdt

from collab import state_vector
from collab.checking import check_update
from collab.comparison import difference
from collab.document import Document
from collab.errors import CollabError, PoisonedUpdate, ProtocolError
from collab.intake import take_in
from collab.nesting import estimate_levels, measure_levels
from collab.protocol.messages import EMPTY_UPDATE
from collab.render.export import Format, export
from collab.roots import root_kinds
from collab.store import NewEntry
from collab.structs import Deletion, read_deletions, read_structs
from collab.update import MIN_PART_BYTES, split
from tests.fuzz.excuses import contradict, excused, foresee
from tests.fuzz.logged import Logged, document_of, expect_same
from tests.fuzz.pieces import pieces


def documents(given: bytes) -> None:
    """Updates one after the other into one document, in each of the ways that lead there."""
    logged = Logged()
    with excused(logged.given):
        for choice, update in _checked(given):
            take: Callable[[bytes], bool] = logged.integrate if choice & 1 else logged.apply
            if take(update) and logged.document.pending_bytes == 0:
                # What is here already changes nothing, however often it comes.
                assert not logged.document.integrate(update)
        logged.check()


def structs(given: bytes) -> None:
    """One update to the reader, and what it lets in to all that reads updates."""
    try:
        check_update(given)
    except PoisonedUpdate:
        _expect_refusals(given)
        return
    read = list(read_structs(given))
    list(read_deletions(given))
    root_kinds([given])
    levels = measure_levels(given)
    assert levels <= estimate_levels(given) + len(read)
    assert len(state_vector.decode(pycrdt.get_state(given))) <= len(read)
    try:
        whole = document_of([given])
    except PoisonedUpdate:
        return
    parts = list(split(given, MIN_PART_BYTES))
    with excused([given]):
        for part in parts:
            check_update(part)
        # What lies in something that is no type is taken only where that comes deleted.
        with suppress(PoisonedUpdate):
            expect_same(whole, document_of(parts), "who gets it in parts")


def exports(given: bytes) -> None:
    """Documents that are shown, in every format."""
    try:
        check_update(given)
        document = document_of([given])
    except PoisonedUpdate:
        return
    before = document.encode()
    for form in Format:
        with suppress(CollabError):
            export(document, form)
    document.forget_encoding()
    with excused([given]):
        expect_same(document, document_of([before]), "who exported it")


def imports(given: bytes) -> None:
    """Changes made elsewhere, taken in, and taken in again."""
    changes = [NewEntry(update=each, time_ms=0, author=None) for _, each in pieces(given)]
    with excused([update for _, update in _checked(given)]):
        _take_in(changes)


def _take_in(changes: Sequence[NewEntry]) -> None:
    taken = take_in(None, changes)
    assert len(taken.entries) + taken.known + len(taken.refused) == len(changes)
    document = document_of([entry.update for entry in taken.entries])
    assert (taken.effect is None) is (not taken.entries)
    if taken.effect is not None and not contradict([entry.update for entry in taken.entries]):
        expect_same(document, document_of([taken.effect]), "who gets the effect")
    if document.pending_bytes == 0 and not foresee(entry.update for entry in taken.entries):
        again = take_in(document.encode(), taken.entries)
        assert not again.entries
        assert not again.refused


def state_vectors(given: bytes) -> None:
    """What peers say that they have."""
    try:
        clocks = state_vector.decode(given)
    except ProtocolError:
        clocks = None
    if clocks is not None:
        assert state_vector.decode(state_vector.encode(clocks)) == clocks
        assert state_vector.count(given) == len(clocks)
    document = Document()
    document.apply(_WRITTEN)
    try:
        lacked = document.diff(given)
    except ProtocolError:
        return
    check_update(lacked)
    if clocks is not None and not clocks.keys() & {1, 2}:
        assert difference(document, document_of([lacked])) is None


def _checked(given: bytes) -> Iterator[tuple[int, bytes]]:
    for choice, update in pieces(given):
        try:
            check_update(update)
        except ProtocolError:
            continue
        yield choice, update


def _expect_refusals(given: bytes) -> None:
    """What the check refuses, the other readers refuse as well, or read it to its end."""
    for read in (measure_levels, lambda update: root_kinds([update]), _list_deletions):
        with suppress(ProtocolError):
            read(given)


def _list_deletions(update: bytes) -> list[Deletion]:
    return list(read_deletions(update))


def _written() -> bytes:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
    text = doc.get("text", type=pycrdt.Text)
    text += "one é😀"
    other: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=2)
    other.apply_update(doc.get_update())
    text = other.get("text", type=pycrdt.Text)
    text += " two"
    del text[1:3]
    return other.get_update()


_WRITTEN = _written()
assert _WRITTEN != EMPTY_UPDATE
