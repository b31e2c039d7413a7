"""Points: places in a document's history, as people write them.

A point is a seq, a time or the name of a version; no version's name reads like one of the others.
"""

from datetime import UTC, datetime

from collab.errors import InvalidPoint

FORMS = "a seq, a date or time in ISO 8601, or the name of a version"
"""How a point may be written, in words."""

Point = int | datetime | str
"""A seq, a time, or the name of a version."""

_MAX_DIGITS = 18


def read_point(text: str) -> Point:
    """Reads a place in a history.

    Args:
        text: a seq (``42``), a date or time in ISO 8601 (``2026-11-22T18:30``), UTC where it names
            no zone; or the name of a version.

    Raises:
        InvalidPoint: it is empty, or a number that is no seq.
    """
    if not text:
        raise InvalidPoint(f"expected {FORMS}, got nothing")
    if text.isdecimal():
        if not text.isascii() or len(text) > _MAX_DIGITS:
            raise InvalidPoint(f"expected a seq of digits 0 to 9, {_MAX_DIGITS} at most")
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def milliseconds(time: datetime) -> int:
    """A time as milliseconds since the Unix epoch; one that names no zone is UTC."""
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def written(point: Point) -> str:
    """A point as ``read_point`` reads it."""
    return point.isoformat() if isinstance(point, datetime) else str(point)
