"""Logs: how a server writes what it has to say to standard error, for people or for machines."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_WORKER_TEXT = "%(asctime)s %(levelname)s %(name)s, worker {}: %(message)s"
_LEVELS = ["debug", "info", "warning", "error"]


def log_options(command: Command) -> Command:
    """Gives a command the options ``log_level`` and ``log_format``."""
    command = click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        envvar="COLLAB_LOG_FORMAT",
        help="What the log on standard error is: lines for people, or a JSON object a line.",
    )(command)
    return click.option(
        "--log-level",
        type=click.Choice(_LEVELS),
        default="info",
        show_default=True,
        envvar="COLLAB_LOG_LEVEL",
        help="What is logged at least.",
    )(command)


class JsonLines(logging.Formatter):
    """Writes each record as a JSON object in a line of its own.

    Its keys are ``time`` (ISO 8601 in UTC), ``level``, ``logger`` and ``message``, and where there
    are such ``worker`` and ``exception``, the traceback.

    Args:
        worker: number of the worker that logs; None where there is one process.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Writes one."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said: dict[str, str | int] = {
            "time": time,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker is not None:
            said["worker"] = self._worker
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


def configure_logs(level: str, form: str, *, worker: int | None = None) -> None:
    """Has this process log to standard error, in the place of how it has before.

    Args:
        level: what is logged at least.
        form: ``text`` or ``json``.
        worker: its number, where it is one of several.
    """
    formatter: logging.Formatter
    if form == "json":
        formatter = JsonLines(worker)
    else:
        formatter = logging.Formatter(_TEXT if worker is None else _WORKER_TEXT.format(worker))
    stream = logging.StreamHandler()
    stream.setFormatter(formatter)
    stream.setLevel(level.upper())  # What other packages say has a level, too.
    logging.basicConfig(handlers=[stream], force=True)
    logging.getLogger("collab").setLevel(level.upper())
    logging.getLogger("aiofastnet").setLevel(logging.ERROR)  # It warns of peers that just left.
