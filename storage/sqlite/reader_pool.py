"""ReaderPool: the connections that read a SQLite store."""

import queue
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from collab.errors import StoreError
from collab.storage.sqlite.connection import connect_reader, store_errors

_T = TypeVar("_T")


class ReaderPool:
    """Hands connections to reads, each to one at a time.

    Its methods block and may be called from any thread.

    Args:
        path: absolute path of a store that ``prepare`` has seen.
        size: connections at most; they are opened when needed.
        busy_seconds: how long a read waits for another process's lock.
    """

    def __init__(self, path: Path, *, size: int, busy_seconds: float) -> None:
        self._path = path
        self._size = size
        self._busy_seconds = busy_seconds
        self._closed = False
        # None stands for a connection that is not open yet. The one used last is used next: its
        # page cache is warm.
        self._idle: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    def read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """Calls ``read`` with a connection, once one is free, and returns what it returns."""
        connection = self._idle.get()
        try:
            if self._closed:
                raise StoreError(f"expected {self._path} to be open, got a store that is closed")
            with store_errors(self._path):
                if connection is None:
                    connection = connect_reader(self._path, busy_seconds=self._busy_seconds)
                try:
                    return read(connection)
                except sqlite3.Error:
                    connection.close()
                    connection = None
                    raise
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        """Closes every connection, once it is free; later reads are refused."""
        connections = [self._idle.get() for _ in range(self._size)]
        self._closed = True
        for connection in connections:
            if connection is not None:
                connection.close()
            self._idle.put(None)
