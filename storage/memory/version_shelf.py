"""Versions in a memory store."""

from collections.abc import Sequence
from dataclasses import replace

from collab.errors import PointNotFound, VersionExists, VersionNotFound
from collab.storage.checks import check_author
from collab.versions import Version, check_version_name


class VersionShelf:
    """The versions of one document and what is pinned for them; see ``VersionStore``."""

    def __init__(self) -> None:
        self._versions: dict[str, Version] = {}
        self._pins: dict[str, bytes] = {}

    def add(self, document: str, version: Version, seqs: range) -> None:
        """Names a point, one of ``seqs``; see ``VersionStore.add_version``."""
        check_version_name(version.name)
        if version.seq not in seqs:
            expected = f"expected a seq of {seqs[0]} to {seqs[-1]} of {document!r}"
            raise PointNotFound(f"{expected}, got {version.seq}", document)
        if version.author is not None:
            check_author(version.author)
        if version.name in self._versions:
            raise VersionExists(document, version.name)
        self._versions[version.name] = replace(version, pinned=False)

    def in_order(self) -> Sequence[Version]:
        """The versions; see ``VersionStore.versions``."""
        return sorted(
            self._versions.values(),
            key=lambda version: (version.seq, version.created_ms, version.name),
        )

    def remove(self, document: str, name: str) -> None:
        """Forgets a version; see ``VersionStore.remove_version``."""
        self._find(document, name)
        del self._versions[name]
        self._pins.pop(name, None)

    def pin(self, document: str, name: str, update: bytes) -> None:
        """Keeps a version's content; see ``VersionStore.pin_version``."""
        self._versions[name] = replace(self._find(document, name), pinned=True)
        self._pins[name] = update

    def pinned(self, document: str, name: str) -> bytes | None:
        """Reads a version's pinned content; see ``VersionStore.pinned``."""
        self._find(document, name)
        return self._pins.get(name)

    def unpinned(self, from_seq: int, before_seq: int) -> dict[str, int]:
        """The versions in a range of seqs whose content is not pinned: name to seq."""
        return {
            version.name: version.seq
            for version in self._versions.values()
            if from_seq <= version.seq < before_seq and not version.pinned
        }

    def _find(self, document: str, name: str) -> Version:
        version = self._versions.get(name)
        if version is None:
            raise VersionNotFound(document, name)
        return version
