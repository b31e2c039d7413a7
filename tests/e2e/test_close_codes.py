"""What stock clients make of close codes, as docs/reference/close-codes.md says it."""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_AWARENESS
from tests.clients.driver import Driver
from tests.clients.host import WITHIN_SECONDS
from tests.clients.kinds import HOCUSPOCUS, Y_WEBSOCKET, Family, Kind

pytestmark = [pytest.mark.node, pytest.mark.slow]

STAY_AWAY: dict[Kind, Collection[int]] = {
    Y_WEBSOCKET[2]: range(4400, 4500),
    HOCUSPOCUS[0]: {CloseCode.TOO_LARGE, CloseCode.UNAUTHENTICATED, CloseCode.FORBIDDEN},
}


@contextmanager
def closing_with(code: int, address: bytes) -> Iterator[tuple[int, threading.Semaphore]]:
    """A server that ends each connection with a code; its port, and what each visit releases.

    Args:
        code: which one.
        address: what its frames begin with.
    """
    visits = threading.Semaphore(0)

    def close(connection: ServerConnection) -> None:
        visits.release()
        # To a Hocuspocus provider it is no connection before something has come.
        connection.send(address + yjs.awareness(EMPTY_AWARENESS))
        connection.close(code)

    with serve(close, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1], visits
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", [*Y_WEBSOCKET, *HOCUSPOCUS], ids=str)
def test_clients_come_back_after_every_code_but_those_that_the_page_names(
    driver: Driver, kind: Kind
) -> None:
    address = write_var_string("notes") if kind.family is Family.HOCUSPOCUS else b""
    codes = [code for code in CloseCode if code not in STAY_AWAY.get(kind, ())]
    with ExitStack() as exits:
        # All at once: what takes its time is what each client waits before it comes back.
        servers = [exits.enter_context(closing_with(code, address)) for code in codes]
        clients = [driver.connect(kind, port, "notes") for port, _ in servers]
        deadline = time.monotonic() + WITHIN_SECONDS
        stayed_away = [
            code
            for code, (_, visits) in zip(codes, servers, strict=True)
            if not all(
                visits.acquire(timeout=max(0, deadline - time.monotonic())) for _ in range(2)
            )
        ]
        for client in clients:
            client.destroy()
    assert stayed_away == []
