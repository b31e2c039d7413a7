"""Editors over real WebSockets that keep account of what was acknowledged, whatever breaks."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path

import anyio
import pycrdt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from collab import state_vector
from collab.document import Document
from collab.protocol import yjs
from collab.protocol.messages import SyncStep1, SyncStep2, Update
from collab.replay import Replay
from collab.storage.sqlite import SQLiteStore
from collab.structs import read_structs

WITHIN_SECONDS = 30.0
"""How long anything may take that should take moments; the machine may be busy."""

ROOT = "words"
_RETRY_SECONDS = 0.05


class Crowd:
    """Editors of one document, and what becomes of their words.

    Attributes:
        editors: all of them.
        typing: whether they type as fast as they are acknowledged.
        ahead: words that each types before it hears the first of them again.
        acknowledgements: how often one of them heard its own words again.
    """

    def __init__(self, size: int, seed: int, padding: int = 0, first: int = 0) -> None:
        self.typing = False
        self.ahead = 3
        self.acknowledgements = 0
        self.editors = [
            Editor(self, number, seed, padding) for number in range(first, first + size)
        ]
        self._changed = asyncio.Event()

    @property
    def acknowledged(self) -> set[str]:
        """Every word whose echo came."""
        return {word for editor in self.editors for word in editor.words[: editor.acknowledged]}

    @property
    def typed(self) -> list[str]:
        """Every word."""
        return [word for editor in self.editors for word in editor.words]

    def announce(self) -> None:
        """Something happened to an editor."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until something that happens to an editor makes this true."""
        try:
            with anyio.fail_after(WITHIN_SECONDS):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            seen = [
                (editor.online, editor.acknowledged, len(editor.words), editor.sees)
                for editor in self.editors
            ]
            raise AssertionError(
                f"expected {what} within {WITHIN_SECONDS:g} s, got editors who are online, have"
                f" heard, typed and see {seen}"
            ) from None

    def type(self, ahead: int = 3) -> None:
        """Has everyone type from now on, so many words before the first of them is acknowledged."""
        self.typing, self.ahead = True, ahead
        self.announce()

    async def next_change(self) -> None:
        """Waits until something happens to an editor."""
        await self._changed.wait()

    async def agree(self) -> list[str]:
        """Has everyone stop, and waits until all are in sync.

        Returns:
            The words they see, in order.
        """
        self.typing = False
        await self.until(lambda: all(editor.settled for editor in self.editors), "all echoes")
        typed = len(self.typed)
        await self.until(lambda: all(editor.sees >= typed for editor in self.editors), "all words")
        first, *others = [editor.seen() for editor in self.editors]
        for other in others:
            assert other == first
        return first


class Editor:
    """One who types words into a list, each at a random place and each only once.

    Attributes:
        client: Yjs client id.
        words: what it typed.
        acknowledged: how many of them it heard again; in y-websocket that is the ack.
        online: whether it has a connection on which it is in sync.
    """

    def __init__(self, crowd: Crowd, number: int, seed: int, padding: int) -> None:
        self.client = 1000 + number
        self.words: list[str] = []
        self.acknowledged = 0
        self.online = False
        self._crowd = crowd
        self._number = number
        self._padding = "." * padding
        self._chance = random.Random(seed * 1000 + number)
        self._doc: pycrdt.Doc[pycrdt.Array[str]] = pycrdt.Doc(client_id=self.client)
        self._list = self._doc.get(ROOT, type=pycrdt.Array)

    @property
    def settled(self) -> bool:
        """Whether it is in sync and nothing of its own is on the way."""
        return self.online and self.acknowledged == len(self.words)

    @property
    def sees(self) -> int:
        """How many words it sees."""
        return len(self._list)

    def seen(self) -> list[str]:
        """The words it sees, its own included."""
        return _read(self._list)

    async def run(self, url: str) -> None:
        """Edits until it is cancelled, and reconnects for as long as it takes."""
        while True:
            try:
                async with (
                    connect(url, max_size=None, ping_interval=None) as socket,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(self._type, socket)
                    await self._listen(socket)
                    tasks.cancel_scope.cancel()
            except (OSError, WebSocketException):
                pass  # Not up again yet.
            self.online = False
            self._crowd.announce()
            await anyio.sleep(_RETRY_SECONDS)

    async def _listen(self, socket: ClientConnection) -> None:
        with suppress(WebSocketException):
            await socket.send(yjs.sync_step1(self._doc.get_state()))
            async for frame in socket:
                assert isinstance(frame, bytes)
                await self._take(frame, socket)

    async def _type(self, socket: ClientConnection) -> None:
        """Types; where the server does not read, it waits in the middle of it."""
        with suppress(WebSocketException):  # What it typed goes out when it is in sync again.
            while True:
                if self._may_type:
                    await self._type_word(socket)
                else:
                    await self._crowd.next_change()

    @property
    def _may_type(self) -> bool:
        ahead = len(self.words) - self.acknowledged
        return self._crowd.typing and self.online and ahead < self._crowd.ahead

    async def _type_word(self, socket: ClientConnection) -> None:
        word = f"{self._number}.{len(self.words)}{self._padding}"
        # The change alone, as editors send it: a diff would repeat everybody's deletions.
        changes: list[bytes] = []
        following = self._doc.observe(lambda event: changes.append(event.update))
        self._list.insert(self._chance.randint(0, len(self._list)), word)
        self._doc.unobserve(following)
        self.words.append(word)
        self._crowd.announce()
        for change in changes:
            await socket.send(yjs.update(change))

    async def _take(self, frame: bytes, socket: ClientConnection) -> None:
        if frame[0] != 0:
            return
        message = yjs.decode(frame)
        if isinstance(message, SyncStep1):
            if not self.online:
                # A server that has just started has what is stored, and will not echo it again.
                known = state_vector.decode(message.state_vector).get(self.client, 0)
                self.acknowledged = max(self.acknowledged, known)
            await socket.send(yjs.sync_step2(self._doc.get_update(message.state_vector)))
        elif isinstance(message, (SyncStep2, Update)):
            self._doc.apply_update(message.update)
            if isinstance(message, SyncStep2):
                self.online = True
            else:
                self._hear(message.update)
            self._crowd.announce()

    def _hear(self, update: bytes) -> None:
        for struct in read_structs(update):
            if struct.client == self.client:
                # A word covers one clock.
                self.acknowledged = max(self.acknowledged, struct.clock + struct.length)
                self._crowd.acknowledgements += 1


@asynccontextmanager
async def online(crowd: Crowd, *urls: str) -> AsyncIterator[None]:
    """Has a crowd edit a document through all restarts; where several serve it, in turns."""
    async with anyio.create_task_group() as tasks:
        for editor, url in zip(crowd.editors, cycle(urls)):
            tasks.start_soon(editor.run, url)
        await crowd.until(lambda: all(editor.online for editor in crowd.editors), "connections")
        yield
        tasks.cancel_scope.cancel()


def words_in(document: Document) -> list[str]:
    """The words in a document."""
    doc: pycrdt.Doc[pycrdt.Array[str]] = pycrdt.Doc()
    doc.apply_update(document.encode())
    return _read(doc.get(ROOT, type=pycrdt.Array))


def _read(words: "pycrdt.Array[str]") -> list[str]:
    """Reads a list in one go; its items, one by one, are each looked up from the beginning."""
    read: list[str] = json.loads(str(words))
    return read


async def words_on_disk(path: Path, name: str) -> list[str]:
    """The words that a store's file holds, read as opening does and, again, from the log alone."""
    async with SQLiteStore(path, create=False) as store:
        stored = await store.load(name)
        opened = words_in(Document.load(stored))
        replay = Replay()
        # Servers may go on writing: what came after the one moment is not of the other.
        entries = [entry async for entry in store.entries(name) if entry.seq <= stored.seq]
        replay.take(entries)
    assert [entry.seq for entry in entries] == list(range(1, stored.seq + 1))
    assert replay.left_out == []
    replayed = words_in(replay.document)
    assert replayed == opened, f"expected {len(replayed)} words as logged, got {len(opened)} opened"
    return opened


def check_account(words: Sequence[str], acknowledged: set[str]) -> None:
    """Checks that nothing acknowledged is missing and nothing is there twice."""
    lost = acknowledged - set(words)
    assert not lost, f"expected everything acknowledged, got all but {sorted(lost)[:20]}"
    assert len(set(words)) == len(words), "expected every word once, got one of them twice"
