"""The revocations of a Postgres store; see ``collab.revocation``."""

from collab.revocation import MAX_REVOCATIONS, Revoked, decode_revocation
from collab.storage.postgres.connection import Connection

_WRITE = """
    INSERT INTO collab.revocations (about, time_ms) VALUES (%s, %s)
    ON CONFLICT (about) DO UPDATE
    SET time_ms = greatest(revocations.time_ms, excluded.time_ms)
"""

_FORGET = f"""
    DELETE FROM collab.revocations WHERE id IN (
        SELECT id FROM collab.revocations ORDER BY time_ms DESC, id DESC OFFSET {MAX_REVOCATIONS}
    )
"""


def write_revocation(connection: Connection, revoked: Revoked) -> None:
    """Remembers a revocation; see ``RevocationStore.revoke``. It runs within a transaction."""
    connection.execute(_WRITE, (revoked.revocation.encode(), revoked.time_ms))
    connection.execute(_FORGET)


def read_revocations(connection: Connection) -> list[Revoked]:
    """Reads them all; see ``RevocationStore.revocations``."""
    rows = connection.execute("SELECT about, time_ms FROM collab.revocations ORDER BY time_ms, id")
    return [
        Revoked(revocation=decode_revocation(about), time_ms=time_ms) for about, time_ms in rows
    ]
