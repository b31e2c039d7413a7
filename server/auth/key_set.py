"""KeySet: the keys an identity provider publishes at its JWKS address."""

import json
import logging
from contextlib import AsyncExitStack
from http import HTTPStatus

import anyio
import httpx

from collab.errors import KeysUnavailable, SettingsError
from collab.server.auth.keys import Key, read_key_set

logger = logging.getLogger("collab")

_MAX_AGE_SECONDS = 600.0
"""How old keys get before they are fetched anew: how long a key that was withdrawn still counts."""
_RETRY_SECONDS = 10.0
"""Shortest time between two fetches, however many tokens name keys nobody knows."""
_FETCH_SECONDS = 5.0
"""How long the address may take to answer."""
_MAX_BYTES = 1024 * 1024
"""Longest key set that is read."""


class KeySet:
    """Keys at an address, kept and fetched anew. An async context manager.

    They are fetched when it is entered, every ``max_age_seconds``, and when a token names a key
    that is not among them, but never more often than every ``retry_seconds``. Where the address
    does not answer, the keys that were fetched last stay good, and the log says so once.

    Args:
        url: address of the key set, https or http.
        max_age_seconds: how old the keys may get while the address answers.
        retry_seconds: shortest time between two fetches.

    Raises:
        SettingsError: this is no such address.
    """

    def __init__(
        self,
        url: str,
        *,
        max_age_seconds: float = _MAX_AGE_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise SettingsError(f"expected an address of a key set, got {url!r}") from error
        if address.scheme not in ("https", "http") or not address.host:
            raise SettingsError(f"expected an https or http address of a key set, got {url!r}")
        self._url = url
        self._max_age_seconds = max_age_seconds
        self._retry_seconds = retry_seconds
        self._keys: dict[str | None, Key] | None = None
        self._failing = False
        self._fetched_at = 0.0
        self._wanted = anyio.Event()
        self._fetching: anyio.Event | None = None
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> "KeySet":
        """Fetches the keys; where that fails, goes on trying."""
        async with AsyncExitStack() as exits:
            client = await exits.enter_async_context(httpx.AsyncClient(timeout=_FETCH_SECONDS))
            await self._fetch(client)
            tasks = await exits.enter_async_context(anyio.create_task_group())
            exits.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self._keep_fresh, client)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> bool | None:
        """Stops fetching."""
        return await self._exits.__aexit__(None, None, None)

    async def find(self, key_id: str | None) -> Key | None:
        """The key of this id; see ``Keys.find``."""
        if self._keys is None or key_id not in self._keys:
            await self._ask()
        if self._keys is None:
            raise KeysUnavailable("the keys that tokens are checked with cannot be fetched now")
        return self._keys.get(key_id)

    async def _ask(self) -> None:
        """Has the keys fetched, or waits while they are, unless they were a moment ago."""
        if self._fetching is None:
            if anyio.current_time() - self._fetched_at < self._retry_seconds:
                return
            self._fetching = anyio.Event()
            self._wanted.set()
        await self._fetching.wait()

    async def _keep_fresh(self, client: httpx.AsyncClient) -> None:
        while True:
            pause = self._retry_seconds if self._failing else self._max_age_seconds
            with anyio.move_on_after(pause):
                await self._wanted.wait()
            self._wanted = anyio.Event()
            if self._fetching is None:
                self._fetching = anyio.Event()
            await self._fetch(client)
            fetching, self._fetching = self._fetching, None
            fetching.set()

    async def _fetch(self, client: httpx.AsyncClient) -> None:
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                self._keys = read_key_set(json.loads(await self._read(client)))
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            if not self._failing:
                kept = "the last ones stay good" if self._keys else "nobody can be let in"
                logger.error(
                    "cannot fetch keys from %s (%s); %s",
                    self._url,
                    str(error) or type(error).__name__,
                    kept,
                )
            self._failing = True
        else:
            if self._failing:
                logger.info("fetched keys from %s again", self._url)
            self._failing = False
        self._fetched_at = anyio.current_time()

    async def _read(self, client: httpx.AsyncClient) -> bytes:
        async with client.stream("GET", self._url) as response:
            if response.status_code != HTTPStatus.OK:
                raise ValueError(f"expected status 200, got {response.status_code}")
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"expected a key set of at most {_MAX_BYTES} bytes")
        return body
