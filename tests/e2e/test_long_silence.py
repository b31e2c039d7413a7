"""Peers that say nothing for minutes: idle ones stay, dead ones are found. Takes two minutes.

All of it happens at once, over both transports, and ``observed`` watches; the tests then look at
what it saw.
"""

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.clients.driver import Client, Driver, Facts, Proxy, drive
from tests.e2e.serving import Server, serve, websockets

pytestmark = [pytest.mark.node, pytest.mark.slow, pytest.mark.timeout(300)]

IDLE_SECONDS = 125.0
GONE_SECONDS = 60.0
PATIENCE_SECONDS = 75.0
RETURN_SECONDS = 20.0
TRANSPORTS = ("native", "asgi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What two minutes over one transport have shown; infinity is for what did not happen.

    Attributes:
        idle: clients of each version that had nothing to say, with presence and without.
        silent_gone: seconds until others were told that a client behind a dead network is gone.
        silent_dropped: seconds until the server ended that client's connection.
        stopped_gone: seconds until others were told that a client is gone whose process stopped.
        stopped_back: seconds until they saw it again after its process went on.
    """

    idle: list[Facts]
    silent_gone: float
    silent_dropped: float
    stopped_gone: float
    stopped_back: float


class Watch:
    """The clients of one server.

    Args:
        server: the server.
        living: hosts the clients that live on.
        doomed: hosts the one whose process will be stopped.
    """

    def __init__(self, server: Server, living: Driver, doomed: Driver) -> None:
        base = server.websockets
        presences: tuple[dict[str, str] | None, ...] = (None, {"name": "idle"})
        self._idle = [
            # Alone in a room, where nobody else's presence keeps the connection busy.
            living.open(base, f"idle {version} {presence}", version=version, presence=presence)
            for version in (1, 2, 3)
            for presence in presences
        ]
        self._watcher = living.open(base, "watched", presence={"name": "watcher"})
        self._proxy: Proxy = living.proxy(server.port)
        self._silent = living.open(websockets(self._proxy.port), "watched", presence={"n": "m"})
        self._stopped: Client = doomed.open(base, "watched", presence={"n": "s"})
        for client in self._idle:
            client.wait_synced()
        self._watcher.wait_sees(self._silent.id)
        self._watcher.wait_sees(self._stopped.id)
        self._silent_id, self._stopped_id = self._silent.id, self._stopped.id

    def silence(self) -> None:
        """Lets the network of one client fall silent."""
        self._proxy.fall_silent()

    def losses(self) -> list[Callable[[], None]]:
        """What to wait for after ``silence``, and after the doomed were stopped."""
        return [
            lambda: self._watcher.wait_told_gone(self._silent_id, within=PATIENCE_SECONDS),
            lambda: self._proxy.wait_dropped(within=PATIENCE_SECONDS),
            lambda: self._watcher.wait_told_gone(self._stopped_id, within=PATIENCE_SECONDS),
        ]

    def returns(self) -> list[Callable[[], None]]:
        """What to wait for after the doomed go on."""
        return [lambda: self._watcher.wait_sees(self._stopped_id, within=RETURN_SECONDS)]

    def idle(self) -> list[Facts]:
        """What became of the idle clients."""
        return [client.facts() for client in self._idle]

    def listen(self, seconds: float) -> None:
        """Gives the idle clients time to lose their connection."""
        seconds_until_each(
            [partial(client.wait_disconnected, within=seconds) for client in self._idle]
        )


def seconds_until_each(waits: list[Callable[[], None]]) -> list[float]:
    """How long each thing takes to happen; infinitely long where it does not."""
    began = time.monotonic()

    def seconds_until(wait: Callable[[], None]) -> float:
        try:
            wait()
        except AssertionError:
            return float("inf")
        return time.monotonic() - began

    with ThreadPoolExecutor(len(waits)) as threads:
        return list(threads.map(seconds_until, waits))


@pytest.fixture(scope="module")
def observed(node_clients: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Observed]:
    """Two minutes over each transport."""
    folder: Path = tmp_path_factory.mktemp("silence")
    with ExitStack() as exits:
        living, doomed = exits.enter_context(drive()), exits.enter_context(drive())
        watches = []
        for transport in TRANSPORTS:
            running = serve(folder / f"{transport}.db", transport=transport)
            watches.append(Watch(exits.enter_context(running), living, doomed))
        began = time.monotonic()
        doomed.node.process.send_signal(signal.SIGSTOP)
        for watch in watches:
            watch.silence()
        losses = seconds_until_each([wait for watch in watches for wait in watch.losses()])
        doomed.node.process.send_signal(signal.SIGCONT)
        returns = seconds_until_each([wait for watch in watches for wait in watch.returns()])
        left = IDLE_SECONDS - (time.monotonic() - began)
        seconds_until_each([partial(watch.listen, left) for watch in watches])
        return {
            transport: Observed(
                idle=watch.idle(),
                silent_gone=losses[3 * index],
                silent_dropped=losses[3 * index + 1],
                stopped_gone=losses[3 * index + 2],
                stopped_back=returns[index],
            )
            for index, (transport, watch) in enumerate(zip(TRANSPORTS, watches, strict=True))
        }


@pytest.fixture(params=TRANSPORTS)
def seen(request: pytest.FixtureRequest, observed: dict[str, Observed]) -> Observed:
    """What was observed over one transport."""
    return observed[request.param]


def test_idle_stock_clients_stay_connected_for_two_minutes(seen: Observed) -> None:
    assert [facts.statuses for facts in seen.idle] == [["connected"]] * 6


def test_the_cursor_behind_a_silent_network_is_gone_within_a_minute(seen: Observed) -> None:
    assert seen.silent_gone < GONE_SECONDS


def test_a_connection_over_a_silent_network_is_dropped_within_a_minute(seen: Observed) -> None:
    assert seen.silent_dropped < GONE_SECONDS


def test_the_cursor_of_a_stopped_process_is_gone_within_a_minute(seen: Observed) -> None:
    assert seen.stopped_gone < GONE_SECONDS


def test_a_process_that_was_stopped_comes_back_by_itself(seen: Observed) -> None:
    assert seen.stopped_back < RETURN_SECONDS
