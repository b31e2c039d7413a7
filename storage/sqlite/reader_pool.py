"""ReaderPool: the connections that read a SQLite store."""

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from collab.errors import StoreError
from collab.storage.sqlite.connection import connect_reader, store_errors
from collab.storage.sqlite.location import Location

_T = TypeVar("_T")


class ReaderPool:
    """Hands connections to reads, each to one at a time.

    Its methods block and may be called from any thread.

    Args:
        location: where the store is.
        size: connections at most; they are opened when needed.
        busy_seconds: how long a read waits for another process's lock.
    """

    def __init__(self, location: Location, *, size: int, busy_seconds: float) -> None:
        self._location = location
        self._path = location.path
        self._size = size
        self._busy_seconds = busy_seconds
        self._closed = False
        self._pausing = threading.Lock()
        # None stands for a connection that is not open yet. The one used last is used next: its
        # page cache is warm.
        self._idle: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    def read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """Calls ``read`` with a connection, once one is free, and returns what it returns.

        Raises:
            StoreUnavailable: a passing failure; a new connection is needed, and not all files are
                where they were opened, among them.
        """
        connection = self._idle.get()
        try:
            if self._closed:
                raise StoreError(f"expected {self._path} to be open, got a store that is closed")
            with store_errors(self._path):
                if connection is None:
                    # It would find another log beside the memory that others here have open.
                    lost = self._location.look()
                    if lost is not None:
                        raise self._location.unavailable(lost)
                    connection = connect_reader(self._path, busy_seconds=self._busy_seconds)
                try:
                    return read(connection)
                except sqlite3.Error:
                    connection.close()
                    connection = None
                    raise
        finally:
            self._idle.put(connection)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Closes every connection, once it is free; reads wait for the end, and open others."""
        with self._pausing:  # Two who have a part each would wait for each other.
            connections = [self._idle.get() for _ in range(self._size)]
            try:
                for connection in connections:
                    if connection is not None:
                        connection.close()
                yield
            finally:
                for _ in connections:
                    self._idle.put(None)

    def close(self) -> None:
        """Closes every connection, once it is free; later reads are refused."""
        self._closed = True
        with self.paused():
            pass
