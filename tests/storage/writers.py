"""Processes that write to a store until they are killed; see ``writing_process.py``."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROCESS = Path(__file__).with_name("writing_process.py")


@contextmanager
def writing_process(address: str, own: str) -> Iterator["subprocess.Popen[str]"]:
    """Runs one; it is killed at the end at the latest."""
    process = subprocess.Popen(
        [sys.executable, str(_PROCESS), address, own], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def reported(process: "subprocess.Popen[str]", lines: int = sys.maxsize) -> list[tuple[int, int]]:
    """Reads the seqs that it reports: of the shared document, and of its own."""
    assert process.stdout is not None
    seqs: list[tuple[int, int]] = []
    while len(seqs) < lines and (line := process.stdout.readline()).endswith("\n"):
        first, second = line.split()
        seqs.append((int(first), int(second)))
    return seqs
