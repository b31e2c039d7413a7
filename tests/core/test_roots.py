import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import ProtocolError
from collab.lib0 import write_var_string
from collab.roots import RootKind, root_kinds
from tests.fixtures import written


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("tiptap", {"default": RootKind.XML}),
        ("prosemirror", {"prosemirror": RootKind.XML}),
        ("quill", {"quill": RootKind.TEXT}),
        ("codemirror", {"codemirror": RootKind.TEXT}),
        (
            "plain",
            {"emptied": RootKind.EMPTY, "items": RootKind.ARRAY, "settings": RootKind.MAP},
        ),
    ],
)
def test_roots_of_real_bindings_are_told(name: str, kinds: dict[str, RootKind]) -> None:
    assert root_kinds([written(name)]) == kinds


def test_a_text_whose_first_character_is_deleted_is_still_a_text() -> None:
    doc = pycrdt.Doc[pycrdt.Text]()
    text = doc.get("note", type=pycrdt.Text)
    text += "x"
    del text[0:1]
    other = pycrdt.Doc[pycrdt.Text]()
    other.apply_update(doc.get_update())
    more = other.get("note", type=pycrdt.Text)
    more.insert(0, "y")
    doc.apply_update(other.get_update())
    text += "z"
    assert root_kinds([doc.get_update()]) == {"note": RootKind.TEXT}


def test_evidence_is_followed_through_separate_updates_in_any_order() -> None:
    doc = pycrdt.Doc[pycrdt.Text]()
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    text = doc.get("note", type=pycrdt.Text)
    text += "ab"
    del text[0:1]
    text += "c"
    doc.unobserve(subscription)
    late = pycrdt.get_update(doc.get_update(), pycrdt.get_state(updates[0]))
    emptied = pycrdt.Doc[pycrdt.Text]()
    emptied.apply_update(updates[0])
    whole = emptied.get("note", type=pycrdt.Text)
    del whole[0:2]
    assert root_kinds([emptied.get_update()]) == {"note": RootKind.EMPTY}
    assert root_kinds([late, emptied.get_update()]) == {"note": RootKind.TEXT}


def test_a_map_whose_keys_are_all_deleted_is_a_map() -> None:
    doc = pycrdt.Doc[pycrdt.Map[int]]()
    options = doc.get("options", type=pycrdt.Map)
    options["a"] = 1
    del options["a"]
    assert root_kinds([doc.get_update()]) == {"options": RootKind.MAP}


def typed(content: bytes) -> bytes:
    """A first struct of client 5 that opens a type in root "r", and one of text behind it."""
    behind = b"\x84\x05\x00" + write_var_string("after")
    return b"\x01\x02\x05\x00\x07\x01\x01r" + content + behind + b"\x00"


def test_text_beside_nested_xml_is_an_xml_text() -> None:
    assert root_kinds([typed(b"\x06")]) == {"r": RootKind.XML_TEXT}


def test_a_circle_of_origins_is_followed_once() -> None:
    circle = b"\x01\x02\x05\x00" + b"\x84\x05\x01\x01a" + b"\x84\x05\x00\x01b" + b"\x00"
    rooted = b"\x01\x01\x06\x00\x01\x01\x01r\x01\x00"
    assert root_kinds([circle, rooted]) == {"r": RootKind.EMPTY}


def test_a_document_without_content_has_no_roots() -> None:
    assert root_kinds([]) == {}
    assert root_kinds([b"\x00\x00"]) == {}


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_only_protocol_errors(update: bytes) -> None:
    try:
        kinds = root_kinds([written("quill"), update])
    except ProtocolError:
        return
    assert kinds["quill"] is not RootKind.EMPTY
