"""Servers that are attacked: in processes of their own, so that their memory can be measured."""

import resource
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(params=["native", "asgi"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server with all its defaults, for one attack.

    It works on what it was sent after the attack is over: rooms stay for a while, checkpoints come
    seconds later. The next attack would be taken to cost what this one does.
    """
    with serve(tmp_path / "collab.db", transport=request.param) as server:
        yield server


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Server]:
    """The same; its transport is ours down to the frames, where Hypercorn's are its own."""
    with serve(tmp_path / "collab.db") as server:
        yield server
