"""The revocations of a SQLite store; see ``collab.revocation``."""

import sqlite3

from collab.revocation import MAX_REVOCATIONS, Revoked, decode_revocation

_WRITE = """
    INSERT INTO revocations (about, time_ms) VALUES (?, ?)
    ON CONFLICT (about) DO UPDATE SET time_ms = max(time_ms, excluded.time_ms)
"""

_FORGET = f"""
    DELETE FROM revocations WHERE id IN (
        SELECT id FROM revocations ORDER BY time_ms DESC, id DESC LIMIT -1 OFFSET {MAX_REVOCATIONS}
    )
"""


def write_revocation(connection: sqlite3.Connection, revoked: Revoked) -> None:
    """Remembers a revocation; see ``RevocationStore.revoke``. It runs within a transaction."""
    connection.execute(_WRITE, (revoked.revocation.encode(), revoked.time_ms))
    connection.execute(_FORGET)


def read_revocations(connection: sqlite3.Connection) -> list[Revoked]:
    """Reads them all; see ``RevocationStore.revocations``."""
    rows = connection.execute("SELECT about, time_ms FROM revocations ORDER BY time_ms, id")
    return [
        Revoked(revocation=decode_revocation(about), time_ms=time_ms) for about, time_ms in rows
    ]
