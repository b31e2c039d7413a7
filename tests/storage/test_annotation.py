import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.storage.annotation import author_of, metadata_of


@given(st.binary() | st.text().map(str.encode) | st.binary().map(b"base64:".__add__))
def test_metadata_comes_back(metadata: bytes) -> None:
    assert metadata_of(author_of(metadata)) == metadata


@pytest.mark.parametrize(("metadata", "author"), [(b"", None), ("zoë".encode(), "zoë")])
def test_text_is_the_author(metadata: bytes, author: str | None) -> None:
    assert author_of(metadata) == author
