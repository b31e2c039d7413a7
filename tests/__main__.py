"""Runs the tests: those that may share the machine side by side, then the others alone.

Arguments go to pytest, both times. Either run fails the whole; where one finds no test among
those asked for, the other has to.
"""

import os
import subprocess
import sys

import pytest

from tests.lanes import Lane

_PROCESSES = min(4, 1 + (os.cpu_count() or 1))
"""One more than there are processors: many tests wait for a moment to come."""


def _run(lane: Lane, *options: str) -> int:
    command = [sys.executable, "-m", "pytest", f"--lane={lane}", *options, *sys.argv[1:]]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    """Runs both lanes and returns what to exit with."""
    side_by_side = (f"--numprocesses={_PROCESSES}", "--no-loadscope-reorder")
    outcomes = [_run(Lane.SHARED, *side_by_side), _run(Lane.ALONE)]
    none_found = int(pytest.ExitCode.NO_TESTS_COLLECTED)
    found = [outcome for outcome in outcomes if outcome != none_found]
    return next(filter(None, found), 0) if found else none_found


if __name__ == "__main__":
    sys.exit(main())
