"""The fallback through a real proxy that is not told about it, and through one that buffers."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from getpass import getuser
from grp import getgrgid
from pathlib import Path

import httpx
import pytest

from collab.protocol import yjs
from tests.core import poison
from tests.e2e.serving import serve
from tests.needs import find_program
from tests.server.fallback import DEADLINE_SECONDS, FallbackClient
from tests.server.hosts import listen
from tests.server.transports.fallback.serving import APPLIED, READ_WRITE, SHOWS_ITSELF, synced

pytestmark = pytest.mark.anyio

_STOP_SECONDS = 30.0
_PATIENCE_SECONDS = 0.5
_BUFFERS = """
    proxy_buffering on;
    proxy_buffers 8 4k;
    proxy_ignore_headers X-Accel-Buffering;
    gzip on;
    gzip_proxied any;
    gzip_types *;
"""
"""Holds back 4 kB at least, in an answer that goes on, and compresses it."""


@contextmanager
def nginx(folder: Path, upstream: str, location: str = "") -> Iterator[str]:
    """Runs nginx with its defaults before a server; gives its address.

    Args:
        folder: where it keeps its files.
        upstream: the server's address.
        location: more directives.
    """
    program = find_program("nginx")
    with listen() as listener:
        port = listener.getsockname()[1]
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        configuration = folder / "nginx.conf"
        configuration.write_text(f"""
daemon off;
worker_processes 1;
user {getuser()} {getgrgid(os.getgid()).gr_name};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    {paths}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {upstream}; {location} }}
    }}
}}
""")
        # As nginx hands its sockets to its successor: so it listens before it runs.
        environment = {**os.environ, "NGINX": f"{listener.fileno()};"}
        with subprocess.Popen(
            [program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(configuration)],
            pass_fds=[listener.fileno()],
            env=environment,
        ) as process:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(_STOP_SECONDS)


@asynccontextmanager
async def through_nginx(folder: Path, location: str = "") -> AsyncIterator[httpx.AsyncClient]:
    with serve(folder / "collab.db") as server, nginx(folder, server.url, location) as address:
        async with httpx.AsyncClient(base_url=address, timeout=DEADLINE_SECONDS) as http:
            yield http


async def test_streams_pass_nginx_as_it_comes(tmp_path: Path) -> None:
    async with (
        through_nginx(tmp_path) as http,
        FallbackClient(http) as one,
        FallbackClient(http) as two,
    ):
        await synced(one)
        await synced(two)
        await one.say(SHOWS_ITSELF)
        await two.until(SHOWS_ITSELF)
        await one.say(yjs.update(poison.HELLO))
        await two.until(yjs.update(poison.HELLO))
        await one.until(APPLIED)
        await two.cut()
        await two.connect()
        assert two.resumed


async def test_polls_pass_nginx_where_it_holds_streams_back(tmp_path: Path) -> None:
    async with through_nginx(tmp_path, _BUFFERS) as http:
        async with httpx.AsyncClient(base_url=http.base_url, timeout=_PATIENCE_SECONDS) as hasty:
            with pytest.raises(httpx.ReadTimeout):
                await FallbackClient(hasty).connect()
        async with FallbackClient(http, poll=True) as one, FallbackClient(http, poll=True) as two:
            assert await one.frame() == READ_WRITE
            await synced(one)
            await synced(two)
            await one.say(yjs.update(poison.HELLO))
            await two.until(yjs.update(poison.HELLO))
            await one.until(APPLIED)
