"""The built demo, as browsers ask for it."""

import gzip
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from collab.server.http.demo import demo_routes

pytestmark = pytest.mark.anyio

PAGE = "<!doctype html><title>collab</title>"
SCRIPT = "export const words = 'many of them';\n" * 50


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What a build leaves: each file with a packed copy, but for those of no build."""
    (tmp_path / "assets").mkdir()
    for name, content in {"index.html": PAGE, "assets/index-Ab1.js": SCRIPT}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    (tmp_path / "icon.svg").write_text("<svg/>")
    return tmp_path


def asking(directory: Path) -> httpx.AsyncClient:
    app = Starlette(routes=demo_routes(directory))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collab.test")


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [("/", PAGE, "text/html"), ("/assets/index-Ab1.js", SCRIPT, "text/javascript")],
)
async def test_who_takes_packed_files_gets_them_and_everybody_the_same_content(
    built: Path, path: str, content: str, kind: str
) -> None:
    async with asking(built) as client:
        packed = await client.get(path, headers={"Accept-Encoding": "br, gzip"})
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.text == plain.text == content
    for answer in (packed, plain):
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["Content-Type"].startswith(kind)
    assert packed.headers["ETag"] != plain.headers["ETag"]


@pytest.mark.parametrize("accepted", ["gzip;q=0", "br, gzip; q=0.000", "xgzip", ""])
async def test_who_declines_packed_files_gets_none(built: Path, accepted: str) -> None:
    async with asking(built) as client:
        answer = await client.get("/", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.text == PAGE


@pytest.mark.parametrize("accepted", ["gzip;q=0.5", "br;q=0, GZIP", "identity;q=0.1, gzip; q=1"])
async def test_who_takes_packed_files_too_gets_them(built: Path, accepted: str) -> None:
    async with asking(built) as client:
        answer = await client.get("/", headers={"Accept-Encoding": accepted})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.text == PAGE


async def test_a_packed_file_that_a_browser_has_is_not_sent_again(built: Path) -> None:
    async with asking(built) as client:
        first = await client.get("/")
        again = await client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_only_what_is_named_after_its_content_is_kept_wherever_it_is_mounted(
    built: Path,
) -> None:
    app = Starlette(routes=[Mount("/assets/collab", routes=demo_routes(built))])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://collab.test") as client:
        page = await client.get("/assets/collab/")
        script = await client.get("/assets/collab/assets/index-Ab1.js")
    assert page.headers["Cache-Control"] == "no-cache"
    assert "immutable" in script.headers["Cache-Control"]


async def test_a_file_without_a_packed_copy_is_sent_as_it_is(built: Path) -> None:
    async with asking(built) as client:
        answer = await client.get("/icon.svg")
    assert "Content-Encoding" not in answer.headers
    assert answer.text == "<svg/>"
