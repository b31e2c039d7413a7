"""Records seeds: what stock clients say while they are used, cut for each target.

Run by hand where clients or targets change: ``python -m tests.fuzz.record``. It adds to the corpus;
the next ``make fuzz`` keeps of it what reaches something.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence

import anyio
import pycrdt
from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collab import ndjson, relay
from collab.app_messages import AppMessage
from collab.awareness import decode_entries
from collab.errors import ProtocolError
from collab.presence import Present
from collab.protocol import fallback, hocuspocus, yjs
from collab.protocol.messages import AwarenessUpdate, SyncStep1, SyncStep2, Update
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from collab.store import NewEntry
from tests.clients.driver import Driver, drive
from tests.clients.kinds import KINDS, Family, Kind
from tests.fixtures import BINDINGS, written
from tests.fuzz import corpus
from tests.fuzz.pieces import joined
from tests.server.hosts import under_uvicorn

_MAX_BYTES = 4000
_EXCHANGES = 5
_TOKEN = "a token"
_NAMES = ("team/notes", "team/*", "team/**", "a/b/c", "**/notes 😀", "*", "é", "a*b*c", "")
_SAID = ('{"type": "a", "payload": [1, {"b": null}], "id": "7", "to": "ana"}', "free text")


class _Recorder:
    """An ASGI app that passes everything on to another, and keeps what clients send and hear.

    Attributes:
        conversations: by path: who said what, in order; who is the number of their connection.
        heard: by path: what the server said.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.conversations: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self.heard: dict[str, list[bytes]] = defaultdict(list)
        self._connections: dict[str, int] = defaultdict(int)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        number = self._connections[path]
        self._connections[path] += 1

        async def receive_and_keep() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and message.get("bytes"):
                self.conversations[path].append((number, message["bytes"]))
            return message

        async def send_and_keep(message: Message) -> None:
            if message["type"] == "websocket.send" and message.get("bytes"):
                self.heard[path].append(message["bytes"])
            await send(message)

        await self._app(scope, receive_and_keep, send_and_keep)


def _use(driver: Driver, kind: Kind, port: int, room: str) -> None:
    """Two people write, move about, leave and come back."""
    tokens = [] if kind.family is Family.Y_SWEET else [_TOKEN]
    one = driver.connect(kind, port, room, presence={"name": "one"}, tokens=tokens)
    other = driver.connect(kind, port, room, presence={"name": "other 😀"}, tokens=tokens)
    for client in (one, other):
        client.wait_synced()
    for seed, client in enumerate((one, other)):
        client.type(seed, every_ms=20)
    for client in (one, other) * _EXCHANGES:
        client.wait_hears_others()
    one.present({"name": "one", "cursor": {"anchor": 1, "head": 2}})
    for client in (one, other):
        client.rest()
        client.wait_acknowledged()
    if kind.family is Family.HOCUSPOCUS:
        for payload in _SAID:
            one.say(payload)
        other.wait_message(_SAID[-1])
    one.destroy()
    again = driver.connect(kind, port, room, presence=None, tokens=tokens)
    again.wait_synced()
    again.destroy()
    other.destroy()


async def _record() -> _Recorder:
    recorder = _Recorder(Collab(MemoryStore()))
    async with under_uvicorn(recorder) as port:
        with drive() as driver:
            for kind in KINDS:
                await to_thread.run_sync(_use, driver, kind, port, f"{kind} 😀")
    return recorder


def _seeds(recorder: _Recorder) -> Iterator[tuple[str, bytes]]:
    for path, said in recorder.conversations.items():
        family = path.strip("/").split("/")[0]
        target = {"ws": "y-websocket", "hocuspocus": "hocuspocus"}.get(family, "y-sweet")
        for part in _parts(said):
            yield target, joined(*part)
        frames = [_plain(target, frame) for _, frame in said]
        yield from _seeds_of_frames([frame for frame in frames if frame is not None])
        events = [
            fallback.frame_event(fallback.Place("session", number), frame)
            for number, frame in enumerate(recorder.heard[path][:20], 1)
        ]
        head = fallback.opened(fallback.Place("session", 0), resumed=False)
        yield "event-streams", b"".join((head, *events))[:_MAX_BYTES]
    yield from _seeds_of_bindings()
    yield "names", joined(*((0, name.encode()) for name in _NAMES))
    for text in _SAID:
        yield "messages", text.encode()
    for kind in ("ack", "refused"):
        said_back = AppMessage(type=kind, payload=None, id="7", sender="ana")
        yield "messages", said_back.encode().encode()


def _seeds_of_frames(frames: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    yield "fallback", fallback.join_frames(list(frames[:20]))[:_MAX_BYTES]
    updates: list[bytes] = []
    for frame in frames:
        message = yjs.decode(frame)
        if isinstance(message, SyncStep1):
            yield "state-vectors", message.state_vector
            yield "relay", joined((0, relay.encode(relay.Asked(message.state_vector, ()))))
        elif isinstance(message, AwarenessUpdate):
            yield "presence", joined((0, message.payload), (1, message.payload))
            clients = [Present(*entry, "ana") for entry in decode_entries(message.payload)]
            told: list[relay.RelayMessage] = [relay.Shown(clients), relay.Ended()]
            told.append(relay.Told("x", "ana", None))
            yield "relay", joined(*((0, relay.encode(each)) for each in told))
        elif isinstance(message, (Update, SyncStep2)):
            updates.append(message.update)
            yield "lib0", message.update[:40]
    for part in _parts([(number % 2, update) for number, update in enumerate(updates)]):
        yield "documents", joined(*part)
        yield "imports", joined(*part)
    entries = [NewEntry(update=update, time_ms=1, author="ana") for update in updates[:10]]
    yield "messages", ndjson.encode_entries(entries)


def _seeds_of_bindings() -> Iterator[tuple[str, bytes]]:
    for name in BINDINGS:
        update = written(name)
        yield "state-vectors", pycrdt.get_state(update)
        yield "structs", update
        yield "exports", update
        yield "documents", joined((0, update))
        yield "relay", joined((0, relay.encode(relay.Answered(update, b"\x00", ()))))


def _plain(target: str, frame: bytes) -> bytes | None:
    """A frame without what is its dialect's own, or None where nothing is left."""
    if target == "hocuspocus":
        _, frame = hocuspocus.split_address(frame)
    try:
        yjs.decode(frame)
    except ProtocolError:
        return None
    return frame


def _parts(said: Sequence[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Cuts a conversation where it gets too long for one input."""
    part: list[tuple[int, bytes]] = []
    size = 0
    for number, frame in said:
        if size + len(frame) > _MAX_BYTES // 4:
            yield part
            part, size = [], 0
        part.append((number, frame))
        size += len(frame) + 3
    yield part


def main() -> None:
    """Records, and adds what was recorded to the corpus."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for target, seed in _seeds(anyio.run(_record)):
        found[target].append(seed)
    for target, seeds in sorted(found.items()):
        print(f"{target}: {corpus.save(target, [*corpus.load(target), *seeds])} inputs")


if __name__ == "__main__":
    main()
