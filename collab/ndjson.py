"""Entries of a log as lines of JSON, for what takes logs from one place to another.

One object a line, in order of seq, updates in base64 (RFC 4648 section 4)::

    {"seq": 1, "time_ms": 1795365790501, "author": "ada", "update": "AAEB..."}
"""

import base64
import json
from collections.abc import Iterable

from collab.errors import InvalidQuery
from collab.store import Entry, NewEntry

MEDIA_TYPE = "application/x-ndjson"

_MAX_TIME_MS = 2**53


def encode_entry(entry: Entry) -> bytes:
    """Encodes an entry as a line, its end included."""
    fields = {
        "seq": entry.seq,
        "time_ms": entry.time_ms,
        "author": entry.author,
        "update": base64.b64encode(entry.update).decode(),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def encode_entries(entries: Iterable[NewEntry]) -> bytes:
    """Encodes entries that are to be appended, counted from 1."""
    return b"".join(
        encode_entry(
            Entry(seq=seq, update=entry.update, time_ms=entry.time_ms, author=entry.author)
        )
        for seq, entry in enumerate(entries, 1)
    )


def decode_entries(lines: bytes) -> list[NewEntry]:
    """Decodes lines; each entry's seq is its place among them, whatever they say.

    Raises:
        InvalidQuery: a line is not such an object.
    """
    return [
        _decode_line(line, number)
        for number, line in enumerate(lines.split(b"\n"), 1)
        if line.strip()
    ]


def _decode_line(line: bytes, number: int) -> NewEntry:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidQuery(f"expected a JSON object in line {number}, got something else")
    time_ms, author, encoded = (fields.get(name) for name in ("time_ms", "author", "update"))
    if type(time_ms) is not int or not 0 <= time_ms < _MAX_TIME_MS:
        raise InvalidQuery(
            f"expected milliseconds as time_ms in line {number}, got {time_ms!r:.40}"
        )
    if author is not None and not _is_text(author):
        raise InvalidQuery(f"expected text or null as author in line {number}, got {author!r:.40}")
    try:
        update = base64.b64decode(encoded if isinstance(encoded, str) else "*", validate=True)
    except ValueError:
        raise InvalidQuery(
            f"expected base64 as update in line {number}, got {encoded!r:.40}"
        ) from None
    return NewEntry(update=update, time_ms=time_ms, author=author)


def _is_text(author: object) -> bool:
    """Whether it is a string with a UTF-8 form, which stores ask for."""
    if not isinstance(author, str):
        return False
    try:
        author.encode()
    except UnicodeEncodeError:
        return False
    return True
