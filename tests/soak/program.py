"""A program that writes through the HTTP API, over a network that fails."""

import random
from collections import Counter
from urllib.parse import quote

import anyio
import httpx
import pycrdt

from tests.clients.pen import Pen

_RETRY_SECONDS = 0.5


class Program:
    """One writer; what it writes is sent again until the server says that it is durable.

    Attributes:
        label: what it is called in what a test says.
        pen: what it types with.
        acknowledged: clock up to which it knows its insertions to be durable.
        troubles: how often what went wrong.
    """

    def __init__(self, label: str, seed: int, mark: int) -> None:
        self.label = label
        self.pen = Pen(pycrdt.Doc())
        self.pen.follow(seed, mark)
        self.acknowledged = 0
        self.troubles: Counter[str] = Counter()
        self._known = self.pen.doc.get_state()
        self._chance = random.Random(seed)

    async def type(self, url: str, document: str, every_seconds: float) -> None:
        """Types until it is cancelled."""
        async with self._http(url) as http:
            while True:
                await anyio.sleep(every_seconds)
                self.pen.type()
                await self._send(http, document)

    async def save(self, url: str, document: str) -> None:
        """Returns when everything is durable."""
        async with self._http(url) as http:
            while self.acknowledged < self.pen.clock:
                await self._send(http, document)

    def _http(self, url: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(30))

    async def _send(self, http: httpx.AsyncClient, document: str) -> None:
        clock, known = self.pen.clock, self.pen.doc.get_state()
        update = self.pen.doc.get_update(self._known)
        try:
            answer = await http.post(
                f"/api/docs/{quote(document, safe='')}/updates", content=update
            )
        except httpx.HTTPError as error:
            self.troubles[type(error).__name__] += 1
            await anyio.sleep(self._chance.uniform(0, _RETRY_SECONDS))
            return
        assert answer.status_code == httpx.codes.NO_CONTENT, answer.text
        self.acknowledged, self._known = clock, known
