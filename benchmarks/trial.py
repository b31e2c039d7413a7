"""Trial: one workload on one fresh server, each on a core of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.load.window import Outcome
from benchmarks.servers import LOAD_CORE, BenchmarkError, Server, run

_RUN_SECONDS: Final = 240.0


def measure(server: Server, workload: str, seconds: float, scratch: Path) -> Outcome:
    """Puts one workload on a fresh server.

    Raises:
        BenchmarkError: the server or the load failed.
    """
    with run(server, scratch) as running:
        words = [
            *("benchmarks.load", workload, "--port", str(running.port), "--pid", str(running.pid)),
            *("--dialect", server.dialect, "--path", server.path, "--seconds", str(seconds)),
        ]
        return Outcome(**put_load(words, _RUN_SECONDS))


def put_load(words: Sequence[str], within_seconds: float) -> dict[str, Any]:
    """Runs a load on its core, and reads the outcome that it prints.

    Args:
        words: its module and what that is told.
        within_seconds: how long it may take.

    Raises:
        BenchmarkError: it failed, or took longer.
    """
    try:
        done = subprocess.run(
            ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", *words],
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            timeout=within_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"expected an end within {within_seconds:g} s, got none") from None
    if done.returncode:
        raise BenchmarkError(f"expected an outcome, got: {done.stderr.strip()[-500:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome
