"""Commits: how often instances have committed to their store, as their metrics say."""

import re
import urllib.request
from collections.abc import Sequence
from typing import Final

_COUNT: Final = re.compile(rb"^collab_commit_seconds_count (\S+)$", re.MULTILINE)
_ANSWER_SECONDS: Final = 10.0


class Commits:
    """Counts the commits of instances.

    Args:
        ports: where they listen, on this machine.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports

    def read(self) -> int:
        """Returns how many there were so far; servers that do not count them have made none.

        Raises:
            OSError: an instance does not answer.
        """
        return sum(map(self._read_one, self._ports))

    def _read_one(self, port: int) -> int:
        page = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(page, timeout=_ANSWER_SECONDS) as answer:
            return counted(answer.read())


def counted(page: bytes) -> int:
    """Reads the number of commits out of a page of metrics."""
    return sum(int(float(number)) for number in _COUNT.findall(page))
