"""Patterns: which names they match, and in which order they count."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.patterns import Pattern

_TEXTS = st.text("ab/*", max_size=8)
_NAMES = st.text("ab/", max_size=8)


def slowly(pattern: str) -> "re.Pattern[str]":
    """The same meaning as a regular expression, whose time grows without bound."""
    parts = re.split(r"(\*+)", pattern)
    for number, part in enumerate(parts):
        if number % 2:
            parts[number] = "[^/]*" if part == "*" else ".*"
        else:
            parts[number] = re.escape(part)
    return re.compile("".join(parts), re.DOTALL)


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("notes", ["notes"], ["Notes", "notes2", "note", "notes/a", ""]),
        (
            "team/*",
            ["team/", "team/a", "team/Ärger 😀"],
            ["team", "team/a/b", "Team/a", "x/team/a"],
        ),
        ("team/**", ["team/", "team/a", "team/a/b", "team//"], ["team", "teams/a"]),
        ("**", ["", "a", "a/b"], []),
        ("*", ["", "a"], ["a/b", "/"]),
        ("*/readme", ["a/readme", "/readme"], ["readme", "a/b/readme"]),
        ("**/readme", ["a/readme", "a/b/readme"], ["readme"]),
        ("a*c**e", ["ace", "abcde", "abc/d/e"], ["a/bce", "ac"]),
        ("a.b", ["a.b"], ["axb"]),
        ("[ab]?", ["[ab]?"], ["a", "ab"]),
        ("a***", ["a/b"], ["b"]),
        ("caf\u00e9", ["caf\u00e9"], ["cafe\u0301"]),
    ],
)
def test_names_and_stars(pattern: str, names: list[str], others: list[str]) -> None:
    matched = [name for name in names + others if Pattern(pattern).matches(name)]
    assert matched == names


@given(_TEXTS, _NAMES)
def test_it_matches_what_the_regular_expression_matches(text: str, name: str) -> None:
    assert Pattern(text).matches(name) == bool(slowly(text).fullmatch(name))


@given(_TEXTS, _NAMES)
def test_every_name_it_matches_begins_with_its_prefix(text: str, name: str) -> None:
    pattern = Pattern(text)
    if pattern.matches(name):
        assert name.startswith(pattern.prefix)


@given(_NAMES, _TEXTS)
def test_nothing_is_narrower_than_a_name(name: str, text: str) -> None:
    if Pattern(text).matches(name) and text != name:
        assert Pattern(text).rank < Pattern(name).rank


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("team/secret", "team/*"),
        ("team/secret/*", "team/**"),
        ("team/*", "team/**"),
        ("team/a*", "team/*a*"),
        ("a", "**"),
        ("*", "**"),
    ],
)
def test_the_narrower_ranks_higher(narrow: str, wide: str) -> None:
    assert Pattern(narrow).rank > Pattern(wide).rank


def test_many_stars_and_a_long_name_that_nearly_matches_take_no_time() -> None:
    """A regular expression with these stars would not come back within the test's time."""
    pattern = Pattern("*a" * 200 + "b")
    assert not pattern.matches("a" * 512)
    assert pattern.matches("a" * 511 + "b")


def test_patterns_with_the_same_text_are_the_same() -> None:
    assert Pattern("a*") == Pattern("a*") != Pattern("a**")
    assert len({Pattern("a*"), Pattern("a*")}) == 1
