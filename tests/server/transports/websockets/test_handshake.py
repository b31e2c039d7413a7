"""Every transport lets in, and refuses, in the same way."""

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from collab.close import CloseCode
from collab.protocol import yjs
from tests.core import poison
from tests.server.hosts import STREAM_WRITERS
from tests.server.transports.websockets.serving import (
    closed_with,
    heard,
    receive,
    socket_to,
    synced,
    url,
)

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
]


class TestHandshake:
    async def test_the_server_asks_first(self, port: int) -> None:
        async with socket_to(port) as socket:
            assert await receive(socket) == yjs.sync_step1(b"\x00")
            await synced(socket)

    @pytest.mark.parametrize(("token", "status"), [("bad", 401), ("none", 403), ("broken", None)])
    async def test_who_may_not_is_refused_at_the_handshake(
        self, port: int, token: str, status: int | None
    ) -> None:
        with pytest.raises((InvalidStatus, ConnectionError, EOFError, Exception)) as caught:
            async with socket_to(port, f"ws/room?token={token}") as socket:
                await socket.recv()
        if status is not None:
            assert isinstance(caught.value, InvalidStatus)
            assert caught.value.response.status_code == status
        async with socket_to(port) as socket:
            await synced(socket)

    @pytest.mark.parametrize("path", ["", "ws", "wss/room", "other/room"])
    async def test_an_unknown_path_is_refused(self, port: int, path: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with socket_to(port, path):
                pass
        assert caught.value.response.status_code in (403, 404)

    @pytest.mark.parametrize("path", ["ws/room", "ws/team/room", "hocuspocus", "y-sweet/ws/room"])
    async def test_a_plain_request_is_told_that_it_is_no_websocket(
        self, port: int, path: str
    ) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answer = await client.get(f"/{path}")
        assert answer.status_code == 426
        assert answer.headers["upgrade"] == "websocket"
        assert answer.json()["error"].startswith("expected a WebSocket, got a plain request")

    @pytest.mark.parametrize("name", ["a%0Ab", "x" * 600, "%00"])
    async def test_what_cannot_be_a_name_is_refused(self, port: int, name: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with socket_to(port, f"ws/{name}"):
                pass
        assert caught.value.response.status_code == 400

    async def test_a_revoked_token_ends_its_session_and_opens_no_other(self, port: int) -> None:
        rest = f"http://127.0.0.1:{port}/api/sessions/revoke"
        revocation = {"token_id": "ana"}
        async with (
            socket_to(port, "ws/room?token=ana") as ana,
            socket_to(port) as other,
            httpx.AsyncClient() as client,
        ):
            await synced(ana)
            await synced(other)
            for token, status in (("", 401), ("ana", 403), ("admin", 200)):
                headers = {"Authorization": f"Bearer {token or 'bad'}"}
                answer = await client.post(rest, json=revocation, headers=headers)
                assert answer.status_code == status
            assert answer.json() == {"ended": 1}
            assert await closed_with(ana) == CloseCode.UNAUTHENTICATED
            with pytest.raises(InvalidStatus) as caught:
                async with socket_to(port, "ws/room?token=ana"):
                    pass
            assert caught.value.response.status_code == 401
            await other.send(yjs.update(poison.HELLO))
            await heard(other, poison.HELLO)

    @pytest.mark.parametrize("path", ["ws/room", "hocuspocus", "y-sweet/ws/room"])
    async def test_a_page_from_elsewhere_is_refused(self, port: int, path: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(url(port, path), origin=Origin("https://evil.example")):
                pass
        assert caught.value.response.status_code == 403
        async with connect(url(port, path), origin=Origin(f"http://127.0.0.1:{port}")):
            pass
        async with connect(url(port, path), origin=Origin("https://listed.example")):
            pass

    async def test_a_token_may_come_as_a_subprotocol_and_is_not_sent_back(self, port: int) -> None:
        offered = [Subprotocol("collab"), Subprotocol("collab.token.read")]
        async with connect(url(port), subprotocols=offered) as socket:
            assert socket.subprotocol == "collab"
            await synced(socket)
            await socket.send(yjs.update(poison.HELLO))
            assert (await receive(socket))[:2] == b"\x02\x00"

    async def test_a_name_means_the_same_however_it_is_encoded(self, port: int) -> None:
        async with (
            socket_to(port, "ws/a/%C3%A9%F0%9F%98%80") as one,
            socket_to(port, "ws/a%2F%c3%a9%F0%9f%98%80") as two,
        ):
            await synced(one)
            await synced(two)
            await one.send(yjs.update(poison.HELLO))
            await heard(two, poison.HELLO)

    async def test_no_room_hears_another(self, port: int) -> None:
        async with socket_to(port, "ws/one") as one, socket_to(port, "ws/two") as two:
            await synced(one)
            await synced(two)
            await one.send(yjs.update(poison.HELLO))
            await heard(one, poison.HELLO)
            assert list((await synced(two)).keys()) == []
