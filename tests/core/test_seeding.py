"""Seeds: the same content is the same update, wherever it is made."""

import json
import subprocess
import sys
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab import state_vector
from collab.checking import check_update
from collab.document import Document
from collab.errors import InvalidSeed
from collab.protocol.messages import EMPTY_UPDATE
from collab.render.export import export
from collab.render.values import Json
from collab.seeding import parse_roots, seed_roots, seed_text

ROOTS: dict[str, Json] = {
    "title": "Ünï 🦄",
    "cards": ["Docs", {"done": False, "by": None}, [1, 2.5]],
    "columns": {"b": "Doing", "a": {"deep": [True]}},
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)
roots = st.dictionaries(
    st.text("xyz", min_size=1),
    st.text("abc ü", max_size=9)
    | st.lists(values, max_size=3)
    | st.dictionaries(st.text("abc"), values, max_size=3),
    max_size=3,
)


def merged(*updates: bytes) -> Document:
    document = Document()
    for update in updates:
        document.apply(update)
    return document


def test_a_seed_has_the_content() -> None:
    exported = json.loads(export(merged(seed_roots(ROOTS)), "json"))
    assert exported == ROOTS


def test_the_bytes_never_change() -> None:
    """A seed that was stored meets one that is made anew: this is a format."""
    assert seed_text("hello").hex() == "0101a6dad5d10f00040107636f6e74656e740568656c6c6f00"
    made = seed_roots({"b": [1, {"z": True}], "a": "t"})
    assert made == bytes.fromhex(
        "0104b589acbc090004010161017408010162017c3f80000087b589acbc0901012800b589acbc0902017a017800"
    )


@given(roots)
def test_the_bytes_are_those_of_a_doc_filled_in_one_transaction(content: dict[str, Json]) -> None:
    def shared(value: Json) -> Any:
        if isinstance(value, list):
            return pycrdt.Array([shared(each) for each in value])
        if isinstance(value, dict):
            return pycrdt.Map({key: shared(value[key]) for key in sorted(value)})
        return value

    seed = seed_roots(content)
    (client,) = state_vector.decode(merged(seed).state_vector) or (1,)
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
    with doc.transaction():
        for name, value in sorted(content.items()):
            doc[name] = pycrdt.Text(value) if isinstance(value, str) else shared(value)
    assert seed == doc.get_update()


@pytest.mark.timeout(60)
def test_a_long_list_is_made_in_time() -> None:
    """Filling an array with so many values takes the CRDT minutes."""
    values: list[Json] = [f"{number}" for number in range(100_000)]
    assert json.loads(export(merged(seed_roots({"list": values})), "json")) == {"list": values}


def test_another_process_makes_the_same_bytes() -> None:
    program = (
        "import json, sys; from collab.seeding import seed_roots; "
        "print(seed_roots(json.loads(sys.argv[1])).hex())"
    )
    command = [sys.executable, "-c", program, json.dumps(dict(reversed(ROOTS.items())))]
    made = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    assert made == seed_roots(ROOTS).hex()


@given(roots)
def test_seeding_twice_changes_nothing(content: dict[str, Json]) -> None:
    seed = seed_roots(content)
    document = merged(seed)
    before = document.state_vector
    if seed != EMPTY_UPDATE:
        check_update(seed)
        assert document.integrate(seed_roots(dict(reversed(content.items())))) is None
    assert document.state_vector == before


@given(roots, roots)
def test_different_contents_are_by_different_clients(
    one: dict[str, Json], other: dict[str, Json]
) -> None:
    clients = [
        set(state_vector.decode(merged(seed_roots(each)).state_vector)) for each in (one, other)
    ]
    if json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert clients[0] == clients[1]
    else:
        assert clients[0].isdisjoint(clients[1])


def test_a_seed_takes_changes_as_any_document_does() -> None:
    docs: list[pycrdt.Doc[Any]] = [pycrdt.Doc(client_id=number) for number in (1, 2)]
    for doc in docs:
        doc.apply_update(seed_text("middle"))
    for doc, (at, word) in zip(docs, [(0, "<"), (6, ">")], strict=True):
        doc.get("content", type=pycrdt.Text).insert(at, word)
    document = merged(*(doc.get_update() for doc in docs), seed_text("middle"))
    assert export(document, "text").decode().strip() == "<middle>"


def test_no_text_is_no_change() -> None:
    assert seed_text("") == EMPTY_UPDATE
    assert seed_roots({}) == EMPTY_UPDATE


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1},
        {"a": None},
        {"a": [2**53 + 1]},
        {"a": "\ud83d"},
        {"a": {"\ud83d": 1}},
        {"a": json.loads("[" * 200 + "]" * 200)},
    ],
)
def test_what_clients_would_not_read_alike_is_refused(content: dict[str, Json]) -> None:
    with pytest.raises(InvalidSeed, match=r"^expected"):
        seed_roots(content)


@pytest.mark.parametrize("text", [b"", b"[]", b'"a"', b'{"a": [NaN]}', b"\xff", b"[" * 100_000])
def test_json_that_has_no_roots_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidSeed, match=r"^expected a JSON object of roots"):
        parse_roots(text)
