"""What the tests of load run on: one event loop, a store on disk, both transports, real clients."""

from pathlib import Path

import pytest

from tests.e2e.conftest import driver as driver
from tests.e2e.conftest import node_clients as node_clients


@pytest.fixture
def anyio_backend() -> str:
    """What the peers speak through runs on asyncio alone."""
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The file of a store, not made yet."""
    return tmp_path / "collab.db"


@pytest.fixture(params=["native", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    """What carries WebSockets."""
    return str(request.param)
