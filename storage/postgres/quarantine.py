"""The quarantine of a Postgres store; see ``collab.quarantine``."""

from collections.abc import Sequence

from collab.quarantine import Outcome, Refused, surplus
from collab.storage.postgres.connection import Connection
from collab.storage.postgres.trash_rows import decode_author, encode_author

_LOCK = 0x59637172
"""Advisory lock of whoever counts what is kept: the bounds are for all together. ``Ycqr``."""

# Those without a seq equal none.
_INSERT = """
    INSERT INTO collab.quarantine (document, seq, time_ms, author, reason, payload)
    SELECT new.* FROM (
        VALUES (%s::text, %s::bigint, %s::bigint, %b::bytea, %b::bytea, %b::bytea)
    ) AS new (document, seq, time_ms, author, reason, payload)
    WHERE NOT EXISTS (
        SELECT FROM collab.quarantine AS kept
        WHERE (kept.document, kept.seq, kept.payload) = (new.document, new.seq, new.payload))
"""


def write_quarantine(connection: Connection, document: str, refused: Sequence[Refused]) -> Outcome:
    """Keeps updates aside; see ``Quarantine.quarantine``. It runs within a transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    added = 0
    for each in refused:
        author, reason = encode_author(each.author), each.reason.encode()
        values = (document, each.seq, each.time_ms, author, reason, each.update)
        added += connection.execute(_INSERT, values).rowcount
    kept = connection.execute(
        "SELECT document, length(payload), id FROM collab.quarantine WHERE seq IS NULL ORDER BY id"
    ).fetchall()
    beyond = surplus([(name, size) for name, size, _ in kept])
    connection.execute(
        "DELETE FROM collab.quarantine WHERE id = ANY(%s)", ([kept[place][2] for place in beyond],)
    )
    return Outcome(added, len(beyond))


def read_quarantine(connection: Connection, document: str) -> list[Refused]:
    """Reads what is kept under a name; see ``Quarantine.quarantined``."""
    rows = connection.execute(
        "SELECT payload, time_ms, author, reason, seq FROM collab.quarantine WHERE document = %s"
        " ORDER BY id",
        (document,),
        binary=True,
    )
    return [
        Refused(
            update=update,
            time_ms=time_ms,
            author=decode_author(author),
            reason=reason.decode(),
            seq=seq,
        )
        for update, time_ms, author, reason, seq in rows
    ]
