"""Documents in one SQLite file."""

from collab.storage.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
