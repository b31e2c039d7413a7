"""Document names and what identities may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.access import ANYONE, MAX_NAME_BYTES, Access, Identity, check_name
from collab.errors import InvalidName


@pytest.mark.parametrize(
    "name", ["a", "team/notes", "../x", "%2F", " ", "Ärger 😀", "x" * 512, "é" * 256, "a\u202eb"]
)
def test_any_text_without_control_characters_names_a_document(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "1 to 512 bytes, got 0"),
        ("x" * 513, "got 513"),
        ("é" * 257, "got 514"),
        ("a\nb", "control characters"),
        ("\x00", "control characters"),
        ("\x7f", "control characters"),
        ("\x85", "control characters"),
        ("\ud83d", "lone surrogate"),
    ],
)
def test_what_cannot_name_a_document_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(InvalidName, match=complaint) as caught:
        check_name(name)
    assert caught.value.name == name


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=600))
def test_only_the_length_in_bytes_bounds_printable_names(name: str) -> None:
    if len(name.encode()) <= MAX_NAME_BYTES:
        assert check_name(name) == name
    else:
        with pytest.raises(InvalidName):
            check_name(name)


def test_each_access_includes_the_ones_below() -> None:
    assert Access.NONE < Access.READ < Access.WRITE


def test_somebody_unnamed_may_write_where_nothing_is_configured() -> None:
    assert (ANYONE.id, ANYONE.access) == (None, Access.ADMIN)


@pytest.mark.parametrize("identity_id", ["\ud83d", "a\udc00"])
def test_an_identity_that_no_store_can_write_down_is_refused(identity_id: str) -> None:
    with pytest.raises(InvalidName, match="lone surrogate"):
        Identity(id=identity_id)
