"""What tests need of the machine, and what becomes of them where it cannot be had."""

import os
import shutil
from typing import NoReturn

import pytest

BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
]
"""How Debian's Chromium is run by root on any machine, and asks nobody anything by itself."""


def skip_or_fail(missing: str) -> NoReturn:
    """Skips what cannot run here; in CI, where nothing may be skipped, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"expected {missing} in CI, got none")
    pytest.skip(f"needs {missing}")


def find_program(name: str) -> str:
    """Where a command is; Debian keeps those of servers where not everybody looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin") or skip_or_fail(name)
