"""Source: documents that another package keeps, as they are imported."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from collab.errors import SourceError
from collab.store import NewEntry

SQLITE_MAGIC = b"SQLite format 3\0"


class Kind(StrEnum):
    """What wrote a source."""

    PYCRDT_STORE = "pycrdt-store"
    HOCUSPOCUS_SQLITE = "hocuspocus-sqlite"
    Y_LEVELDB_DUMP = "y-leveldb-dump"
    UPDATE = "update"


class Source(Protocol):
    """Documents that another package keeps. It is read only, and names nothing it lacks."""

    def names(self) -> Sequence[str]:
        """The documents' names as they stand there, in a steady order; not all can be ours.

        Raises:
            SourceError: it cannot be read.
        """
        ...

    def changes(self, name: str) -> Iterator[NewEntry]:
        """Reads what is stored of a document, in order; nothing of it is checked.

        Raises:
            SourceError: it cannot be read.
        """
        ...


@contextmanager
def source_errors(path: Path, expected: str) -> Iterator[None]:
    """Turns what goes wrong with a file into ``SourceError``.

    Args:
        path: the file.
        expected: what it should be.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise SourceError(f"expected {expected} in {path}, got: {error}") from error
    except OSError as error:
        raise SourceError(f"expected {path} to be readable, got: {error.strerror}") from error


@contextmanager
def reading(path: Path, expected: str) -> Iterator[sqlite3.Connection]:
    """Opens somebody else's SQLite file for reading, as it is at one moment.

    Args:
        path: the file.
        expected: what it should be.

    Raises:
        SourceError: it cannot be read.
    """
    location = f"file:{quote(str(path.absolute()))}?mode=ro"
    with (
        source_errors(path, expected),
        closing(sqlite3.connect(location, uri=True, isolation_level=None)) as connection,
    ):
        # Names that are no UTF-8 must not end everything: they are refused one by one.
        connection.text_factory = lambda text: text.decode(errors="surrogateescape")
        connection.execute("BEGIN")
        yield connection


def named_files(path: Path, name: str) -> dict[str, Path]:
    """The files at a path by name: all below a folder, or the one it is itself.

    Args:
        path: a folder or a file.
        name: the name of a file that stands alone.

    Raises:
        SourceError: there is neither.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return {file.relative_to(path).as_posix(): file for file in files}
    return {name: path}
