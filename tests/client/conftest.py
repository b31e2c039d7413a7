"""What the client's tests run on: both event loops, a real server for many documents."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.serving import Server, serve

_NUMBERS = count(1)


@pytest.fixture(scope="session", params=["native", "asgi"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that lets anyone do anything, with each transport."""
    store = tmp_path_factory.mktemp("client") / "collab.db"
    with serve(store, transport=str(request.param)) as running:
        yield running


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loops that the client runs on."""
    return str(request.param)


@pytest.fixture
def room() -> str:
    """The name of a document that nobody has used."""
    return f"client/{next(_NUMBERS)}"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The file of a store, not made yet."""
    return tmp_path / "collab.db"
