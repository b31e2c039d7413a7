"""The package itself: what it shows of what it imports late."""

import pydoc

import collab
from collab.client import connect, connect_blocking


def test_what_is_imported_late_is_listed_and_is_that_of_the_client() -> None:
    assert {"__version__", "connect", "connect_blocking"} <= set(dir(collab))
    assert (collab.connect, collab.connect_blocking) == (connect, connect_blocking)


def test_help_tells_of_what_is_imported_late() -> None:
    told = pydoc.plain(pydoc.render_doc(collab))
    assert "connect(url: str" in told
    assert "connect_blocking(url: str" in told
