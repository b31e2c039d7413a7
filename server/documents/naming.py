"""Naming: versions of documents, made by people and by the server."""

import time
from datetime import UTC, datetime

from collab.history.point import Point
from collab.server.documents.admitting import Admit
from collab.server.documents.history import History
from collab.store import Store
from collab.versions import Version, check_version_name


async def name_version(
    store: Store,
    document: str,
    name: str,
    author: str | None,
    admit: Admit,
    at: Point | None = None,
) -> Version:
    """Names a point of a document.

    Args:
        store: where the document is.
        document: document name.
        name: what to call the point.
        author: id of the identity that names it.
        admit: asked right before whether it may still be named.
        at: the point; None for the newest entry.

    Raises:
        InvalidName: the version cannot have this name.
        DocumentNotFound: the store has no such document.
        PointNotFound: its history has no such point.
        VersionNotFound: ``at`` names a version it does not have.
        VersionExists: it has a version called ``name``.
    """
    check_version_name(name)
    history = History(store)
    seq = await history.newest(document) if at is None else await history.find(document, at)
    await admit()
    now_ms = time.time_ns() // 1_000_000
    version = Version(name=name, seq=seq, created_ms=now_ms, author=author)
    await store.add_version(document, version)
    return version


async def name_pause(store: Store, document: str, most: int, now_ms: int) -> Version | None:
    """Names the newest entry of a document that rests, and forgets the oldest such names.

    Args:
        store: where the document is.
        document: document name.
        most: automatic versions that are kept.
        now_ms: what time it is, milliseconds since the Unix epoch.

    Returns:
        The version, or None where the newest entry has one already.

    Raises:
        DocumentNotFound: the store has no such document.
        VersionExists: another process has made the same version.
    """
    seq = await History(store).newest(document)
    versions = await store.versions(document)
    if any(version.seq == seq for version in versions):
        return None
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    name = f"auto {moment.removesuffix('+00:00')}Z"
    version = Version(name=name, seq=seq, created_ms=now_ms, automatic=True)
    await store.add_version(document, version)
    automatic = [each for each in versions if each.automatic]
    for surplus in automatic[: max(len(automatic) + 1 - most, 0)]:
        await store.remove_version(document, surplus.name)
    return version
