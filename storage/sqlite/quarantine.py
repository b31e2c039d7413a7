"""The quarantine of a SQLite store; see ``collab.quarantine``."""

import sqlite3
from collections.abc import Sequence

from collab.quarantine import Outcome, Refused, surplus
from collab.storage.checks import check_author

# Those without a seq equal none.
_INSERT = """
    INSERT INTO quarantine (document, seq, time_ms, author, reason, payload)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS
        (SELECT 1 FROM quarantine WHERE document = ?1 AND seq = ?2 AND payload = ?6)
"""


def write_quarantine(
    connection: sqlite3.Connection, document: str, refused: Sequence[Refused]
) -> Outcome:
    """Keeps updates aside; see ``Quarantine.quarantine``. It runs within a transaction."""
    added = 0
    for each in refused:
        author = None if each.author is None else check_author(each.author)
        values = (document, each.seq, each.time_ms, author, each.reason, each.update)
        added += connection.execute(_INSERT, values).rowcount
    kept = connection.execute(
        "SELECT document, length(payload), id FROM quarantine WHERE seq IS NULL ORDER BY id"
    ).fetchall()
    beyond = surplus([(name, size) for name, size, _ in kept])
    connection.executemany(
        "DELETE FROM quarantine WHERE id = ?", [(kept[place][2],) for place in beyond]
    )
    return Outcome(added, len(beyond))


def read_quarantine(connection: sqlite3.Connection, document: str) -> list[Refused]:
    """Reads what is kept under a name; see ``Quarantine.quarantined``."""
    rows = connection.execute(
        "SELECT payload, time_ms, author, reason, seq FROM quarantine WHERE document = ?"
        " ORDER BY id",
        (document,),
    )
    return [
        Refused(update=update, time_ms=time_ms, author=author, reason=reason, seq=seq)
        for update, time_ms, author, reason, seq in rows
    ]
