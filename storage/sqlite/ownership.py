"""Ownership: which process writes to the open documents of a SQLite store.

A store's file takes writes of several processes, but a server that has a document in memory does
not see what others append to it. So whoever must not write past a server takes the lock first: a
file beside the store, named like it with ``-server`` at the end, under an exclusive ``flock``.
Where a server holds it, the file says how to reach that server; where a command does, it is empty.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from collab.errors import StoreError, StoreOwned
from collab.storage.sqlite.lock_file import let_go, lock_file, take

_SUFFIX = "-server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How to reach the server that owns a store.

    Attributes:
        url: where it listens, such as ``http://127.0.0.1:8000``.
        secret: what a request shows as its bearer token to be let do anything.
        certificate: the server's own certificate chain (PEM) where the URL is an https one.
    """

    url: str
    secret: str
    certificate: str | None = None


@contextmanager
def owned(path: Path, contact: Contact | None = None) -> Iterator[None]:
    """Owns a store for as long as the context lasts. It does not wait for other owners.

    Args:
        path: the store's file; it need not be there yet, its folder must.
        contact: where others are to turn to meanwhile; None has them wait.

    Raises:
        StoreOwned: another process owns it, or this one already does.
        StoreError: the lock file cannot be written.
    """
    lock = lock_file(path, _SUFFIX)
    try:
        descriptor = take(lock)
    except OSError as error:
        raise StoreError(f"expected to lock {lock}, got: {error.strerror}") from error
    if descriptor is None:
        raise StoreOwned(str(path))
    try:
        _keep_to_ourselves(descriptor, lock)
        os.truncate(descriptor, 0)
        if contact is not None:
            os.write(descriptor, json.dumps(asdict(contact)).encode())
        yield
    finally:
        let_go(lock, descriptor)


def read_contact(path: Path) -> Contact | None:
    """Reads how to reach the server that owns a store, or has died as its owner.

    Args:
        path: the store's file.

    Returns:
        None where there is no owner, where it is a command, or where a server is about to say.

    Raises:
        StoreError: the lock file cannot be read.
    """
    lock = lock_file(path, _SUFFIX)
    try:
        return Contact(**json.loads(lock.read_text()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"expected {lock} to be readable, got: {error.strerror}") from error
    except (ValueError, TypeError):  # Half written: the other half follows.
        return None


def _keep_to_ourselves(descriptor: int, lock: Path) -> None:
    """Lets nobody else read the file: there is a secret in it."""
    try:
        os.fchmod(descriptor, 0o600)
    except PermissionError as error:
        raise StoreError(
            f"expected a file system where {lock} can be kept from others, got one that has"
            " the same permissions for all files"
        ) from error
