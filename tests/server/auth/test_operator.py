import httpx
import pytest
from starlette.requests import HTTPConnection

from collab.access import Identity
from collab.server.app import Collab
from collab.server.auth.key_set import KeySet
from collab.server.auth.operator import OPERATOR, admit_operator
from collab.server.auth.tokens import Tokens
from collab.storage.memory import MemoryStore
from tests.server.signing import Provider, private_key, public_jwk, token

SECRET = "opensesame"


async def knows_nobody(connection: HTTPConnection) -> Identity | None:
    return None


def connection(kind: str, authorization: str | None) -> HTTPConnection:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    return HTTPConnection({"type": kind, "headers": headers, "path": "/", "query_string": b""})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "authorization", "admitted"),
    [
        ("http", f"Bearer {SECRET}", True),
        ("http", f"bearer {SECRET}", True),
        ("http", "Bearer opensesam", False),
        ("http", "Bearer ", False),
        ("http", "Bearer ünïcode", False),
        ("http", SECRET, False),
        ("http", None, False),
        ("websocket", f"Bearer {SECRET}", False),
    ],
)
async def test_only_a_request_with_the_secret_speaks_for_the_operator(
    kind: str, authorization: str | None, admitted: bool
) -> None:
    authenticate = admit_operator(knows_nobody, SECRET)
    assert authenticate is not None
    identity = await authenticate(connection(kind, authorization))
    assert identity == (OPERATOR if admitted else None)


def test_where_anyone_may_do_anything_the_operator_may_too() -> None:
    assert admit_operator(None, SECRET) is None


@pytest.mark.anyio
async def test_rest_lets_the_operator_in_whom_the_application_does_not_know() -> None:
    app = Collab(MemoryStore(), authenticate=admit_operator(knows_nobody, SECRET))
    transport = httpx.ASGITransport(app)
    async with app, httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/api/docs")).status_code == 401
        shown = {"Authorization": f"Bearer {SECRET}"}
        assert (await client.get("/api/docs", headers=shown)).status_code == 200


@pytest.mark.anyio
async def test_the_keys_of_an_identity_provider_are_fetched_when_the_app_is_entered() -> None:
    async with Provider(public_jwk("ES256", "a")).serving() as provider:
        tokens = Tokens(KeySet(provider.url))
        signed = token(key=private_key("ES256"), algorithm="ES256", key_id="a")
        for authenticate in (tokens, admit_operator(tokens, SECRET)):
            app = Collab(MemoryStore(), authenticate=authenticate)
            transport = httpx.ASGITransport(app)
            async with (
                app,
                httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
            ):
                headers = {"Authorization": f"Bearer {signed}"}
                assert (await client.get("/api/docs", headers=headers)).status_code == 200
    assert provider.asked == 2
