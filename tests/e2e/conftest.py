"""Real clients: the Node driver, built where it is not; and what to do where that cannot be."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.driver import Driver, drive
from tests.clients.installation import install
from tests.e2e.serving import in_ci


def skip_or_fail(missing: str) -> None:
    """Skips what cannot run here; in CI that is a failure."""
    if in_ci():
        pytest.fail(f"expected {missing} in CI, got none")
    pytest.skip(f"needs {missing}")


@pytest.fixture(scope="session")
def node_clients() -> None:
    """Installs the npm clients, where that is to be done."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip_or_fail("Node 20 with npm")
    install()


@pytest.fixture
def driver(node_clients: None) -> Iterator[Driver]:
    """A Node process for clients of one test."""
    with drive() as driver:
        yield driver


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The file of a store, not made yet."""
    return tmp_path / "collab.db"


@pytest.fixture(params=["native", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    """What carries WebSockets."""
    return str(request.param)
