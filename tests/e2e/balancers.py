"""Real balancers before several servers, set up by the very text of the documentation."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from getpass import getuser
from grp import getgrgid
from pathlib import Path

from tests.docs.pages import DOCS, blocks
from tests.needs import find_program
from tests.server.hosts import listen

_PAGE = DOCS / "how-to" / "several-servers.md"
_STOP_SECONDS = 30.0

Balancer = Callable[[Path, Sequence[int]], AbstractContextManager[int]]
"""Runs a balancer with files in a folder before servers on ports; gives its own port."""


@contextmanager
def nginx(folder: Path, servers: Sequence[int]) -> Iterator[int]:
    """Runs nginx as the page has it."""
    program = find_program("nginx")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    with listen() as listener:
        port = listener.getsockname()[1]
        page = _before("nginx", servers).replace("listen 80;", f"listen 127.0.0.1:{port};")
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"daemon off; worker_processes 1; pid {folder}/nginx.pid;\n"
            f"user {getuser()} {getgrgid(os.getgid()).gr_name};\n"
            f"error_log {folder}/error.log; events {{ }}\n"
            f"http {{ access_log off; {paths}\n{page}\n}}\n"
        )
        command = [program, "-p", str(folder), "-e", f"{folder}/error.log"]
        # As nginx hands its sockets to its successor: so it listens before it runs.
        with _running(
            [*command, "-c", str(configuration)],
            listener.fileno(),
            {"NGINX": f"{listener.fileno()};"},
        ):
            yield port


@contextmanager
def haproxy(folder: Path, servers: Sequence[int]) -> Iterator[int]:
    """Runs HAProxy as the page has it."""
    program = find_program("haproxy")
    with listen() as listener:
        page = _before("haproxy", servers).replace("bind :80", f"bind fd@{listener.fileno()}")
        configuration = folder / "haproxy.cfg"
        configuration.write_text(page)
        with _running([program, "-db", "-q", "-f", str(configuration)], listener.fileno(), {}):
            yield listener.getsockname()[1]


BALANCERS: dict[str, Balancer] = {"nginx": nginx, "haproxy": haproxy}


def _before(language: str, servers: Sequence[int]) -> str:
    """The page's example, with these servers in the place of those it names."""
    (example,) = blocks(_PAGE, language)
    for number, port in enumerate(servers, 1):
        named = f"10.0.0.{number}:8000"
        assert named in example
        example = example.replace(named, f"127.0.0.1:{port}")
    assert "10.0.0." not in example
    return example


@contextmanager
def _running(command: Sequence[str], listener: int, environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(
        command, pass_fds=[listener], env={**os.environ, **environment}
    ) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)
