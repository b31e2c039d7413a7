"""Cursors of clients whose socket ends without a word."""

import time
from pathlib import Path

import pytest

from tests.clients.driver import Driver
from tests.clients.kinds import KINDS, Y_WEBSOCKET, Kind
from tests.e2e.crowd import gather
from tests.e2e.serving import serve

pytestmark = pytest.mark.node


@pytest.mark.alone
def test_the_cursor_of_a_client_that_was_cut_off_is_gone_from_the_others_within_a_second(
    driver: Driver, store: Path, transport: str
) -> None:
    with serve(store, transport=transport) as server:
        leaving, *others = gather(driver, server.websockets, "cursors", 4)
        leaving.present({"user": {"name": "leaving"}, "cursor": {"anchor": 1, "head": 2}})
        for other in others:
            other.wait_sees(leaving.id)
        began = time.monotonic()
        leaving.cut()
        for other in others:
            other.wait_told_gone(leaving.id, within=1)
        assert time.monotonic() - began < 1
        assert all(leaving.id not in other.facts().present for other in others)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_who_leaves_is_gone_also_where_only_somebody_who_shows_nothing_was_told(
    driver: Driver, store: Path, kind: Kind
) -> None:
    with serve(store) as server:
        leaving = driver.connect(kind, server.port, "cursors", presence={})
        watching = driver.connect(Y_WEBSOCKET[2], server.port, "cursors", presence=None)
        watching.wait_sees(leaving.id)  # It has sent this on by now, as stock clients do.
        leaving.cut()
        watching.wait_told_gone(leaving.id, within=15)
