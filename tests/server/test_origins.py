"""Origins: which web pages are let in."""

import pytest
from starlette.requests import HTTPConnection

from collab.errors import OriginRefused, SettingsError
from collab.server.origins import Origins


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
