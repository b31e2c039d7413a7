"""Duration: lengths of time as people write them on the command line."""

import math
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
        seconds = sum(int(count) * _UNITS[unit] for count, unit in parts)
        if seconds == 0:
            self.fail(f"expected a duration above zero, got {text!r}")
        return seconds


class Seconds(click.FloatRange):
    """A number of seconds; ``nan``, which no range keeps out, and ``inf`` are none."""

    name = "number of seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Reads it."""
        # click says a float and takes what stands on the command line.
        number = super().convert(value, param, ctx)  # type: ignore[arg-type]
        if not math.isfinite(number):
            self.fail(f"expected a number of seconds, got {value}", param, ctx)
        return number
