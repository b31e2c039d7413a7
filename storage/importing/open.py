"""Opens what is to be imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collab.errors import SourceError
from collab.storage.importing.hocuspocus import HocuspocusSource
from collab.storage.importing.leveldb_dump import LevelDumpSource
from collab.storage.importing.pycrdt_store import FileYStoreSource, SQLiteYStoreSource
from collab.storage.importing.source import (
    SQLITE_MAGIC,
    Kind,
    Source,
    reading,
    source_errors,
)
from collab.storage.importing.update_files import UpdateFilesSource


@contextmanager
def open_source(kind: Kind, path: Path, now_ms: int) -> Iterator[Source]:
    """Opens documents that another package keeps, to be read only.

    Args:
        kind: what wrote them.
        path: where they are: a file, or for ``PYCRDT_STORE`` and ``UPDATE`` also a folder.
        now_ms: the time of changes whose source has none, milliseconds since the Unix epoch.

    Raises:
        SourceError: nothing is there, or not what ``kind`` says.
    """
    if not path.exists():
        raise SourceError(f"expected something to import at {path}, got nothing")
    if kind is Kind.HOCUSPOCUS_SQLITE:
        with reading(path, "the database of Hocuspocus") as connection:
            yield HocuspocusSource(connection, now_ms)
    elif kind is Kind.Y_LEVELDB_DUMP:
        yield LevelDumpSource(path, now_ms)
    elif kind is Kind.UPDATE:
        yield UpdateFilesSource(path)
    elif _is_database(path):
        with reading(path, "the database of a SQLiteYStore") as connection:
            yield SQLiteYStoreSource(connection, now_ms)
    else:
        yield FileYStoreSource(path, now_ms)


def _is_database(path: Path) -> bool:
    with source_errors(path, "a file"):
        if path.is_dir():
            return False
        with path.open("rb") as opened:
            return opened.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
