"""What Hocuspocus' SQLite extension keeps: each document's newest whole state, and no history.

Source: https://github.com/ueberdosis/hocuspocus (packages/extension-sqlite/src/SQLite.ts).
"""

from collections.abc import Iterator, Sequence
from sqlite3 import Connection

from collab.errors import SourceError
from collab.store import NewEntry


class HocuspocusSource:
    """The database of ``@hocuspocus/extension-sqlite``, with the schema it makes by itself.

    Args:
        connection: to the database.
        now_ms: the time the states are given, milliseconds since the Unix epoch.

    Raises:
        SourceError: the table is not there.
    """

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms
        columns = {row[1] for row in connection.execute("PRAGMA table_info(documents)")}
        if not columns >= {"name", "data"}:
            raise SourceError(
                "expected Hocuspocus' table documents (name, data), "
                f"got {', '.join(sorted(columns)) or 'no such table'}"
            )

    def names(self) -> Sequence[str]:
        """The documents' names; see ``Source.names``."""
        rows = self._connection.execute("SELECT name FROM documents ORDER BY name")
        return [name for (name,) in rows]

    def changes(self, name: str) -> Iterator[NewEntry]:
        """Reads a document's state; see ``Source.changes``."""
        rows = self._connection.execute("SELECT data FROM documents WHERE name = ?", (name,))
        for (state,) in rows:
            update = state if isinstance(state, bytes) else b""
            yield NewEntry(update=update, time_ms=self._now_ms)
