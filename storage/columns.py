"""What columns of a store's tables mean, on SQLite and on Postgres."""

from collab.archive import Retention
from collab.errors import BrokenDocument, StoreError
from collab.storage.compression import expand


def expand_state(document: str, form: int, payload: bytes) -> bytes:
    """Returns a stored state of a document.

    Raises:
        BrokenDocument: it cannot be read.
    """
    try:
        return expand(form, payload)
    except StoreError as error:
        what = f"expected a state of {document!r} that can be read, got: {error}"
        raise BrokenDocument(what, document) from error


def retention_column(retention: Retention | None) -> int | None:
    """Writes the column ``retention_ms``: NULL where nothing was said, -1 for ever."""
    if retention is None:
        return None
    return -1 if retention.milliseconds is None else retention.milliseconds


def retention_of(retention_ms: int | None) -> Retention | None:
    """Reads the column ``retention_ms``."""
    if retention_ms is None:
        return None
    return Retention(None if retention_ms < 0 else retention_ms)
