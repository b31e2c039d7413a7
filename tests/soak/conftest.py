"""What a soak runs on: one event loop, a store on disk, real clients."""

from pathlib import Path

import pytest

from tests.e2e.conftest import driver as driver
from tests.e2e.conftest import node_clients as node_clients


@pytest.fixture
def anyio_backend() -> str:
    """The network runs on asyncio alone."""
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The file of a store, not made yet."""
    return tmp_path / "collab.db"
