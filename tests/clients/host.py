"""Processes that host clients, and calls to them."""

import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
WITHIN_SECONDS = 30.0
"""How long anything may take that should take moments; the machine may be busy."""


class Host:
    """A process that hosts clients. Calls may come from any thread and wait side by side."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._numbers = count()
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()

    def begin(self, on: int | None, call: str, **arguments: object) -> "Future[Any]":
        """Makes a call and returns its outcome to be."""
        outcome: Future[Any] = Future()
        assert self.process.stdin is not None
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = outcome
            request = {"id": number, "on": on, "call": call, "arguments": arguments}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return outcome

    def call(
        self, on: int | None, call: str, *, within: float = WITHIN_SECONDS, **arguments: object
    ) -> Any:
        """Makes a call and waits for its outcome.

        Raises:
            AssertionError: it failed, or took longer than ``within`` seconds.
        """
        outcome = self.begin(on, call, **arguments)
        try:
            return outcome.result(within)
        except TimeoutError:
            what = f"{call} of {on}" if on is not None else call
            raise AssertionError(f"expected {what} within {within:g} s, got nothing") from None

    def read(self) -> None:
        """Takes in outcomes until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            outcome = self._waiting.pop(answer["id"])
            if "error" in answer:
                outcome.set_exception(AssertionError(answer["error"]))
            else:
                outcome.set_result(answer["result"])
        for outcome in self._waiting.values():
            outcome.set_exception(AssertionError("expected an outcome, got the end of the host"))


@contextmanager
def run(*command: str) -> Iterator[Host]:
    """Runs such a process, from the root of the repository."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    ) as process:
        host = Host(process)
        reader = threading.Thread(target=host.read, name="host")
        reader.start()
        try:
            yield host
        finally:
            process.kill()
            reader.join()
