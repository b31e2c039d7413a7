"""The processes that host clients and proxies, and what stands for them here."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.clients.host import WITHIN_SECONDS, Host, run
from tests.clients.kinds import Carrier, Family, Kind

_SCRIPT = Path(__file__).with_name("driver.mjs")


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
            empty for those that tell of all up to some clock.
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
        longest_absence_ms: longest time from losing the connection to being in sync again.
    """

    connects: int
    closes: list[int]
    syncs: int
    frames: int
    updates: int
    sent: int
    longest_silence_ms: float
    longest_absence_ms: float


class Driver:
    """Opens clients and proxies in processes of their own: one of Node, and one of Python.

    Attributes:
        node: the process of Node.
    """

    def __init__(self, node: Host, exits: ExitStack) -> None:
        self.node = node
        self._exits = exits

    @cached_property
    def _python(self) -> Host:
        command = (sys.executable, "-m", "tests.clients.python_driver")
        return self._exits.enter_context(run(*command))

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
        name = self.node.call(
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
        return Client(self.node, name)

    def connect(self, kind: Kind, port: int, room: str, **options: Any) -> "Client":
        """Connects a new client of a kind; see ``open``.

        Args:
            kind: of which.
            port: the server's, or that of a proxy to it.
            room: document name.
            options: as ``open`` takes them.
        """
        if kind.family is Family.COLLAB_CLIENT:
            return self._connect_python(kind, port, room, **options)
        if kind.family is Family.COLLAB_PROVIDER:
            options["carrier"] = kind.carrier
        base = kind.base(port)
        return self.open(base, room, family=kind.family, version=kind.version, **options)

    def _connect_python(
        self,
        kind: Kind,
        port: int,
        room: str,
        *,
        presence: dict[str, Any] | None = None,
        tokens: Sequence[str] = (),
    ) -> "Client":
        """Connects a Python client, behind a proxy that leaves it its kind's carrier alone."""
        proxy = self.http_proxy(port)
        if kind.carrier is not Carrier.WEBSOCKET:
            proxy.block_websockets()
        if kind.carrier is Carrier.POLL:
            proxy.hold_streams()
        name = self._python.call(
            None,
            "open_client",
            base=kind.base(proxy.port),
            room=room,
            presence=presence,
            tokens=list(tokens),
        )
        return Client(self._python, name, proxy)

    def socket(self, kind: Kind, port: int) -> "Socket":
        """Opens a socket that clients of a kind can share."""
        name = self.node.call(None, "open_socket", base=kind.base(port), version=kind.version)
        return Socket(self.node, name)

    def manager(self, kind: Kind, port: int, token: str = "") -> "Manager":
        """Opens y-sweet's SDK, with the token of an application's server."""
        base = kind.base(port).replace("//", f"//{token}@" if token else "//")
        return Manager(self.node, self.node.call(None, "open_manager", base=base))

    def proxy(self, port: int) -> "Proxy":
        """Opens a proxy to a local port."""
        name = self.node.call(None, "open_proxy", port=port)
        return Proxy(self.node, name, self.node.call(name, "open"))

    def http_proxy(self, port: int) -> "HttpProxy":
        """Opens a proxy to a local port that knows HTTP."""
        name = self.node.call(None, "open_http_proxy", port=port)
        return HttpProxy(self.node, name, self.node.call(name, "open"))

    def wait_agreed(self, clients: Sequence["Client"], within: float = WITHIN_SECONDS) -> str:
        """Waits until all clients hold the same document, deletions included.

        Returns:
            Its text.
        """
        in_node = [client for client in clients if client.host is self.node]
        elsewhere = [client for client in clients if client.host is not self.node]
        heads = [*in_node[:1], *elsewhere]
        try:
            names = [client.name for client in in_node]
            self.node.call(None, "when_agreed", clients=names, within=within)
            _wait_same(heads, within)
        except AssertionError as error:
            seen = [
                (facts.synced, facts.statuses[-3:], len(facts.text), sum(facts.known.values()))
                for facts in (client.facts() for client in clients)
            ]
            raise AssertionError(f"{error}; (synced, statuses, text, clocks): {seen}") from None
        return clients[0].facts().text


def _wait_same(clients: Sequence["Client"], within: float) -> None:
    """Waits until clients of whatever process hold the same document."""
    deadline = time.monotonic() + within
    while True:
        fingerprints = [client.fingerprint() for client in clients]
        if len({*fingerprints}) == 1:
            return
        changes = [
            client.host.begin(client.name, "when_other_than", fingerprint=fingerprint)
            for client, fingerprint in zip(clients, fingerprints, strict=True)
        ]
        changed, _ = wait(changes, deadline - time.monotonic(), FIRST_COMPLETED)
        assert changed, f"expected one document within {within:g} s, got {fingerprints}"


@contextmanager
def drive() -> Iterator[Driver]:
    """Runs a driver."""
    with ExitStack() as exits:
        yield Driver(exits.enter_context(run("node", str(_SCRIPT))), exits)


@dataclass(frozen=True, slots=True)
class Client:
    """A client; see ``client.mjs`` for what the calls do."""

    host: Host
    name: int
    proxy: "HttpProxy | None" = None
    """What lies between it and the network, where its host could not cut it off."""

    def facts(self) -> Facts:
        """Everything about it."""
        facts = self.host.call(self.name, "facts")
        facts["known"] = {int(client): clock for client, clock in facts["known"].items()}
        return Facts(**facts)

    def traffic(self) -> Traffic:
        """What came over its wire."""
        return Traffic(**self.host.call(self.name, "traffic"))

    def digest(self) -> str:
        """SHA-256 of its text, in hexadecimal."""
        digest: str = self.host.call(self.name, "digest")
        return digest

    def fingerprint(self) -> str:
        """SHA-256 of its clocks, deletions and text, in hexadecimal."""
        fingerprint: str = self.host.call(self.name, "fingerprint")
        return fingerprint

    @property
    def id(self) -> int:
        """Its Yjs client id."""
        return self.facts().client_id

    def insert(self, at: int, text: str) -> None:
        self.host.call(self.name, "insert", at=at, text=text)

    def type(self, seed: int, every_ms: int, mark: int | None = None) -> None:
        self.host.call(self.name, "type", seed=seed, every_ms=every_ms, mark=mark)

    def roam(self, after_ms: float, every_ms: float, times: int) -> "Future[Any]":
        """Has it move its cursor; returns what is done when it has."""
        return self.host.begin(self.name, "roam", after_ms=after_ms, every_ms=every_ms, times=times)

    def rest(self) -> None:
        self.host.call(self.name, "rest")

    def present(self, presence: dict[str, Any] | None) -> None:
        self.host.call(self.name, "present", presence=presence)

    def cut(self) -> None:
        if self.proxy is not None:
            self.proxy.cut()
        else:
            self.host.call(self.name, "cut")

    def say(self, payload: str) -> None:
        self.host.call(self.name, "say", payload=payload)

    def retry(self) -> None:
        self.host.call(self.name, "retry")

    def refresh(self) -> None:
        self.host.call(self.name, "refresh")

    def destroy(self) -> None:
        self.host.call(self.name, "destroy")

    def replay(self, path: Path, within: float) -> int:
        """Types a recorded history, echo by echo, and returns the number of edits."""
        arguments = {"path": str(path), "waits": True}
        edits: int = self.host.call(self.name, "replay", within=within, **arguments)
        return edits

    def wait_synced(self, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_synced", within=within)

    def wait_acknowledged(self, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_acknowledged", within=within)

    def wait_acknowledged_more(self) -> None:
        self.host.call(self.name, "when_acknowledged_more")

    def wait_received(self, received_bytes: int, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_received", bytes=received_bytes, within=within)

    def wait_closed(self, code: int, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_closed", code=code, within=within)

    def wait_quiet(self, seconds: float, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_quiet", ms=seconds * 1000, within=within)

    def wait_hears_others(self) -> None:
        self.host.call(self.name, "when_hears_others")

    def wait_disconnected(self, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_disconnected", within=within)

    def wait_sees(self, client_id: int, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_sees", client_id=client_id, within=within)

    def wait_sees_only(self, client_ids: Iterable[int], within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_sees_only", client_ids=[*client_ids], within=within)

    def wait_shows(self, text: str, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_shows", text=text, within=within)

    def wait_hears(self, text: str) -> None:
        self.host.call(self.name, "when_hears", text=text)

    def wait_access(self, access: str) -> None:
        self.host.call(self.name, "when_access", access=access)

    def wait_refused(self, times: int = 1) -> None:
        self.host.call(self.name, "when_refused", times=times)

    def wait_admitted(self, times: int) -> None:
        self.host.call(self.name, "when_admitted", times=times)

    def wait_message(self, payload: str) -> None:
        self.host.call(self.name, "when_message", payload=payload)

    def wait_told_gone(self, client_id: int, within: float = WITHIN_SECONDS) -> None:
        self.host.call(self.name, "when_told_gone", client_id=client_id, within=within)


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that several clients share."""

    host: Host
    name: int

    def destroy(self) -> None:
        self.host.call(self.name, "destroy")


@dataclass(frozen=True, slots=True)
class Manager:
    """y-sweet's SDK; see ``y-sweet.mjs``."""

    host: Host
    name: int

    def check(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.host.call(self.name, "check")
        return answer

    def create(self, room: str | None = None) -> str:
        name: str = self.host.call(self.name, "create", room=room)
        return name

    def create_with(self, text: str) -> str:
        name: str = self.host.call(self.name, "create_with", text=text)
        return name

    def read(self, room: str) -> str:
        text: str = self.host.call(self.name, "read", room=room)
        return text

    def write(self, room: str, text: str) -> None:
        self.host.call(self.name, "write", room=room, text=text)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A TCP proxy; see ``proxy.mjs``."""

    host: Host
    name: int
    port: int

    def cut(self) -> None:
        self.host.call(self.name, "cut")

    def mend(self) -> None:
        self.host.call(self.name, "mend")

    def fall_silent(self) -> None:
        self.host.call(self.name, "fall_silent")

    def wait_dropped(self, within: float) -> None:
        self.host.call(self.name, "when_dropped", within=within)


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy; see ``http-proxy.mjs``."""

    host: Host
    name: int
    port: int

    def block_websockets(self) -> None:
        self.host.call(self.name, "block_websockets")

    def hold_streams(self) -> None:
        self.host.call(self.name, "hold_streams")

    def allow(self) -> None:
        self.host.call(self.name, "allow")

    def delay(self, ms: float) -> None:
        self.host.call(self.name, "delay", ms=ms)

    def drop(self) -> None:
        self.host.call(self.name, "drop")

    def cut(self) -> None:
        self.host.call(self.name, "cut")

    def stand_in(self) -> None:
        self.host.call(self.name, "stand_in")

    def mend(self) -> None:
        self.host.call(self.name, "mend")
