"""The Node process that hosts clients and proxies, and what stands for them here."""

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.clients.kinds import Family, Kind

FOLDER = Path(__file__).parent
WITHIN_SECONDS = 30.0
"""How long anything may take that should take moments; the machine may be busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a client is and went through.

    Attributes:
        client_id: its Yjs client id.
        text: what it shows.
        statuses: ``connected`` and ``disconnected``, as its provider announced them.
        synced: whether it says it is in sync.
        saved: whether it knows of everything typed there that it is durable.
        access: what it was told it may do, in its own words; None where it was told nothing.
        bytes_received: payload of all frames so far.
        acknowledged: clock up to which it knows its insertions to be durable.
        acknowledged_deletions: (clock, length) of its own characters whose deletion was echoed.
        durable: (clock, length) of its own insertions that it was told to be durable, one by one;
            empty for y-sweet, which tells of all at once.
        clock: clock up to which it has typed.
        known: clocks it has of all clients, by client id.
        typed: the characters it typed and did not delete again.
        present: client ids whose awareness it has.
        refusals: why it was refused something, each time.
        messages: what applications said in the room.
    """

    client_id: int
    text: str
    statuses: list[str]
    synced: bool
    saved: bool
    access: str | None
    bytes_received: int
    acknowledged: int
    acknowledged_deletions: list[tuple[int, int]]
    durable: list[tuple[int, int]]
    clock: int
    known: dict[int, int]
    typed: str
    present: list[int]
    refusals: list[str]
    messages: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What came over a client's wire.

    Attributes:
        connects: how often its provider was connected.
        closes: codes its connections ended with.
        syncs: how often it came in sync.
        frames: how many frames came.
        updates: how many of them were changes.
        sent: how many frames it sent.
        longest_silence_ms: longest time between two of them while it was connected, milliseconds.
    """

    connects: int
    closes: list[int]
    syncs: int
    frames: int
    updates: int
    sent: int
    longest_silence_ms: float


class Driver:
    """The process. Calls may come from any thread and wait side by side."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._numbers = count()
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()

    def begin(self, on: int | None, call: str, **arguments: object) -> "Future[Any]":
        """Makes a call and returns its outcome to be."""
        outcome: Future[Any] = Future()
        assert self.process.stdin is not None
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = outcome
            request = {"id": number, "on": on, "call": call, "arguments": arguments}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return outcome

    def call(
        self, on: int | None, call: str, *, within: float = WITHIN_SECONDS, **arguments: object
    ) -> Any:
        """Makes a call and waits for its outcome.

        Raises:
            AssertionError: it failed, or took longer than ``within`` seconds.
        """
        outcome = self.begin(on, call, **arguments)
        try:
            return outcome.result(within)
        except TimeoutError:
            what = f"{call} of {on}" if on is not None else call
            raise AssertionError(f"expected {what} within {within:g} s, got nothing") from None

    def open(
        self,
        base: str,
        room: str,
        *,
        family: Family = Family.Y_WEBSOCKET,
        version: int = 3,
        presence: dict[str, Any] | None = None,
        tokens: Sequence[str] = (),
        socket: "Socket | None" = None,
        **options: Any,
    ) -> "Client":
        """Connects a new client.

        Args:
            base: where the server speaks with its family.
            room: document name.
            family: what it speaks.
            version: its major version.
            presence: its awareness state; None publishes none.
            tokens: what it shows, one after the other; the last one from then on.
            socket: what it shares with others, where its family does; None for one of its own.
            options: what its family takes besides; see ``client.mjs``.
        """
        if socket is not None:
            options["socket"] = socket.name
        name = self.call(
            None,
            "open_client",
            base=base,
            room=room,
            family=family,
            version=version,
            presence=presence,
            tokens=list(tokens),
            **options,
        )
        return Client(self, name)

    def connect(self, kind: Kind, port: int, room: str, **options: Any) -> "Client":
        """Connects a new client of a kind; see ``open``.

        Args:
            kind: of which.
            port: the server's, or that of a proxy to it.
            room: document name.
            options: as ``open`` takes them.
        """
        base = kind.base(port)
        return self.open(base, room, family=kind.family, version=kind.version, **options)

    def socket(self, kind: Kind, port: int) -> "Socket":
        """Opens a socket that clients of a kind can share."""
        name = self.call(None, "open_socket", base=kind.base(port), version=kind.version)
        return Socket(self, name)

    def manager(self, kind: Kind, port: int, token: str = "") -> "Manager":
        """Opens y-sweet's SDK, with the token of an application's server."""
        base = kind.base(port).replace("//", f"//{token}@" if token else "//")
        return Manager(self, self.call(None, "open_manager", base=base))

    def proxy(self, port: int) -> "Proxy":
        """Opens a proxy to a local port."""
        name = self.call(None, "open_proxy", port=port)
        return Proxy(self, name, self.call(name, "open"))

    def http_proxy(self, port: int) -> "HttpProxy":
        """Opens a proxy to a local port that knows HTTP."""
        name = self.call(None, "open_http_proxy", port=port)
        return HttpProxy(self, name, self.call(name, "open"))

    def wait_agreed(self, clients: Sequence["Client"], within: float = WITHIN_SECONDS) -> str:
        """Waits until all clients hold the same document, deletions included.

        Returns:
            Its text.
        """
        names = [client.name for client in clients]
        try:
            self.call(None, "when_agreed", clients=names, within=within)
        except AssertionError as error:
            seen = [
                (facts.synced, facts.statuses[-3:], len(facts.text), sum(facts.known.values()))
                for facts in (client.facts() for client in clients)
            ]
            raise AssertionError(f"{error}; (synced, statuses, text, clocks): {seen}") from None
        return clients[0].facts().text

    def read(self) -> None:
        """Takes in outcomes until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            outcome = self._waiting.pop(answer["id"])
            if "error" in answer:
                outcome.set_exception(AssertionError(answer["error"]))
            else:
                outcome.set_result(answer["result"])
        for outcome in self._waiting.values():
            outcome.set_exception(AssertionError("expected an outcome, got the end of the driver"))


@contextmanager
def drive() -> Iterator[Driver]:
    """Runs a driver."""
    with subprocess.Popen(
        ["node", str(FOLDER / "driver.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        driver = Driver(process)
        reader = threading.Thread(target=driver.read, name="driver")
        reader.start()
        try:
            yield driver
        finally:
            process.kill()
            reader.join()


@dataclass(frozen=True, slots=True)
class Client:
    """A stock client; see ``client.mjs`` for what the calls do."""

    driver: Driver
    name: int

    def facts(self) -> Facts:
        """Everything about it."""
        facts = self.driver.call(self.name, "facts")
        facts["known"] = {int(client): clock for client, clock in facts["known"].items()}
        return Facts(**facts)

    def traffic(self) -> Traffic:
        """What came over its wire."""
        return Traffic(**self.driver.call(self.name, "traffic"))

    def digest(self) -> str:
        """SHA-256 of its text, in hexadecimal."""
        digest: str = self.driver.call(self.name, "digest")
        return digest

    @property
    def id(self) -> int:
        """Its Yjs client id."""
        return self.facts().client_id

    def insert(self, at: int, text: str) -> None:
        self.driver.call(self.name, "insert", at=at, text=text)

    def type(self, seed: int, every_ms: int, mark: int | None = None) -> None:
        self.driver.call(self.name, "type", seed=seed, every_ms=every_ms, mark=mark)

    def rest(self) -> None:
        self.driver.call(self.name, "rest")

    def present(self, presence: dict[str, Any] | None) -> None:
        self.driver.call(self.name, "present", presence=presence)

    def cut(self) -> None:
        self.driver.call(self.name, "cut")

    def say(self, payload: str) -> None:
        self.driver.call(self.name, "say", payload=payload)

    def retry(self) -> None:
        self.driver.call(self.name, "retry")

    def refresh(self) -> None:
        self.driver.call(self.name, "refresh")

    def destroy(self) -> None:
        self.driver.call(self.name, "destroy")

    def replay(self, path: Path, within: float) -> int:
        """Types a recorded history, waits for its echo, and returns the number of edits."""
        edits: int = self.driver.call(self.name, "replay", path=str(path), within=within)
        return edits

    def wait_synced(self, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_synced", within=within)

    def wait_acknowledged(self, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_acknowledged", within=within)

    def wait_acknowledged_more(self) -> None:
        self.driver.call(self.name, "when_acknowledged_more")

    def wait_received(self, received_bytes: int, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_received", bytes=received_bytes, within=within)

    def wait_closed(self, code: int, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_closed", code=code, within=within)

    def wait_quiet(self, seconds: float, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_quiet", ms=seconds * 1000, within=within)

    def wait_hears_others(self) -> None:
        self.driver.call(self.name, "when_hears_others")

    def wait_disconnected(self, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_disconnected", within=within)

    def wait_sees(self, client_id: int, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_sees", client_id=client_id, within=within)

    def wait_shows(self, text: str, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_shows", text=text, within=within)

    def wait_hears(self, text: str) -> None:
        self.driver.call(self.name, "when_hears", text=text)

    def wait_access(self, access: str) -> None:
        self.driver.call(self.name, "when_access", access=access)

    def wait_refused(self, times: int = 1) -> None:
        self.driver.call(self.name, "when_refused", times=times)

    def wait_admitted(self, times: int) -> None:
        self.driver.call(self.name, "when_admitted", times=times)

    def wait_message(self, payload: str) -> None:
        self.driver.call(self.name, "when_message", payload=payload)

    def wait_told_gone(self, client_id: int, within: float = WITHIN_SECONDS) -> None:
        self.driver.call(self.name, "when_told_gone", client_id=client_id, within=within)


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that several clients share."""

    driver: Driver
    name: int

    def destroy(self) -> None:
        self.driver.call(self.name, "destroy")


@dataclass(frozen=True, slots=True)
class Manager:
    """y-sweet's SDK; see ``y-sweet.mjs``."""

    driver: Driver
    name: int

    def check(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.driver.call(self.name, "check")
        return answer

    def create(self, room: str | None = None) -> str:
        name: str = self.driver.call(self.name, "create", room=room)
        return name

    def create_with(self, text: str) -> str:
        name: str = self.driver.call(self.name, "create_with", text=text)
        return name

    def read(self, room: str) -> str:
        text: str = self.driver.call(self.name, "read", room=room)
        return text

    def write(self, room: str, text: str) -> None:
        self.driver.call(self.name, "write", room=room, text=text)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A TCP proxy; see ``proxy.mjs``."""

    driver: Driver
    name: int
    port: int

    def cut(self) -> None:
        self.driver.call(self.name, "cut")

    def mend(self) -> None:
        self.driver.call(self.name, "mend")

    def fall_silent(self) -> None:
        self.driver.call(self.name, "fall_silent")

    def wait_dropped(self, within: float) -> None:
        self.driver.call(self.name, "when_dropped", within=within)


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy; see ``http-proxy.mjs``."""

    driver: Driver
    name: int
    port: int

    def block_websockets(self) -> None:
        self.driver.call(self.name, "block_websockets")

    def hold_streams(self) -> None:
        self.driver.call(self.name, "hold_streams")

    def allow(self) -> None:
        self.driver.call(self.name, "allow")
