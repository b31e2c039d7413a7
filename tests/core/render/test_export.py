import json
from typing import Any

import pycrdt
import pytest

from collab.document import Document
from collab.errors import RenderError, UnknownFormat, UnknownRoot
from collab.lib0 import write_var_string
from collab.render.export import Format, export
from tests.fixtures import shown, written


def document_of(update: bytes) -> Document:
    document = Document()
    document.apply(update)
    return document


def binding(name: str) -> Document:
    return document_of(written(name))


def with_roots(**roots: Any) -> Document:
    doc = pycrdt.Doc[Any]()
    for name, shared in roots.items():
        doc[name] = shared
    return document_of(doc.get_update())


def unordered(value: Any) -> Any:
    """A JSON value without what Yjs does not keep: nulls among attributes, the order of marks."""
    if isinstance(value, dict):
        kept = {key: unordered(item) for key, item in value.items() if item is not None}
        kept = {key: item for key, item in kept.items() if key != "attrs" or item}
        if "marks" in kept:
            kept["marks"] = sorted(kept["marks"], key=lambda mark: str(mark["type"]))
        return kept
    return [unordered(item) for item in value] if isinstance(value, list) else value


def test_text_of_codemirror_is_what_it_shows_to_the_byte() -> None:
    exported = export(binding("codemirror"), "text")
    assert exported == shown("codemirror")["text"].encode()
    assert exported == shown("codemirror")["peer"].encode()


def test_unformatted_text_is_the_same_in_markdown_and_kept_as_it_is_in_html() -> None:
    document = binding("codemirror")
    assert export(document, "markdown") == export(document, "text")
    page = export(document, "html").decode()
    assert page.startswith("<pre># 📌 Notes")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; _so_ on  \n" in page
    assert "<script" not in page


@pytest.mark.parametrize("name", ["tiptap", "prosemirror"])
def test_json_of_prosemirror_is_what_the_editor_gives(name: str) -> None:
    exported = json.loads(export(binding(name), "json", shown(name)["root"]))
    assert unordered(exported) == unordered(shown(name)["json"])


def test_numbers_and_booleans_of_attributes_stay_what_they_are() -> None:
    exported = export(binding("tiptap"), "json", "default").decode()
    assert '"level": 2\n' in exported
    assert '"checked": false' in exported
    assert '"width": 320' in exported


def test_json_of_quill_is_its_delta() -> None:
    exported = json.loads(export(binding("quill"), "json", "quill"))
    assert exported == shown("quill")["delta"]


def test_text_of_quill_is_its_text() -> None:
    without_image = shown("quill")["text"]
    assert export(binding("quill"), "text").decode() == without_image


def test_json_has_all_roots_and_all_values() -> None:
    exported = json.loads(export(binding("plain"), "json"))
    expected = shown("plain")
    inner = exported["settings"].pop("inner")
    expected["settings"].pop("inner")
    assert exported["settings"].pop("bigint") == 2**60
    expected["settings"].pop("bigint")
    assert exported == {"emptied": None, **expected}
    assert inner["rich"] == [{"insert": "rich", "attributes": {"bold": True}}]
    assert inner["text"] == "nested text"
    note = {"type": "note", "attrs": {"level": 2}, "content": [{"type": "text", "text": "in xml"}]}
    assert inner["fragment"] == {"type": "doc", "content": [note]}


def test_what_json_has_no_number_for_is_null() -> None:
    document = with_roots(m=pycrdt.Map({"nan": float("nan"), "inf": float("inf"), "big": 1e300}))
    assert json.loads(export(document, "json", "m")) == {"nan": None, "inf": None, "big": 1e300}


def test_a_subdocument_is_its_guid() -> None:
    inner = pycrdt.Doc[Any]()
    exported = json.loads(export(with_roots(m=pycrdt.Map({"doc": inner})), "json", "m"))
    assert exported == {"doc": {"guid": inner.guid}}


def test_maps_and_arrays_are_json_in_other_formats() -> None:
    document = with_roots(rows=pycrdt.Array(["<b>", "```"]))
    assert json.loads(export(document, "text")) == ["<b>", "```"]
    assert export(document, "html").decode() == '<pre>[\n  "&lt;b&gt;",\n  "```"\n]</pre>\n'
    assert export(document, "markdown").decode() == '````json\n[\n  "<b>",\n  "```"\n]\n````\n'


def test_update_is_the_whole_state_with_what_still_waits() -> None:
    doc = pycrdt.Doc[Any]()
    text = doc["t"] = pycrdt.Text("first ")
    known = doc.get_state()
    text += "second"
    waiting = document_of(doc.get_update(known))
    complete = document_of(export(waiting, "update"))
    complete.apply(doc.get_update())
    assert export(complete, "text") == b"first second"
    late = document_of(pycrdt.get_update(doc.get_update(), b"\x00"))
    late.apply(export(waiting, "update"))
    assert export(late, "text") == b"first second"
    assert export(waiting, "update") != b"\x00\x00"


@pytest.mark.parametrize("name", ["content", "default", "prosemirror", "quill", "codemirror"])
def test_a_well_known_root_is_taken_among_others(name: str) -> None:
    other = pycrdt.Text("not this")
    document = with_roots(**{name: pycrdt.Text("this"), "aaa": other, "zzz": pycrdt.Map({"a": 1})})
    assert export(document, "text") == b"this"


def test_the_only_text_is_taken_among_maps() -> None:
    document = with_roots(body=pycrdt.Text("this"), a=pycrdt.Map({"a": 1}), z=pycrdt.Array([1]))
    assert export(document, "text") == b"this"
    assert json.loads(export(document, "text", "a")) == {"a": 1}


def test_no_root_is_guessed_among_equals() -> None:
    document = with_roots(one=pycrdt.Text("1"), two=pycrdt.Text("2"))
    with pytest.raises(RenderError, match="there are several: one, two"):
        export(document, "text")


def test_an_emptied_or_new_document_is_empty() -> None:
    assert export(Document(), "text") == b""
    assert json.loads(export(Document(), "json")) == {}
    assert export(binding("plain"), "text", "emptied") == b""


@pytest.mark.parametrize("form", [form.value for form in Format])
def test_an_unknown_root_is_refused(form: str) -> None:
    with pytest.raises(UnknownRoot, match=r"\(codemirror\), got 'contents'"):
        export(binding("codemirror"), form, "contents")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UnknownFormat, match="text, json, html, markdown, update, got 'pdf'"):
        export(binding("codemirror"), "pdf")


def test_an_xml_text_root_shows_its_nested_texts_as_blocks() -> None:
    """Slate and Lexical keep a document so: XML texts within an XML text."""
    block = b"\x07\x01" + write_var_string("content") + b"\x06"
    inside = b"\x04\x00\x05\x00" + write_var_string("a & b")
    kind = b"\x28\x00\x05\x00" + write_var_string("type") + b"\x01\x77" + write_var_string("quote")
    document = document_of(b"\x01\x03\x05\x00" + block + inside + kind + b"\x00")
    assert export(document, "text") == b"a & b"
    assert export(document, "html") == b"<blockquote>a &amp; b</blockquote>\n"
    assert export(document, "markdown") == b"> a & b\n"
    assert json.loads(export(document, "json")) == {
        "content": {
            "type": "doc",
            "content": [{"type": "quote", "content": [{"type": "text", "text": "a & b"}]}],
        }
    }


@pytest.mark.parametrize("form", ["text", "json", "html", "markdown"])
def test_elements_nested_to_overflow_the_stack_are_refused(form: str) -> None:
    inside = b"".join(
        b"\x07\x00\x05" + bytes((at & 0x7F | 0x80, at >> 7)) + b"\x03\x01p" for at in range(2000)
    )
    first = b"\x07\x01" + write_var_string("r") + b"\x03\x01p"
    document = document_of(b"\x01\xd1\x0f\x05\x00" + first + inside + b"\x00")
    with pytest.raises(RenderError, match="nested at most"):
        export(document, form)
