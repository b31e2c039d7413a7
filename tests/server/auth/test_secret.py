"""Secrets: compared and looked up by digest, and kept nowhere as they are."""

import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.server.auth.guard import Guard
from collab.server.auth.operator import admit_operator
from collab.server.auth.passes import Passes
from collab.server.auth.secret import Secret

TOKEN = "a token of some length"


async def nobody(connection: HTTPConnection) -> None:
    return None


def test_a_secret_is_equal_to_itself_alone() -> None:
    assert Secret(TOKEN) == Secret(TOKEN)
    assert {Secret(TOKEN): 1}[Secret(TOKEN)] == 1
    assert Secret(TOKEN) != Secret(TOKEN + " ")
    assert Secret("\udc80") != Secret("é")


@pytest.mark.parametrize("other", [TOKEN, TOKEN.encode(), None])
def test_a_secret_is_never_equal_to_text(other: object) -> None:
    assert Secret(TOKEN) != other
    assert other not in {Secret(TOKEN)}


def test_a_secret_shows_nothing_of_its_token() -> None:
    assert TOKEN not in repr(Secret(TOKEN))
    assert TOKEN not in str([Secret(TOKEN)])


def test_neither_passes_nor_what_signs_them_are_kept_as_they_are() -> None:
    passes = Passes(Guard(nobody, None), TOKEN)
    token = passes.issue(Identity(id="ana", access=Access.WRITE), "notes", 2e12)
    assert "key" in repr(vars(passes))
    assert token not in repr(vars(passes))
    assert TOKEN not in repr(vars(passes))


def test_the_operators_secret_is_not_kept_as_it_is() -> None:
    operator = admit_operator(nobody, TOKEN)
    assert operator is not None
    assert "Secret" in repr(vars(operator))
    assert TOKEN not in repr(vars(operator))
