"""What y-leveldb keeps, as lines of JSON that ``docs/how-to/y-leveldb-dump.mjs`` writes.

LevelDB is read by its own library alone. One object a line, the update in base64::

    {"key": ["v1", "notes", "update", 0], "value": "AAEB..."}

Updates of a document are in order of the number at the end of the key. Other keys (state vectors,
metadata) are passed over.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from collab.errors import SourceError
from collab.storage.importing.source import source_errors
from collab.store import NewEntry


class LevelDumpSource:
    """A dump of y-leveldb. Where each document's lines are is kept, their updates are not.

    Args:
        path: the file.
        now_ms: the time the updates are given, milliseconds since the Unix epoch.

    Raises:
        SourceError: it is not such a file.
    """

    def __init__(self, path: Path, now_ms: int) -> None:
        self._path = path
        self._now_ms = now_ms
        self._offsets: dict[str, list[tuple[int, int]]] = {}
        offset = 0
        with source_errors(path, "lines of JSON"), path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    self._index(line, number, offset)
                offset += len(line)
        for places in self._offsets.values():
            places.sort()

    def names(self) -> Sequence[str]:
        """The documents' names; see ``Source.names``."""
        return list(self._offsets)

    def changes(self, name: str) -> Iterator[NewEntry]:
        """Reads a document's updates; see ``Source.changes``."""
        with source_errors(self._path, "lines of JSON"), self._path.open("rb") as lines:
            for _, offset in self._offsets[name]:
                lines.seek(offset)
                value = json.loads(lines.readline()).get("value")
                yield NewEntry(update=_update(value), time_ms=self._now_ms)

    def _index(self, line: bytes, number: int, offset: int) -> None:
        try:
            match json.loads(line):
                case {"key": ["v1", str(name), "update", int(clock)]}:
                    self._offsets.setdefault(name, []).append((clock, offset))
                    return
                case {"key": list()}:
                    return
        except (ValueError, RecursionError):
            pass
        raise SourceError(f"expected a key and a value in line {number} of {self._path}")


def _update(value: object) -> bytes:
    """The update of a line; nothing, which is refused as such, where it has none."""
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except ValueError:
        return b""
