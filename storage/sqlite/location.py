"""Location: whether the files that SQLite has open are still those that their names lead to.

A file that is removed, or replaced by another one, stays what whoever has it open reads and writes:
SQLite would commit into it as before, and it is gone with the process
(https://www.sqlite.org/howtocorrupt.html, section 4.2).
"""

import os
import time
from enum import Enum
from pathlib import Path

from collab.errors import StoreUnavailable

_LOOK_NS = 1_000_000_000
"""After this long it looks at the files, whatever their folder says."""

_TICK_NS = 50_000_000
"""Two changes of a folder this close to each other may have the same time."""

_Inode = tuple[int, int]


class Lost(Enum):
    """What is not what SQLite has open any more."""

    REMOVED = "removed"
    """The file: there is none in its place."""
    REPLACED = "replaced"
    """The file: there is another one in its place."""
    LOG = "-wal"
    """The write-ahead log beside the file."""
    INDEX = "-shm"
    """The memory that readers and writers of the log share, alone."""

    @property
    def is_file(self) -> bool:
        """Whether it is the file itself."""
        return self in (Lost.REMOVED, Lost.REPLACED)


class Location:
    """Where a store's files are. Looking costs one ``stat`` as long as nothing in the folder moves.

    Args:
        path: absolute path of a store that ``prepare`` has seen.

    Raises:
        StoreUnavailable: it is not there any more.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        real = path.resolve()  # SQLite names what is beside a file after what a link points to.
        self._folder = real.parent
        self._names = {
            beside: real.with_name(real.name + beside.value) for beside in (Lost.LOG, Lost.INDEX)
        }
        self._beside: dict[Lost, _Inode | None] = {}
        self._file = _inode(path)
        self._folder_seen: tuple[int, int, int] | None = None
        self._looked_ns = 0
        if self._file is None:
            raise self.unavailable(Lost.REMOVED)

    def note(self) -> None:
        """Takes what is beside the file for what a connection that was just made has open."""
        self._beside = {beside: _inode(name) for beside, name in self._names.items()}
        self._folder_seen = None

    def forget(self) -> None:
        """That connection is closed: what is beside the file may go with the last one."""
        self._beside = {}

    def lost(self) -> Lost | None:
        """Looks whether everything is where it was opened.

        Raises:
            StoreUnavailable: it cannot be looked at.
        """
        now_ns = time.time_ns()
        try:
            folder = self._folder.stat()
        except OSError:
            return self.look()
        seen = (folder.st_dev, folder.st_ino, folder.st_mtime_ns)
        if seen == self._folder_seen and 0 <= now_ns - self._looked_ns < _LOOK_NS:
            return None
        lost = self.look()
        settled = lost is None and now_ns - folder.st_mtime_ns > _TICK_NS
        self._folder_seen = seen if settled else None
        self._looked_ns = now_ns
        return lost

    def look(self) -> Lost | None:
        """The same, at the files themselves.

        Raises:
            StoreUnavailable: they cannot be looked at.
        """
        try:
            found = _inode(self.path)
            if found != self._file:
                return Lost.REMOVED if found is None else Lost.REPLACED
            for beside, opened in self._beside.items():
                if opened is None or _inode(self._names[beside]) != opened:
                    return beside
        except OSError as error:
            raise StoreUnavailable(
                f"expected {self.path} to be available, got: {error.strerror}"
            ) from error
        return None

    def unavailable(self, lost: Lost) -> StoreUnavailable:
        """Tells what is lost."""
        if not lost.is_file:
            what = f"expected {self._names[lost]} to stay there, got none: it was removed"
        else:
            got = "none: it was removed" if lost is Lost.REMOVED else "another one in its place"
            what = f"expected {self.path} to be the file that was opened, got {got}"
        return StoreUnavailable(what)


def _inode(path: Path) -> _Inode | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
