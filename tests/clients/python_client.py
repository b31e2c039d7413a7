"""A document of ``collab.client``, and what it went through: ``client.mjs``, in Python."""

import hashlib
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

import anyio
import anyio.abc

from collab import lib0
from collab.client import RemoteDocument, Status, connect
from collab.errors import CollabError
from collab.structs import read_deletions
from tests.clients.pen import Pen


class PythonClient:
    """A document that is kept connected, with the calls that ``driver.py`` makes."""

    def __init__(
        self, document: RemoteDocument, shown: list[str], tasks: anyio.abc.TaskGroup
    ) -> None:
        """Has gone through nothing.

        Args:
            document: the document.
            shown: the tokens it has shown so far, kept up to date by whoever gives them.
            tasks: what runs for as long as it is there.
        """
        self._document = document
        self._shown = shown
        self._tasks = tasks
        self._pen = Pen(document.doc)
        self._typing = anyio.CancelScope()
        self._leaving = anyio.Event()
        self._changed = anyio.Event()
        self._statuses: list[str] = []
        self._synced = False
        self._syncs = 0
        self._longest_absence_seconds = 0.0
        self._refusals: list[str] = []
        self._here: set[int] = set()
        self._departed: set[int] = set()

    @classmethod
    async def run(
        cls,
        base: str,
        room: str,
        presence: dict[str, Any] | None,
        tokens: list[str],
        *,
        task_status: anyio.abc.TaskStatus["PythonClient"],
    ) -> None:
        """Is there until ``destroy``.

        Args:
            base: where the server is.
            room: document name.
            presence: what it shows; None shows nothing.
            tokens: what it shows, one after the other; the last one from then on.
            task_status: told once it is there.
        """
        shown: list[str] = []

        def next_token() -> str:
            shown.append(tokens[min(len(shown), len(tokens) - 1)])
            return shown[-1]

        async with (
            connect(base, room, token=next_token if tokens else None) as document,
            anyio.create_task_group() as tasks,
        ):
            client = cls(document, shown, tasks)
            if presence is not None:
                document.show(presence)
            tasks.start_soon(client._follow)
            tasks.start_soon(client._note_syncs)
            task_status.started(client)
            await client._leaving.wait()
            tasks.cancel_scope.cancel()

    # What it is and went through.

    async def facts(self) -> dict[str, Any]:
        """Everything about it; see ``driver.Facts``."""
        return {
            "client_id": self._pen.client_id,
            "text": str(self._pen.text),
            "statuses": self._statuses,
            "synced": self._synced,
            "saved": self._is_saved(),
            "access": None,
            "bytes_received": 0,
            "acknowledged": self._acknowledged(),
            "acknowledged_deletions": [],
            "durable": [],
            "clock": self._pen.clock,
            "known": self._pen.known,
            "typed": "".join(self._pen.typed),
            "present": list(self._document.presence()),
            "refusals": self._refusals,
            "messages": [],
        }

    async def traffic(self) -> dict[str, Any]:
        """How often it was there, and how long it was not; its frames are its own secret."""
        nothing = {"closes": [], "frames": 0, "updates": 0, "sent": 0, "longest_silence_ms": 0}
        return nothing | {
            "connects": self._statuses.count("connected"),
            "syncs": self._syncs,
            "longest_absence_ms": self._longest_absence_seconds * 1000,
        }

    async def digest(self) -> str:
        """SHA-256 of its text, in hexadecimal."""
        return hashlib.sha256(str(self._pen.text).encode()).hexdigest()

    async def fingerprint(self) -> str:
        """SHA-256 of clocks, deletions and the text: the one of Yjs for the same document."""
        doc = self._document.doc
        snapshot = encode_snapshot(doc.get_update(doc.get_state()), self._pen.known)
        return hashlib.sha256(snapshot + str(self._pen.text).encode()).hexdigest()

    # What it does.

    async def insert(self, at: int, text: str) -> None:
        """Types once."""
        self._pen.insert(at, text)

    async def type(self, seed: int, every_ms: float, mark: int | None) -> None:
        """Types from now on, until ``rest``."""
        self._pen.follow(seed, mark)
        self._tasks.start_soon(self._type, every_ms / 1000)

    async def rest(self) -> None:
        """Stops typing."""
        self._typing.cancel()

    async def present(self, presence: dict[str, Any] | None) -> None:
        """Shows something else."""
        self._document.show(presence)

    async def roam(self, after_ms: float, every_ms: float, times: int) -> None:
        """Moves its cursor at a pace, from some time on; returns after the last move."""
        await anyio.sleep(after_ms / 1000)
        for move in range(1, times + 1):
            await anyio.sleep(every_ms / 1000)
            self._document.show({"cursor": {"anchor": move, "head": move}})

    async def destroy(self) -> None:
        """Leaves."""
        self._leaving.set()

    # What it waits for.

    async def when_synced(self) -> None:
        """Returns once it is in sync."""
        await self._until(lambda: self._synced)

    async def when_acknowledged(self) -> None:
        """Returns once everything typed here is durable."""
        await self._until(self._is_saved)

    async def when_acknowledged_more(self) -> None:
        """Returns once something more than now is durable."""
        now = self._acknowledged()
        await self._until(lambda: self._acknowledged() > now)

    async def when_hears_others(self) -> None:
        """Returns once something came that others typed after this call."""
        known = self._of_others()
        await self._until(lambda: self._of_others() != known)

    async def when_disconnected(self) -> None:
        """Returns once there is no connection."""
        await self._until(lambda: self._document.status is not Status.CONNECTED)

    async def when_sees(self, client_id: int) -> None:
        """Returns once somebody is here."""
        await self._until(lambda: client_id in self._document.presence())

    async def when_sees_only(self, client_ids: list[int]) -> None:
        """Returns once exactly these are here."""
        await self._until(lambda: {*self._document.presence()} == {*client_ids})

    async def when_told_gone(self, client_id: int) -> None:
        """Returns once the server has said that somebody is gone."""
        await self._until(lambda: client_id in self._departed)

    async def when_shows(self, text: str) -> None:
        """Returns once the text is this."""
        await self._until(lambda: str(self._pen.text) == text)

    async def when_refused(self, times: int) -> None:
        """Returns once it was refused so often, its changes or itself."""
        while len(self._refusals) < times:
            try:
                await self._document.saved()
                await self._next_change()
            except CollabError as error:
                self._refusals.append(str(error))

    async def when_admitted(self, times: int) -> None:
        """Returns once it has shown so many tokens, and is connected."""
        await self._until(
            lambda: len(self._shown) >= times and self._document.status is Status.CONNECTED
        )

    async def when_other_than(self, fingerprint: str) -> None:
        """Returns once the fingerprint is another one."""
        while await self.fingerprint() == fingerprint:
            await self._next_change()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self._next_change()

    async def _next_change(self) -> None:
        await self._changed.wait()

    def _of_others(self) -> dict[int, int]:
        known = self._pen.known
        known.pop(self._pen.client_id, None)
        return known

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _is_saved(self) -> bool:
        return self._document.pending_changes == 0

    def _acknowledged(self) -> int:
        """Clock up to which it knows its insertions to be durable."""
        durable = len(self._pen.clocks) - self._document.pending_changes
        return self._pen.clocks[durable - 1] if durable else 0

    async def _type(self, every_seconds: float) -> None:
        with anyio.CancelScope() as self._typing:
            while True:
                await anyio.sleep(every_seconds)
                self._pen.type()

    async def _follow(self) -> None:
        """Notes what changes, until the server will not have it."""
        changes = self._document.changes()
        self._note_status()
        self._announce()
        try:
            async for _ in changes:
                self._note_status()
                self._announce()
        except CollabError as error:
            self._refusals.append(str(error))
        self._note_status()
        self._announce()

    def _note_status(self) -> None:
        connected = self._document.status is Status.CONNECTED
        status = "connected" if connected else "disconnected"
        if (connected or self._statuses) and self._statuses[-1:] != [status]:
            self._statuses.append(status)
        here = {*self._document.presence()}
        if connected:
            self._departed |= self._here - here
            self._departed -= here
        self._here = here

    async def _note_syncs(self) -> None:
        lost: float | None = None
        while True:
            try:
                await self._document.synced()
            except CollabError:
                return
            self._synced = True
            self._syncs += 1
            if lost is not None:
                absence = anyio.current_time() - lost
                self._longest_absence_seconds = max(self._longest_absence_seconds, absence)
            self._announce()
            await self.when_disconnected()
            self._synced = False
            lost = anyio.current_time()
            self._announce()


def encode_snapshot(deletions: bytes, clocks: dict[int, int]) -> bytes:
    """Encodes what Yjs calls a snapshot, as Yjs does it.

    Source: https://github.com/yjs/yjs (13.6), ``encodeSnapshot`` in src/utils/Snapshot.js.

    Args:
        deletions: an update whose delete set is that of the document.
        clocks: those of the document, by client.
    """
    ranges = sorted((each.client, each.clock, each.length) for each in read_deletions(deletions))
    deleted = {
        client: _joined((clock, length) for _, clock, length in group)
        for client, group in groupby(ranges, key=itemgetter(0))
    }
    pieces = [lib0.write_var_uint(len(deleted))]
    for client in sorted(deleted, reverse=True):
        pieces += map(lib0.write_var_uint, (client, len(deleted[client])))
        pieces += [lib0.write_var_uint(number) for span in deleted[client] for number in span]
    pieces.append(lib0.write_var_uint(len(clocks)))
    for client in sorted(clocks, reverse=True):
        pieces += map(lib0.write_var_uint, (client, clocks[client]))
    return b"".join(pieces)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Joins (clock, length) that follow each other."""
    joined: list[tuple[int, int]] = []
    for clock, length in spans:
        if joined and sum(joined[-1]) == clock:
            first, before = joined.pop()
            joined.append((first, before + length))
        else:
            joined.append((clock, length))
    return joined
