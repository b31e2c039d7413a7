"""Workers: several processes that serve one address, and the parent that looks after them."""

import gc
import heapq
import logging
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from random import Random
from types import FrameType
from typing import NoReturn

from collab.errors import CollabError, WorkerFailed
from collab.server.cli.hangups import heed_hangups, ignore_hangups

logger = logging.getLogger("collab")

_BASE_SECONDS = 0.5
_MOST_SECONDS = 30.0
"""Bounds of the wait before a worker that died is started again; see ``_pause``."""
_STEADY_SECONDS = 60.0
"""A worker that has served for so long did not die of its start."""

_READY = b"\0"
"""What a worker says when it serves; anything else is why it does not."""
_SAID_BYTES = 4096
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_HEEDED = (*_STOPPING, signal.SIGCHLD)
_HELD_BACK = (*_HEEDED, signal.SIGHUP)


class Post:
    """A worker's place, as the worker sees it.

    Attributes:
        number: which worker it is, from 1 on.
        parent: descriptor that can be read once the parent is gone.
    """

    def __init__(self, number: int, parent: int, pipe: int) -> None:
        self.number = number
        self.parent = parent
        self._pipe = pipe

    def ready(self) -> None:
        """Says that it serves."""
        os.write(self._pipe, _READY)


Work = Callable[[Post], None]
"""Runs one worker, in a process of its own, until it is told to stop."""


class _Worker:
    """A worker, as the parent sees it."""

    def __init__(self, number: int, pid: int, pipe: int) -> None:
        self.number = number
        self.pid = pid
        self.pipe = pipe
        self.began = time.monotonic()
        self._said = b""

    @property
    def ready(self) -> bool:
        """Whether it serves, or has served."""
        return self._said.startswith(_READY)

    def listen(self) -> None:
        """Takes in what it says, where it has said something."""
        if select.select([self.pipe], [], [], 0)[0]:
            self._said += os.read(self.pipe, _SAID_BYTES)

    def part(self) -> str:
        """Returns why it has ended, as far as it could say so; nothing more is heard of it."""
        self.listen()
        os.close(self.pipe)
        return self._said.removeprefix(_READY).decode(errors="replace")


class Workers:
    """The parent of worker processes.

    The first worker goes ahead, for it may have to make the store or to migrate it; the others
    follow once it serves. Where one of them ends before all have served, all end. From then on a
    worker that ends is replaced: at once where it ended in order, after a pause where it died.

    The parent has no event loop and no thread, so that it can fork; it serves nobody.

    Args:
        size: how many workers there are.
        work: what each of them does.
        opened: called once, when all of them serve.
    """

    def __init__(self, size: int, work: Work, opened: Callable[[], None]) -> None:
        self._size = size
        self._work = work
        self._opened: Callable[[], None] | None = opened
        self._workers: dict[int, _Worker] = {}
        self._deaths = [0] * (size + 1)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._dice = Random()
        self._stopping = False
        self._failure: WorkerFailed | None = None
        self._wake, self._woken = socket.socketpair()
        # Workers wait for the end of the one; nobody else has the other.
        self._life, self._lifeline = os.pipe()

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Calls ``call`` in ``seconds``, unless the workers stop before."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), call))

    def run(self) -> None:
        """Runs the workers until SIGTERM, SIGHUP or Ctrl-C; a second one but SIGHUP kills them.

        Raises:
            WorkerFailed: one of them did not start, or did not end in order.
        """
        # What the collector never looks at is never written to, and stays one copy for all: it is a
        # third of the memory of four workers.
        gc.collect()
        gc.freeze()
        with self._heeding_signals():
            self._start(1)
            while self._workers or not self._stopping:
                self._wait()
                self._read_signals()
                # What the dead have said is in their pipes: they are heard before they are buried.
                dead = self._reap()
                self._greet()
                self._bury(dead)
                while not self._stopping and self._due and self._due[0][0] <= time.monotonic():
                    heapq.heappop(self._due)[2]()
        if self._failure is not None:
            raise self._failure

    def _wait(self) -> None:
        """Waits for a signal, for a word of a worker, or for what is due."""
        seconds = None
        if self._due and not self._stopping:
            seconds = max(0.0, self._due[0][0] - time.monotonic())
        starting = [worker.pipe for worker in self._workers.values() if not worker.ready]
        select.select([self._woken.fileno(), *starting], [], [], seconds)

    def _read_signals(self) -> None:
        try:
            received = self._woken.recv(256)
        except BlockingIOError:
            return
        for number in received:
            if number not in _STOPPING:
                continue
            if self._stopping:
                self._signal(signal.SIGKILL)
                sys.exit(128 + number)
            ignore_hangups()
            self._stop()

    def _greet(self) -> None:
        """Takes note of workers that have come to serve."""
        for worker in self._workers.values():
            if not worker.ready:
                worker.listen()
        if self._opened is None or self._stopping:
            return
        serving = sum(worker.ready for worker in self._workers.values())
        if serving == self._size:
            opened, self._opened = self._opened, None
            opened()
        elif serving == len(self._workers) == 1:
            for number in range(2, self._size + 1):
                self._start(number)

    def _reap(self) -> dict[int, int]:
        """Returns the exit codes of workers that have ended, by their process ids."""
        statuses = (os.waitpid(pid, os.WNOHANG) for pid in self._workers)
        return {pid: os.waitstatus_to_exitcode(status) for pid, status in statuses if pid}

    def _bury(self, dead: Mapping[int, int]) -> None:
        """Takes note of workers that have ended."""
        # All are taken out first: a process id that was reaped must not be sent a signal.
        for worker, code in [(self._workers.pop(pid), code) for pid, code in dead.items()]:
            self._replace(worker, code)

    def _replace(self, worker: _Worker, code: int) -> None:
        ending = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        why = worker.part() or ending
        if self._stopping:
            if code != 0 and self._failure is None and worker.ready:
                self._failure = WorkerFailed(
                    f"expected worker {worker.number} to end in order, got: {why}"
                )
            return
        if self._opened is not None:
            self._failure = WorkerFailed(f"worker {worker.number} did not start: {why}")
            self._stop()
            return
        if code == 0 and worker.ready:
            self._deaths[worker.number] = 0
            self._start(worker.number)
            return
        if time.monotonic() - worker.began > _STEADY_SECONDS:
            self._deaths[worker.number] = 0
        seconds = self._pause(self._deaths[worker.number])
        self._deaths[worker.number] += 1
        logger.error("worker %d died: %s; another in %.1f s", worker.number, why, seconds)
        self.call_later(seconds, lambda: self._start(worker.number))

    def _pause(self, deaths: int) -> float:
        """How long to wait after so many deaths in a row: exponential backoff with full jitter.

        See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
        """
        most: float = min(_MOST_SECONDS, _BASE_SECONDS * 2 ** min(deaths, 16))
        return self._dice.uniform(0, most)

    def _stop(self) -> None:
        self._stopping = True
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, number)  # None is another's: nobody else waits for them.

    def _start(self, number: int) -> None:
        """Forks a worker."""
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal must not find the child with the parent's handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                self._become(Post(number, self._life, writing), writing)
            os.close(writing)
            self._workers[pid] = _Worker(number, pid, reading)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)

    def _become(self, post: Post, pipe: int) -> NoReturn:
        """Is a worker, in its process, and nothing else any more."""
        code = 1
        try:
            os.close(self._lifeline)
            signal.set_wakeup_fd(-1)
            self._wake.close()
            self._woken.close()
            for worker in self._workers.values():
                os.close(worker.pipe)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # Ctrl-C and SIGHUP go to all processes of a terminal; the parent passes them on.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            ignore_hangups()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
            self._work(post)
            code = 0
        except CollabError as error:
            os.write(pipe, str(error).encode())
        except BaseException:  # noqa: BLE001 - above is the parent's code, which must not go on here
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """Has signals wake the parent up, instead of doing what they do otherwise."""
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        before = {number: signal.signal(number, _take_note) for number in _HEEDED}
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        heed_hangups()
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, action in before.items():
                signal.signal(number, action)
            self._wake.close()
            self._woken.close()
            os.close(self._life)
            os.close(self._lifeline)


def _take_note(number: int, frame: FrameType | None) -> None:
    """Does nothing: the signal's number is read from the socket it wakes the parent by."""
