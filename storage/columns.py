"""What columns of a store's tables mean, on SQLite and on Postgres."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from collab.archive import Retention
from collab.errors import BrokenDocument, BrokenEntries, StoreError
from collab.storage.block import unpack
from collab.storage.compression import Form, expand
from collab.store import Entry, Summary

LEAST_NAME = " "
"""Not greater than any name, and greater than what deleted documents' rows are called."""

DELETED = "\x01"
"""Before the name in the row of a deleted document: a character that no name has."""


def new_epoch() -> str:
    """Draws the id of a document's life: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def hash_of(document: str) -> bytes:
    """What is kept of the name of an erased document: it may tell as much as its content does."""
    return hashlib.sha256(document.encode()).digest()


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


def entries_of(block: tuple[int, int, Form, bytes], after_seq: int, newest_seq: int) -> list[Entry]:
    """Reads a row of ``blocks``: first seq, last seq, form and payload.

    Returns:
        Its entries with a seq greater than ``after_seq`` and not greater than ``newest_seq``.

    Raises:
        BrokenEntries: it cannot be read.
    """
    first_seq, last_seq, form, payload = block
    try:
        entries = unpack(expand(form, payload), first_seq)
    except StoreError as error:
        what = f"expected entries {first_seq}..{last_seq} that can be read, got: {error}"
        raise BrokenEntries(what, first_seq, last_seq) from error
    return [entry for entry in entries if after_seq < entry.seq <= newest_seq]


def summary_of(row: Sequence[Any]) -> Summary:
    """Reads a line of a listing: its columns are in the order of ``Summary``'s fields here."""
    name, seq, created_ms, updated_ms, size, epoch, retention_ms = row
    return Summary(
        document=name,
        seq=seq,
        created_ms=created_ms,
        updated_ms=updated_ms,
        bytes=size,
        epoch=epoch,
        retention=retention_of(retention_ms),
    )
