"""Files with one Yjs update (v1) each, such as ``Y.encodeStateAsUpdate`` gives."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from collab.errors import SourceError
from collab.storage.importing.source import named_files, source_errors
from collab.store import NewEntry


class UpdateFilesSource:
    """Files with a document's whole state, named like the document with any ending.

    The time of a change is when its file was written.

    Args:
        path: a folder, or one file.

    Raises:
        SourceError: there are none, or two would be the same document.
    """

    def __init__(self, path: Path) -> None:
        self._files: dict[str, Path] = {}
        with source_errors(path, "updates"):
            found = named_files(path, path.name)
        for name, file in found.items():
            stem = name.removesuffix(file.suffix)
            if stem in self._files:
                raise SourceError(
                    f"expected one file for {stem!r}, got {self._files[stem].name} and {file.name}"
                )
            self._files[stem] = file
        if not self._files:
            raise SourceError(f"expected files with updates at {path}, got none")

    def names(self) -> Sequence[str]:
        """The files' paths without their endings; see ``Source.names``."""
        return list(self._files)

    def changes(self, name: str) -> Iterator[NewEntry]:
        """Reads a file; see ``Source.changes``."""
        file = self._files[name]
        with source_errors(file, "an update"):
            yield NewEntry(update=file.read_bytes(), time_ms=file.stat().st_mtime_ns // 1_000_000)
