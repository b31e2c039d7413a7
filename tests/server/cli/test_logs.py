"""What a server logs, as lines for people or as JSON."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from collab.server.cli.logs import JsonLines
from tests.server.cli.test_serve import serving

_NO_BUS = ("--bind", "127.0.0.1:0", "--bus", "redis://127.0.0.1:1")


def failure() -> logging.LogRecord:
    """What is logged of an exception."""
    try:
        raise ValueError("no\nnumber")
    except ValueError:
        record = logging.LogRecord(
            "collab", logging.ERROR, __file__, 1, "%r failed", ("日\n",), sys.exc_info()
        )
    record.created = 1_700_000_000.25
    return record


def test_a_record_is_an_object_in_one_line() -> None:
    line = JsonLines(worker=2).format(failure())
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("exception").endswith("ValueError: no\nnumber")
    assert said == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "error",
        "logger": "collab",
        "message": r"'日\n' failed",
        "worker": 2,
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_server_logs_in_the_form_it_is_told(tmp_path: Path, form: str) -> None:
    with serving(tmp_path, *_NO_BUS, "--log-format", form) as (_, process):
        assert process.stderr is not None
        line = process.stderr.readline()
    if form == "json":
        said = json.loads(line)
        assert (said["level"], said["logger"]) == ("error", "collab")
        line = said["message"]
    else:
        assert " ERROR collab: " in line
    assert "cut off from the bus" in line


def test_what_is_below_the_level_is_not_logged(tmp_path: Path) -> None:
    bind = ("--bind", "127.0.0.1:0", "--store", "sqlite:///collab.db")
    with serving(tmp_path, *bind) as _:
        # The store is in use, which a second server warns of.
        for level, warns in (("warning", True), ("error", False)):
            with serving(tmp_path, *bind, "--log-level", level) as (_, second):
                second.terminate()
                _, errors = second.communicate(timeout=20)
            assert ("is in use" in errors) is bool(errors) is warns


def test_what_other_packages_say_below_the_level_is_not_logged() -> None:
    program = """
import logging
from collab.server.cli.logs import configure_logs
configure_logs("error", "text")
logging.getLogger("asyncio").warning("slow")
logging.getLogger("asyncio").error("broken")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("ERROR asyncio: broken\n")
