"""Documents from behind a proxy that the environment names."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import collab
from collab.client import Status, Timing
from tests.client.proxy import Proxy, proxy
from tests.client.writing import until, until_shows, write
from tests.e2e.serving import Server, serve

pytestmark = pytest.mark.anyio

_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
ELSEWHERE = "collab.invalid"
"""A host that nobody but the proxy knows."""
QUICK = Timing(base_seconds=0.01, cap_seconds=0.02)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no proxy yet."""
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with TLS, under a name that nobody but the proxy knows."""
    folder = tmp_path_factory.mktemp("proxies")
    certificate = authority.issue_cert(ELSEWHERE)
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    pem = str(folder / "server.pem")
    options = ["--certfile", pem, "--keyfile", pem, "--open-to-everyone"]
    with serve(folder / "collab.db", options=options) as running:
        yield running


@pytest.fixture
def trusted(authority: trustme.CA) -> ssl.SSLContext:
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    return tls


async def until_told(url: str, room: str, *reasons: str) -> None:
    """Waits until there is no connection, for one reason and for the next."""
    async with collab.connect(url, room, timing=QUICK) as document:
        for why in reasons:
            await until(document, lambda why=why: why in (document.outage or ""), why)  # type: ignore[misc]  # a closure in a loop
        assert document.status is Status.OFFLINE


@pytest.fixture
def way() -> Iterator[Proxy]:
    with proxy() as running:
        yield running


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_websocket_goes_through_the_proxy_that_is_named(
    server: Server, room: str, way: Proxy, environment: pytest.MonkeyPatch, variable: str
) -> None:
    environment.setenv(variable, f"127.0.0.1:{way.server_port}")
    async with collab.connect(f"http://localhost:{server.port}", room) as document:
        write(document, "hello")
        await document.saved()
    assert way.asked == [f"localhost:{server.port}"]


@pytest.mark.parametrize("refuses", [0, 1], ids=["websocket", "fallback"])
async def test_tls_is_agreed_on_with_the_server_through_the_proxy(
    secure: Server,
    trusted: ssl.SSLContext,
    room: str,
    way: Proxy,
    environment: pytest.MonkeyPatch,
    refuses: int,
) -> None:
    environment.setenv("HTTPS_PROXY", f"http://ada:s%40cret@127.0.0.1:{way.server_port}")
    way.expected = "ada:s@cret"
    way.refuses = refuses
    url = f"https://{ELSEWHERE}:{secure.port}"
    async with (
        collab.connect(url, room, tls=trusted, timing=QUICK) as ada,
        collab.connect(url, room, tls=trusted, timing=QUICK) as ben,
    ):
        write(ada, "hello")
        await until_shows(ben, "hello")
        assert ada.status is Status.CONNECTED
    assert {*way.asked} == {f"{ELSEWHERE}:{secure.port}"}


async def test_a_proxy_may_have_tls_itself(
    server: Server,
    authority: trustme.CA,
    room: str,
    tmp_path: Path,
    environment: pytest.MonkeyPatch,
) -> None:
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(shown)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    environment.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with proxy(shown) as way:
        environment.setenv("HTTP_PROXY", f"https://localhost:{way.server_port}")
        async with collab.connect(f"http://localhost:{server.port}", room) as document:
            write(document, "hello")
            await document.saved()
        assert way.asked == [f"localhost:{server.port}"]


async def test_what_is_named_to_need_no_proxy_goes_past_it(
    server: Server, room: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    environment.setenv("NO_PROXY", "127.0.0.1")
    async with collab.connect(server.url, room) as document:
        write(document, "hello")
        await document.saved()


@pytest.mark.parametrize(
    ("named", "reasons"),
    [
        ("http://127.0.0.1:1", ["no connection to the proxy http://127.0.0.1:1"]),
        ("ftp://127.0.0.1:1", ["expected the address of a proxy: Unknown scheme"]),
        (
            "socks5://ada:secret@127.0.0.1:1",
            ["expected an HTTP proxy, got socks5://127.0.0.1:1", "no way through the proxy"],
        ),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_why_there_is_no_connection(
    room: str, environment: pytest.MonkeyPatch, named: str, reasons: list[str]
) -> None:
    environment.setenv("HTTP_PROXY", named)
    await until_told(f"http://{ELSEWHERE}", room, *reasons)


async def test_a_proxy_that_lets_nobody_through_is_why_there_is_no_connection(
    room: str, way: Proxy, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{way.server_port}")
    way.expected = "ada:secret"
    why = f"HTTP status 407 of the proxy http://127.0.0.1:{way.server_port}"
    await until_told(f"http://{ELSEWHERE}", room, why)
