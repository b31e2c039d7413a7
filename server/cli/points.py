"""Points of a document's history, and moments, on the command line."""

from datetime import UTC, datetime, timedelta

import click

from collab.errors import InvalidPoint
from collab.history.point import Point, read_point


class PointType(click.ParamType[Point]):
    """A seq, a time or the name of a version, as ``collab.history.point`` reads it."""

    name = "point"

    def convert(
        self, value: str | Point, param: click.Parameter | None, ctx: click.Context | None
    ) -> Point:
        """Reads the point; click calls it with what it has converted already, too."""
        if not isinstance(value, str):
            return value
        try:
            return read_point(value)
        except InvalidPoint as error:
            self.fail(str(error), param, ctx)


POINT = PointType()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_MS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_MAX_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def in_utc(milliseconds: int) -> datetime:
    """A time that is stored, in UTC: the nearest there is, where a clock or a bit went wrong."""
    return _EPOCH + timedelta(milliseconds=min(max(milliseconds, _MIN_MS), _MAX_MS))


def moment(milliseconds: int) -> str:
    """A time to be read: ``2026-11-22 18:30:08`` in UTC."""
    return in_utc(milliseconds).replace(tzinfo=None).isoformat(" ", timespec="seconds")
