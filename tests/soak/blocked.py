"""Editors in a network that lets no WebSockets through: they speak the fallback protocol."""

import random
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

import anyio
import anyio.abc
import httpx
import pycrdt

from collab import lib0
from collab.presence import read_states
from collab.protocol import hocuspocus, yjs
from collab.protocol.fallback import SESSION_HEADER
from collab.protocol.messages import AwarenessUpdate, SyncStep1, SyncStep2, Update
from tests.server.fallback import FallbackClient
from tests.soak.pen import Pen

_RETRY_SECONDS = 0.5
_SYNC_STATUS = 8
_FRAMES_AT_ONCE = 100
_AGAIN = (408, 503)
_OVER = 410


class BlockedEditor:
    """One editor, over an event stream or over polls; ``run`` keeps it connected.

    Attributes:
        label: what it is called in what a test says.
        pen: what it types with.
        acknowledged: clock up to which it knows its insertions to be durable.
        present: presence by client id, as it was told.
        sessions: how many sessions it had.
        resumptions: how often one of them went on after a break.
        troubles: how often what went wrong.
    """

    def __init__(self, label: str, writer: int, seed: int, *, poll: bool) -> None:
        self.label = label
        self.pen = Pen(pycrdt.Doc(), writer, seed)
        self.acknowledged = 0
        self.present: dict[int, object] = {}
        self.sessions = 0
        self.resumptions = 0
        self.troubles: Counter[str] = Counter()
        self._poll = poll
        self._chance = random.Random(seed)
        self._session = ""
        self._synced = False
        self._outgoing: deque[bytes] = deque()
        self._batch: list[bytes] = []
        self._posts = 0
        self._owed: deque[int] = deque()
        self._asked = False
        self._moves = 0
        self._leaving = False
        self._goodbye = False
        self._changed = anyio.Event()

    async def wait_synced(self) -> None:
        """Waits until it has what the server had when the session began."""
        await self.until(lambda: self._synced)

    @property
    def saved(self) -> bool:
        """Whether it knows that everything it typed is durable."""
        return self._synced and not self._owed and self.acknowledged >= self.pen.clock

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for something to be so."""
        while not is_so():
            await self._changed.wait()

    async def run(
        self, url: str, document: str, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        """Is there until it is cancelled, through whatever happens to the network."""
        path = f"/sse/{quote(document)}"
        async with (
            httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(30)) as http,
            anyio.create_task_group() as tasks,
        ):
            client = FallbackClient(http, path, poll=self._poll)
            tasks.start_soon(self._post_all, client)
            tasks.start_soon(self._read_all, client)
            task_status.started()
            await self.until(lambda: self._leaving)
            if self._goodbye:
                await http.delete(path, headers={SESSION_HEADER: self._session})
            tasks.cancel_scope.cancel()

    def leave(self, *, goodbye: bool) -> None:
        """Has it leave for good.

        Args:
            goodbye: whether it ends its session; otherwise it is just gone.
        """
        self._goodbye = goodbye
        self._leaving = True
        self._announce()

    async def type(self, every_seconds: float) -> None:
        """Types, and moves its cursor now and then, until it is cancelled."""
        for strokes in range(1, 1 << 30):
            await anyio.sleep(every_seconds)
            for update in self.pen.type():
                if self._asked:  # What came before is in the answer to step 1.
                    self._say(yjs.update(update), owed=self.pen.clock)
            if strokes % 4 == 0:
                self._say(self._presence())

    def _say(self, frame: bytes, *, owed: int | None = None) -> None:
        if not self._session:
            return
        self._outgoing.append(frame)
        if owed is not None:
            self._owed.append(owed)
        self._announce()

    def _presence(self) -> bytes:
        self._moves += 1
        entry = lib0.write_var_uint(self.pen.client_id) + lib0.write_var_uint(self._moves)
        place = lib0.write_var_string(f'{{"cursor": {self._moves}}}')
        return yjs.awareness(b"\x01" + entry + place)

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _read_all(self, client: FallbackClient) -> None:
        while True:
            try:
                await client.connect()
                self.resumptions += client.resumed
                while True:
                    self._take(await client.frame(), client.session)
            except (httpx.HTTPError, ConnectionError, TimeoutError) as error:
                self.troubles[type(error).__name__] += 1
            if client.closed is not None:
                self.troubles[f"close {client.closed[0]}"] += 1
                client.closed = None
            await client.cut()
            await anyio.sleep(self._chance.uniform(0, _RETRY_SECONDS))

    def _take(self, frame: bytes, session: str) -> None:
        kind = frame[0]
        if kind == hocuspocus.AUTH:
            if session != self._session:
                self._begin(session)
        elif kind == _SYNC_STATUS:
            assert frame[1] == 1, f"{self.label}: expected changes to be taken, got one refused"
            self.acknowledged = self._owed.popleft()
        elif frame == hocuspocus.HOCUSPOCUS.probe(b""):
            self._say(self._presence())
        else:
            self._hear(frame)
        self._announce()

    def _hear(self, frame: bytes) -> None:
        message = yjs.decode(frame)
        if isinstance(message, SyncStep1):
            self._asked = True
            lacked = self.pen.doc.get_update(message.state_vector)
            self._say(yjs.sync_step2(lacked), owed=self.pen.clock)
        elif isinstance(message, SyncStep2 | Update):
            self.pen.doc.apply_update(message.update)
            self._synced = self._synced or isinstance(message, SyncStep2)
        elif isinstance(message, AwarenessUpdate):
            present, gone = read_states(message.payload)
            self.present.update(present)
            for client_id in gone:
                self.present.pop(client_id, None)

    def _begin(self, session: str) -> None:
        """Begins anew: what was not heard before is in the answer to the server's step 1."""
        self.sessions += 1
        self._session = session
        self._synced = self._asked = False
        self._posts = 0
        self._batch = []
        self._outgoing.clear()
        self._owed.clear()
        self.present.clear()
        self._say(yjs.sync_step1(self.pen.doc.get_state()))
        self._say(self._presence())

    def _is_in_another_than(self, session: str) -> bool:
        return self._session != session

    async def _post_all(self, client: FallbackClient) -> None:
        while True:
            await self.until(
                lambda: client.session == self._session and bool(self._batch or self._outgoing)
            )
            session = self._session
            if not self._batch:
                size = min(len(self._outgoing), _FRAMES_AT_ONCE)
                self._batch = [self._outgoing.popleft() for _ in range(size)]
            try:
                answer = await client.post(*self._batch, number=self._posts + 1)
            except httpx.HTTPError as error:
                self.troubles[f"POST: {type(error).__name__}"] += 1
                await anyio.sleep(self._chance.uniform(0, _RETRY_SECONDS))
                continue
            if session != self._session:
                continue
            if answer.is_success:
                self._posts += 1
                self._batch = []
                continue
            self.troubles[f"POST: {answer.status_code}"] += 1
            if answer.status_code == _OVER:
                await self.until(partial(self._is_in_another_than, session))
            elif answer.status_code not in _AGAIN:
                raise AssertionError(f"{self.label}: {answer.status_code}, {answer.text}")
