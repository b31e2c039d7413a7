"""Duration: lengths of time as people write them on the command line."""

import re

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d{1,9}[smhdw])+")


class Duration(click.ParamType[int]):
    """A length of time: ``90s``, ``15m``, ``1h30m``, ``7d``; its value is in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Reads it."""
        text = str(value)
        if not _DURATION.fullmatch(text):
            self.fail(f"expected a duration such as 90s, 15m, 1h30m or 7d, got {text!r}")
        parts = re.findall(r"(\d+)([smhdw])", text)
        return sum(int(count) * _UNITS[unit] for count, unit in parts)
