"""Trial: one workload on one fresh server, each on a core of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.load.window import Outcome
from benchmarks.servers import LOAD_CORE, BenchmarkError, Server, run

_RUN_SECONDS: Final = 240.0


def measure(server: Server, workload: str, seconds: float, scratch: Path) -> Outcome:
    """Puts one workload on a fresh server.

    Raises:
        BenchmarkError: the server or the load failed.
    """
    with run(server, scratch) as running:
        command = [
            *("taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.load", workload),
            *("--port", str(running.port), "--pid", str(running.pid)),
            *("--dialect", server.dialect, "--path", server.path, "--seconds", str(seconds)),
        ]
        try:
            done = subprocess.run(
                command,
                cwd=Path(__file__).parent.parent,
                capture_output=True,
                text=True,
                timeout=_RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"expected an end within {_RUN_SECONDS:g} s, got none") from None
    if done.returncode:
        raise BenchmarkError(f"expected an outcome, got: {done.stderr.strip()[-500:]}")
    return Outcome(**json.loads(done.stdout))
