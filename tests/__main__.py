"""Runs the tests: those that may share the machine side by side, then the others alone.

Arguments go to pytest, both times. Either run fails the whole; where one finds no test among
those asked for, the other has to.

What fails is looked at: up to three tests that fail are run again by themselves, twice. Where they
pass both times they are listed as unsteady, and the run goes on; whoever reads that finds out why.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lanes import Lane

_PROCESSES = min(6, 2 * (os.cpu_count() or 1))
"""Two for each processor: half the time is spent in waiting for others, or for a moment to come."""
_UNSTEADY_MAX = 3
"""A machine's bad moment fails so many tests; where more fail, something is broken."""
_TIMES_AGAIN = 2
_LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def _run(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def _run_lane(lane: Lane, unsteady: list[str], *options: str) -> int:
    _LAST_FAILED.unlink(missing_ok=True)
    outcome = _run(f"--lane={lane}", "-rs", *options, *sys.argv[1:])
    if outcome != pytest.ExitCode.TESTS_FAILED or not _LAST_FAILED.exists():
        return outcome
    failed = sorted(json.loads(_LAST_FAILED.read_text()))
    if not 0 < len(failed) <= _UNSTEADY_MAX:
        return outcome
    for _ in range(_TIMES_AGAIN):
        if _run(*failed) != pytest.ExitCode.OK:
            return outcome
    unsteady += failed
    return int(pytest.ExitCode.OK)


def main() -> int:
    """Runs both lanes and returns what to exit with."""
    side_by_side = (f"--numprocesses={_PROCESSES}", "--no-loadscope-reorder")
    unsteady: list[str] = []
    outcomes = [_run_lane(Lane.SHARED, unsteady, *side_by_side), _run_lane(Lane.ALONE, unsteady)]
    if unsteady:
        print("UNSTEADY, failed at first and passed twice by themselves:", *unsteady, sep="\n  ")
    none_found = int(pytest.ExitCode.NO_TESTS_COLLECTED)
    found = [outcome for outcome in outcomes if outcome != none_found]
    return next(filter(None, found), 0) if found else none_found


if __name__ == "__main__":
    sys.exit(main())
