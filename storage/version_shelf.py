"""Versions in a memory store."""

from collections.abc import Sequence
from dataclasses import replace

from collab.errors import StoreError, VersionExists, VersionNotFound
from collab.storage.checks import check_author
from collab.versions import Version, check_version_name


class VersionShelf:
    """The versions of one document and what is pinned for them; see ``VersionStore``."""

    def __init__(self) -> None:
        self._versions: dict[str, Version] = {}
        self._pins: dict[str, bytes] = {}

    def add(self, document: str, version: Version, newest_seq: int) -> None:
        """Names a point; see ``VersionStore.add_version``."""
        check_version_name(version.name)
        if not 0 <= version.seq <= newest_seq:
            expected = f"expected a seq of 0 to {newest_seq} of {document!r}"
            raise StoreError(f"{expected}, got {version.seq}")
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

    def _find(self, document: str, name: str) -> Version:
        version = self._versions.get(name)
        if version is None:
            raise VersionNotFound(document, name)
        return version
