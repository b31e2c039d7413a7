"""What pycrdt-store keeps: the database of SQLiteYStore, and the files of FileYStore.

Both hold updates with the time they were written, and metadata of the application's own, which has
no meaning here. Source: https://github.com/y-crdt/pycrdt-store (sqlite.py, file.py), version 2.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from sqlite3 import Connection

from collab import lib0
from collab.errors import ProtocolError, SourceError
from collab.storage.importing.source import named_files, source_errors
from collab.store import NewEntry

_VERSION = 2
_HEADER = b"VERSION:"
_YEAR_10000 = 253_402_300_800
"""Seconds since the Unix epoch at which dates end."""


class SQLiteYStoreSource:
    """The database of a SQLiteYStore.

    Args:
        connection: to the database.
        now_ms: the time of what has none, milliseconds since the Unix epoch.

    Raises:
        SourceError: the tables are not those of pycrdt-store.
    """

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows}
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if "yupdates" not in tables or version != _VERSION:
            raise SourceError(
                f"expected the tables of pycrdt-store, version {_VERSION}, got version {version} "
                f"and {', '.join(sorted(tables)) or 'no tables'}"
            )
        self._has_checkpoints = "ycheckpoints" in tables

    def names(self) -> Sequence[str]:
        """The paths of the documents; see ``Source.names``."""
        union = " UNION SELECT path FROM ycheckpoints" if self._has_checkpoints else ""
        rows = self._connection.execute(f"SELECT path FROM yupdates{union} ORDER BY path")
        return list(dict.fromkeys(name for (name,) in rows))

    def changes(self, name: str) -> Iterator[NewEntry]:
        """Reads a document's updates, and its checkpoint last; see ``Source.changes``.

        A checkpoint brings nothing new, unless the store has squashed updates and lost some.
        """
        rows = self._connection.execute(
            "SELECT yupdate, timestamp FROM yupdates WHERE path = ? ORDER BY timestamp, rowid",
            (name,),
        )
        for row in rows:
            yield self._change(*row)
        if self._has_checkpoints:
            checkpoints = self._connection.execute(
                "SELECT checkpoint, timestamp FROM ycheckpoints WHERE path = ?", (name,)
            )
            for row in checkpoints:
                yield self._change(*row)

    def _change(self, update: object, seconds: object) -> NewEntry:
        return NewEntry(
            update=update if isinstance(update, bytes) else b"",
            time_ms=_milliseconds(seconds, self._now_ms),
        )


class FileYStoreSource:
    """The files of FileYStore or TempFileYStore: one a document, named by its path.

    Args:
        path: a folder, or one file.
        now_ms: the time of what has none, milliseconds since the Unix epoch.

    Raises:
        SourceError: there are no such files.
    """

    def __init__(self, path: Path, now_ms: int) -> None:
        self._now_ms = now_ms
        with source_errors(path, "files of a FileYStore"):
            found = named_files(path, path.name)
            self._files = {name: file for name, file in found.items() if _is_ours(file)}
        if not self._files:
            raise SourceError(f"expected files of pycrdt-store at {path}, got none")

    def names(self) -> Sequence[str]:
        """The paths of the files; see ``Source.names``."""
        return list(self._files)

    def changes(self, name: str) -> Iterator[NewEntry]:
        """Reads a file; one that ends in the middle of an update ends in a change that is none."""
        path = self._files[name]
        with source_errors(path, "a file of a FileYStore"):
            header, _, content = path.read_bytes().partition(b"\n")
        if header != _HEADER + b"%d" % _VERSION:
            raise SourceError(f"expected version {_VERSION} of a FileYStore in {path}")
        position = 0
        while position < len(content):
            time_ms = self._now_ms
            begin = position
            try:
                update, position = lib0.read_var_bytes(content, position)
            except ProtocolError:
                yield NewEntry(update=content[begin:], time_ms=time_ms)
                return
            try:
                _, position = lib0.read_var_bytes(content, position)
                packed, position = lib0.read_var_bytes(content, position)
                time_ms = _milliseconds(struct.unpack("<d", packed)[0], self._now_ms)
            except (ProtocolError, struct.error):
                position = len(content)  # The update is whole, what should follow is not.
            yield NewEntry(update=update, time_ms=time_ms)


def _milliseconds(seconds: object, now_ms: int) -> int:
    """A time that was written down, or now where it is none that a calendar has."""
    if isinstance(seconds, (int, float)) and 0 <= seconds < _YEAR_10000:
        return round(seconds * 1000)
    return now_ms


def _is_ours(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_HEADER)) == _HEADER
