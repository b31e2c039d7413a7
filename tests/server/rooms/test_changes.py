"""Changes of a window: what they come to in the log."""

import pycrdt

from collab.access import ANYONE, Access
from collab.document import Document
from collab.protocol.messages import Update
from collab.server.rooms.changes import Change, entries_of, parts_of
from collab.server.rooms.member import Member
from collab.session import Session
from tests.server.wire import Wire


def typed(client_id: int, times: int) -> list[bytes]:
    """Updates of somebody who types a letter at a time."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=client_id)
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    for _ in range(times):
        text += "x"
    return updates


def test_however_fast_somebody_types_history_is_as_fine_as_a_hundred_changes() -> None:
    fast, slow = (Member(Wire(), Session(ANYONE, Access.WRITE)) for _ in range(2))
    changes: list[Change] = [(fast, Update(update)) for update in typed(1, 250)]
    changes[7:7] = [(slow, Update(update)) for update in typed(2, 3)]
    entries = entries_of(parts_of(changes), changes)
    lengths: list[int] = []
    document = Document()
    for entry in entries:
        document.apply(entry.update)
        lengths.append(len(str(document.doc.get("text", type=pycrdt.Text))))
    assert lengths == [100, 200, 250, 253]


def test_a_few_changes_of_somebody_are_one_entry() -> None:
    writer = Member(Wire(), Session(ANYONE, Access.WRITE))
    changes: list[Change] = [(writer, Update(update)) for update in typed(1, 100)]
    parts = parts_of(changes)
    (entry,) = entries_of(parts, changes)
    assert entry.update == parts[writer]
