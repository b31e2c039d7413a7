"""Store addresses: ``sqlite:///FILE``, ``postgresql://HOST/DATABASE`` and ``memory://``."""

from pathlib import Path

from collab.errors import SettingsError
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Store

_EXPECTED = (
    "expected a store address like sqlite:///collab.db, sqlite:////var/lib/collab.db, "
    "postgresql://user@host/database or memory://"
)

_POSTGRES = ("postgresql", "postgres")


def open_store(address: str, *, create: bool = True) -> Store:
    """Returns the store an address names, not yet entered.

    Args:
        address: ``sqlite:///`` and a path, taken as it stands (no percent-encoding, no options),
            relative to the working directory unless it begins with another slash;
            ``postgresql://`` and what libpq takes after it, percent-encoded and with options; or
            ``memory://``.
        create: whether entering the store may make a file, or tables, that are not there.

    Raises:
        SettingsError: this is no address of a store, or psycopg is needed and not installed.
    """
    if is_postgres(address):
        return _postgres(address, create=create)
    path = file_of(address)
    return MemoryStore() if path is None else SQLiteStore(path, create=create)


def is_postgres(address: str) -> bool:
    """Whether an address names a Postgres database; it may hold a password then."""
    scheme, separator, _ = address.partition("://")
    return bool(separator) and scheme in _POSTGRES


def file_of(address: str) -> Path | None:
    """Returns the file that a store at this address is kept in; None for one that is in no file.

    Args:
        address: see ``open_store``.

    Raises:
        SettingsError: this is no address of a store.
    """
    if is_postgres(address):
        return None
    scheme, separator, rest = address.partition("://")
    if separator and scheme == "memory":
        if rest:
            raise SettingsError(f"expected memory:// with nothing after it, got {address!r}")
        return None
    if not separator or scheme != "sqlite" or not rest.startswith("/"):
        raise SettingsError(f"{_EXPECTED}, got {address!r}")
    path = rest[1:]
    if path == ":memory:":
        raise SettingsError(f"expected memory:// for a store in memory, got {address!r}")
    if not path or path.endswith("/"):
        raise SettingsError(f"expected the path of a file after sqlite:///, got {address!r}")
    if "?" in path or "\0" in path:
        raise SettingsError(f"expected a path without options after sqlite:///, got {address!r}")
    return Path(path)


def _postgres(address: str, *, create: bool) -> Store:
    # psycopg is an extra, and takes a while to load.
    try:
        import psycopg  # noqa: F401
        import psycopg_pool  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "expected psycopg to be installed for a store on Postgres, got none: "
            "pip install 'collab-yjs[postgres]'"
        ) from error
    from collab.storage.postgres.store import PostgresStore

    return PostgresStore(address, create=create)
