"""Feeds: in order, bounded, and nothing where nobody follows."""

import anyio
import pytest

from collab.app_messages import AppMessage
from collab.errors import ServerBusy
from collab.happenings import Changed, Happening, Said
from collab.server.rooms.feeds import Feeds
from collab.server.settings import Settings
from collab.store import Append, NewEntry
from tests.server.wire import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio


def said(text: str) -> Said:
    return Said(AppMessage(type="t", payload=text))


def everything(happening: Happening) -> bool:
    return True


async def test_followers_hear_what_they_want_in_order() -> None:
    feeds = Feeds(Settings())
    with feeds.follow("d", everything) as all_of_it, feeds.follow("d", lambda _: False) as none:
        assert feeds.publish("d", said("a")) == 1
        assert feeds.publish("d", said("b")) == 1
        assert feeds.publish("other", said("c")) == 0
        feeds.end("d")
        assert [each async for each in all_of_it] == [said("a"), said("b")]
        assert [each async for each in none] == []
    assert not feeds.are_followed("d")


async def test_who_reads_too_slowly_is_told_after_what_was_kept() -> None:
    feeds = Feeds(Settings(happenings_waiting=2))
    with feeds.follow("d", everything) as follower:
        assert [feeds.publish("d", said(text)) for text in "abc"] == [1, 1, 0]
        assert [await anext(follower), await anext(follower)] == [said("a"), said("b")]
        with pytest.raises(ServerBusy):
            await anext(follower)


async def test_changes_have_their_own_seqs_and_a_bound_in_bytes() -> None:
    feeds = Feeds(Settings(outbox_max_bytes=100))
    entries = [NewEntry(update=bytes(60), time_ms=1, author="ada") for _ in range(3)]
    feeds.committed(Append(document="d", entries=entries), 3)
    with feeds.follow("d", everything) as follower:
        feeds.committed(Append(document="d", entries=entries), 6)
        happening = await anext(follower)
        assert isinstance(happening, Changed)
        assert happening.entry.seq == 4
        with pytest.raises(ServerBusy):
            await anext(follower)


async def test_a_follower_that_waits_is_woken() -> None:
    feeds = Feeds(Settings())
    heard: list[Happening] = []
    with anyio.fail_after(DEADLINE_SECONDS), feeds.follow("d", everything) as follower:
        async with anyio.create_task_group() as tasks:

            async def listen() -> None:
                heard.extend([happening async for happening in follower])

            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            feeds.publish("d", said("a"))
            await anyio.wait_all_tasks_blocked()
            feeds.close()
    assert heard == [said("a")]
    with feeds.follow("d", everything) as late:
        assert [each async for each in late] == []
