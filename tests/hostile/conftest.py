"""Servers that are attacked: in processes of their own, so that their memory can be measured."""

import resource
from collections.abc import Iterator

import pytest

from tests.e2e.serving import Server, serve


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def many_files() -> Iterator[int]:
    """Raises the soft limit on open files as far as the machine allows; servers inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module", params=["native", "asgi"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with all its defaults; attacks come one after the other."""
    store = tmp_path_factory.mktemp("attacked") / "collab.db"
    with serve(store, transport=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose transport is ours down to the frames; Hypercorn's are its own."""
    with serve(tmp_path_factory.mktemp("native") / "collab.db") as server:
        yield server
