"""HomeThread: who may change a document, and what is said afterwards."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from collab.errors import WrongThread
from collab.home_thread import HomeThread


def test_the_thread_that_opened_the_document_may_change_it() -> None:
    thread = HomeThread("notes")
    thread.check()
    thread.refuse_if_strayed()
    assert not thread.strayed


def test_another_thread_may_not_and_nobody_vouches_for_the_document_then() -> None:
    thread = HomeThread("notes")
    with ThreadPoolExecutor() as elsewhere:
        refused = elsewhere.submit(thread.check).exception()
    assert isinstance(refused, WrongThread)
    assert refused.document == "notes"
    thread.check()
    with pytest.raises(WrongThread, match="'notes'"):
        thread.refuse_if_strayed()
