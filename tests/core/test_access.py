"""Document names and what identities may do."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.access import ANYONE, MAX_NAME_BYTES, Access, Grants, Identity, check_name
from collab.errors import InvalidGrant, InvalidName


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


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00"])
def test_an_identity_that_no_store_can_write_down_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="lone surrogate"):
        Identity(id=text)
    with pytest.raises(InvalidName, match="lone surrogate"):
        Identity(id="ana", name=text)


class TestGrants:
    def test_the_narrowest_pattern_decides(self) -> None:
        grants = Grants(
            {
                "team/**": Access.READ,
                "team/plan": Access.WRITE,
                "team/secret/**": Access.NONE,
                "team/secret/mine": Access.ADMIN,
            }
        )
        assert [
            grants.access_to(name)
            for name in ("team/a", "team/plan", "team/secret/a", "team/secret/mine", "other")
        ] == [Access.READ, Access.WRITE, Access.NONE, Access.ADMIN, Access.NONE]

    def test_among_patterns_as_narrow_the_least_access_counts(self) -> None:
        grants = Grants({"a*": Access.WRITE, "*b": Access.READ})
        assert grants.access_to("ab") is Access.READ

    @given(st.dictionaries(st.text("ab/*", min_size=1), st.sampled_from(Access)), st.randoms())
    def test_the_order_they_are_written_in_does_not_matter(
        self, accesses: dict[str, Access], random: Random
    ) -> None:
        shuffled = list(accesses.items())
        random.shuffle(shuffled)
        assert Grants(accesses) == Grants(dict(shuffled))
        assert Grants(accesses).accesses == accesses
        for name in ("a", "a/b", "ab", "b/a/a"):
            assert Grants(accesses).access_to(name) == Grants(dict(shuffled)).access_to(name)

    @given(
        st.dictionaries(st.text("ab/*", min_size=1), st.sampled_from(Access)),
        st.text("ab/", min_size=1),
    )
    def test_what_may_be_read_lies_below_exactly_one_prefix(
        self, accesses: dict[str, Access], name: str
    ) -> None:
        grants = Grants(accesses)
        below = [prefix for prefix in grants.prefixes() if name.startswith(prefix)]
        assert len(below) <= 1
        if grants.access_to(name) >= Access.READ:
            assert below

    @pytest.mark.parametrize("pattern", ["", "a\n*", "x" * 513, "\ud83d*"])
    def test_what_could_name_no_document_is_refused(self, pattern: str) -> None:
        with pytest.raises(InvalidGrant, match="expected a pattern of document names"):
            Grants({pattern: Access.READ})


def test_grants_go_before_the_general_access_and_say_nothing_of_all_documents() -> None:
    identity = Identity(id="ana", access=Access.ADMIN, grants=Grants({"a": Access.READ}))
    assert identity.access_to("a") is Access.READ
    assert identity.access_to("b") is Access.NONE
    assert identity.access_to_all is Access.NONE
    assert Identity(access=Access.READ).access_to_all is Access.READ
