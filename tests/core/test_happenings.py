"""Happenings, as programs that follow a document are told them."""

import pycrdt
import pytest

from collab.app_messages import AppMessage
from collab.happenings import (
    Changed,
    Happening,
    PresenceChanged,
    Said,
    VersionNamed,
    happening_record,
)
from collab.store import Entry
from collab.versions import Version
from tests.core import poison


def changed(update: bytes) -> Changed:
    return Changed(Entry(seq=3, update=update, time_ms=5, author="ada"))


def test_a_change_says_who_when_and_how_much() -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    text += "hello 😀"
    del text[1:3]
    record = happening_record(changed(updates[0]))
    assert record == {
        "type": "change",
        "payload": {
            "seq": 3,
            "time_ms": 5,
            "author": "ada",
            "bytes": len(updates[0]),
            "inserted": 8,
            "deleted": 0,
        },
    }
    deletion = happening_record(changed(updates[1]))["payload"]
    assert isinstance(deletion, dict)
    assert (deletion["inserted"], deletion["deleted"]) == (0, 2)


def test_a_change_that_cannot_be_read_is_told_too() -> None:
    payload = happening_record(changed(poison.UNDECODABLE["noise"]))["payload"]
    assert isinstance(payload, dict)
    assert payload["seq"] == 3


@pytest.mark.parametrize(
    ("happening", "record"),
    [
        (
            PresenceChanged({7: {"a": 1}}, [8]),
            {
                "type": "presence",
                "payload": {"present": [{"client": 7, "state": {"a": 1}}], "gone": [8]},
            },
        ),
        (
            VersionNamed(Version(name="v", seq=1, created_ms=2, author="ada")),
            {
                "type": "version",
                "payload": {
                    "name": "v",
                    "seq": 1,
                    "created_ms": 2,
                    "author": "ada",
                    "automatic": False,
                },
            },
        ),
        (
            Said(AppMessage(type="ping", payload=[1], sender="ada", id="x")),
            {"type": "message", "payload": {"type": "ping", "payload": [1], "from": "ada"}},
        ),
    ],
)
def test_every_kind_has_its_words(happening: Happening, record: dict[str, object]) -> None:
    assert happening_record(happening) == record
