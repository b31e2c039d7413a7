"""The contract of ``collab.revocation``, sentence by sentence, over every store."""

from collections.abc import Callable

import anyio
import pytest

from collab import revocation
from collab.errors import StoreError
from collab.revocation import Revocation, Revoked
from collab.store import Store

pytestmark = pytest.mark.anyio

MakeStore = Callable[[], Store]


def revoked(time_ms: int, **about: str) -> Revoked:
    return Revoked(revocation=Revocation(**about), time_ms=time_ms)


async def test_they_are_there_after_a_restart_the_oldest_first(make_store: MakeStore) -> None:
    sent = [
        revoked(30, user="ada", token_id="t", document="d"),
        revoked(10, user="Ünï 🦄 '\"\n\x00"),
        revoked(20),
        revoked(40, document="ada"),
    ]
    async with make_store() as store:
        assert list(await store.revocations()) == []
        for each in sent:
            await store.revoke(each)
    async with make_store() as store:
        assert list(await store.revocations()) == sorted(sent, key=lambda each: each.time_ms)


async def test_of_the_same_one_the_latest_time_counts_whatever_comes_last(
    make_store: MakeStore,
) -> None:
    async with make_store() as store:
        for time_ms in (20, 30, 10):
            await store.revoke(revoked(time_ms, user="ada"))
        assert list(await store.revocations()) == [revoked(30, user="ada")]


async def test_two_writers_at_once_lose_nothing(make_store: MakeStore) -> None:
    async with make_store() as store, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(store.revoke, revoked(number, user=f"u{number % 10}"))
    async with make_store() as store:
        expected = [revoked(10 + number, user=f"u{number}") for number in range(10)]
        assert list(await store.revocations()) == expected


async def test_a_store_that_is_closed_refuses(make_store: MakeStore) -> None:
    store = make_store()
    with pytest.raises(StoreError, match="expected"):
        await store.revoke(revoked(1))
    with pytest.raises(StoreError, match="expected"):
        await store.revocations()


def test_what_is_written_down_is_read_again() -> None:
    about = Revocation(user="ada", document="Ünï\x00")
    assert revocation.decode_revocation(about.encode()) == about
