"""Real clients: the Node driver, built where it is not; and what to do where that cannot be."""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.driver import FOLDER, Driver, drive
from tests.e2e.serving import in_ci

_INSTALL_SECONDS = 300


def skip_or_fail(missing: str) -> None:
    """Skips what cannot run here; in CI that is a failure."""
    if in_ci():
        pytest.fail(f"expected {missing} in CI, got none")
    pytest.skip(f"needs {missing}")


@pytest.fixture(scope="session")
def node_clients() -> None:
    """Installs the pinned npm clients where the lock is newer than what is there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip_or_fail("Node 20 with npm")
    installed = FOLDER / "node_modules" / ".package-lock.json"
    lock = FOLDER / "package-lock.json"
    with lock.open() as held:
        # Tests of other processes may want them at the same time.
        fcntl.flock(held, fcntl.LOCK_EX)
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return
        # y-websocket 1 and 2 name a native database for their servers, which clients do without.
        command = ["npm", "ci", "--no-audit", "--no-fund", "--omit=optional"]
        subprocess.run(command, cwd=FOLDER, check=True, timeout=_INSTALL_SECONDS)


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
