"""Origins: which web pages are let in."""

import pytest
from starlette.requests import HTTPConnection

from collab.errors import HostRefused, OriginRefused, SettingsError
from collab.server.app import Collab
from collab.server.auth.origins import Origins
from collab.storage.memory import MemoryStore


def request(origin: str | None, host: str = "docs.example") -> HTTPConnection:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return HTTPConnection({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "docs.example"),
        ("https://docs.example", "docs.example"),
        ("https://docs.example", "docs.example:443"),
        ("http://docs.example", "docs.example:80"),
        ("http://DOCS.example", "docs.EXAMPLE"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_pages_of_the_server_s_own_are_let_in(origin: str | None, host: str) -> None:
    Origins().check(request(origin, host))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "docs.example"),
        ("https://docs.example.evil.example", "docs.example"),
        ("https://evil.example/docs.example", "docs.example"),
        ("https://docs.example@evil.example", "docs.example"),
        ("http://localhost:5173", "localhost:8000"),
        ("https://docs.example:8443", "docs.example"),
        ("http://127.0.0.1:8000", "localhost:8000"),
        ("null", "docs.example"),
        ("", "docs.example"),
        ("", ""),
        ("null", ""),
        ("https://", ""),
        ("http://[", "["),
        ("http://x:99999999", "x:99999999"),
    ],
)
def test_pages_from_elsewhere_are_refused(origin: str, host: str) -> None:
    with pytest.raises(OriginRefused) as caught:
        Origins(["https://app.example"]).check(request(origin, host))
    assert caught.value.origin == origin


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://app.example", "https://app.example"),
        ("https://App.Example:443", "https://app.example"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("*", "https://anything.example"),
        ("*", "null"),
        ("null", "null"),
    ],
)
def test_listed_pages_are_let_in(allowed: str, origin: str) -> None:
    Origins([allowed]).check(request(origin))


@pytest.mark.parametrize(
    "text",
    ["", "app.example", "https://app.example/", "https://", "https://a@b", "http://a:b", "x"],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected an origin such as"):
        Origins([text])


def test_a_text_in_place_of_a_list_is_refused_as_a_whole() -> None:
    with pytest.raises(SettingsError, match=r"expected a list of origins .*, got 'https://x'"):
        Collab(MemoryStore(), allow_origins="https://x")


def test_each_refused_page_is_logged_once_and_a_flood_of_them_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    origins = Origins()
    for number in range(1000):
        for _ in range(2):
            with pytest.raises(OriginRefused):
                origins.check(request(f"https://{number}.example"))
    assert len(caplog.records) == 100
    assert "https://0.example" in caplog.records[0].message


class TestLocalOnly:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "localhost:8000",
            "LOCALHOST:8000",
            "notes.localhost:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "192.168.1.2",
            "listed.example",
            "listed.example:8443",
        ],
    )
    def test_names_that_lead_nowhere_else_are_answered(self, host: str) -> None:
        origins = Origins(["https://listed.example"], local_only=True)
        origins.check_host(request(None, host))
        origins.check(request(f"http://{host}", host))

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[", "a@b:c"]
    )
    def test_a_page_that_has_its_name_lead_here_is_refused(self, host: str) -> None:
        origins = Origins(local_only=True)
        for origin in (None, f"http://{host}"):
            with pytest.raises(HostRefused) as caught:
                origins.check(request(origin, host))
            assert caught.value.host == host

    def test_where_all_pages_may_come_every_name_is_answered(self) -> None:
        Origins(["*"], local_only=True).check(request("http://evil.example", "evil.example"))

    def test_elsewhere_every_name_is_answered(self) -> None:
        Origins().check_host(request(None, "docs.example"))
