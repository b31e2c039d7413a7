"""KeySet: keys at an address are kept, rotated, and outlive the address."""

import logging

import pytest

from collab.errors import KeysUnavailable, SettingsError
from collab.server.auth.key_set import KeySet
from tests.server.signing import Provider, public_jwk

pytestmark = pytest.mark.anyio

FIRST = public_jwk("ES256", "first")
SECOND = public_jwk("EdDSA", "second")


async def test_keys_are_fetched_once_for_all_who_ask() -> None:
    async with Provider(FIRST, SECOND).serving() as provider, KeySet(provider.url) as keys:
        for _ in range(3):
            assert await keys.find("first")
            assert await keys.find("second")
    assert provider.asked == 1


async def test_a_key_nobody_knows_is_looked_for_at_the_address() -> None:
    async with (
        Provider(FIRST).serving() as provider,
        KeySet(provider.url, retry_seconds=1e-6) as keys,
    ):
        provider.keys = [SECOND]
        found = await keys.find("second")
        assert found is not None
        assert found.algorithm == "EdDSA"
        assert await keys.find("first") is None


async def test_tokens_that_name_keys_nobody_knows_do_not_flood_the_address() -> None:
    async with Provider(FIRST).serving() as provider, KeySet(provider.url) as keys:
        for number in range(100):
            assert await keys.find(f"guess {number}") is None
    assert provider.asked == 1


async def test_a_withdrawn_key_is_forgotten_although_nobody_asks_for_another() -> None:
    async with (
        Provider(FIRST).serving() as provider,
        KeySet(provider.url, max_age_seconds=0.01, retry_seconds=3600) as keys,
    ):
        provider.keys = [SECOND]
        # The answer after the next is asked for once the next has been taken in.
        await provider.until_asked(provider.asked + 2)
        assert await keys.find("first") is None
        assert await keys.find("second")


async def test_keys_stay_good_while_the_address_is_dead_and_it_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "collab")
    async with (
        Provider(FIRST).serving() as provider,
        KeySet(provider.url, max_age_seconds=0.01, retry_seconds=0.01) as keys,
    ):
        provider.status = 500
        await provider.until_asked(provider.asked + 4)
        assert await keys.find("first")
        assert len([r for r in caplog.records if "cannot fetch keys" in r.message]) == 1
        provider.status = 200
        await provider.until_asked(provider.asked + 3)
        assert [r.message for r in caplog.records if r.levelname == "INFO"] == [
            f"fetched keys from {provider.url} again"
        ]


async def test_where_no_keys_were_ever_fetched_it_says_so_and_goes_on_trying() -> None:
    async with Provider(FIRST).serving() as provider:
        provider.status = 503
        async with KeySet(provider.url, max_age_seconds=0.01, retry_seconds=0.01) as keys:
            with pytest.raises(KeysUnavailable):
                await keys.find("first")
            provider.status = 200
            await provider.until_asked(provider.asked + 2)
            assert await keys.find("first")


@pytest.mark.parametrize("url", ["ftp://x/keys", "keys.json", "", "http://", "http://x:y/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="address of a key set"):
        KeySet(url)
