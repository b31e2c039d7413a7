"""Telling: marks that single instances are told, of all documents together."""

import asyncio
from collections.abc import Callable

from collab import lib0
from collab.server.bus.marks import Mark
from collab.server.bus.numbers import Numbers

_SOON_SECONDS = 0.02
"""How long a mark waits for a change that it can ride on: where many are made one soon follows."""


class Telling:
    """Tells marks to those who wait for them, in one message for each.

    Args:
        send: called with an instance and the marks it is told.
    """

    def __init__(self, send: Callable[[str, bytes], None]) -> None:
        self._send = send
        self._told: dict[str, bytearray] = {}
        self._committed: dict[str, Numbers] = {}

    def tell(self, instance: str, document: str, mark: Mark) -> None:
        """Tells an instance a mark, with all that it is told in this turn."""
        if not self._told:
            asyncio.get_running_loop().call_soon(self._tell_all)
        told = self._told.setdefault(instance, bytearray())
        told += lib0.write_var_string(document) + lib0.write_var_bytes(mark.encoded)

    def tell_writers(self, document: str, numbers: Numbers) -> None:
        """Tells those that write in a document, unless the next change does before."""
        if not numbers.writers():
            return  # As most often where a document's clients come to one instance: no timer.
        if not self._committed:
            asyncio.get_running_loop().call_later(_SOON_SECONDS, self._tell_writers)
        self._committed[document] = numbers

    def _tell_writers(self) -> None:
        committed, self._committed = self._committed, {}
        for document, numbers in committed.items():
            if not numbers.marked:
                for instance in numbers.writers():
                    self.tell(instance, document, numbers.mark(numbers.passed_on))

    def _tell_all(self) -> None:
        all_told, self._told = self._told, {}
        for instance, told in all_told.items():
            self._send(instance, bytes(told))
