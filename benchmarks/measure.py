"""What a process costs, read from ``/proc``: processor time and memory of it and its children."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class ProcessTree:
    """Processes and all they started.

    Args:
        pids: of those it begins with.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = pids

    def _members(self) -> Iterator[Path]:
        waiting = list(self._pids)
        while waiting:
            process = Path(f"/proc/{waiting.pop()}")
            yield process
            for children in process.glob("task/*/children"):
                waiting.extend(map(int, children.read_text().split()))

    def processor_seconds(self) -> float:
        """Returns user and system time spent so far, in seconds."""
        ticks = 0
        for process in self._members():
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS

    def resident_bytes(self) -> int:
        """Returns the memory held now."""
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """Returns the most memory held since ``forget_peak``."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begins the search for the peak anew."""
        for process in self._members():
            (process / "clear_refs").write_text("5")

    def _status(self, field: str) -> int:
        total = 0
        for process in self._members():
            for line in (process / "status").read_text().splitlines():
                if line.startswith(f"{field}:"):
                    total += int(line.split()[1]) * 1024
        return total


def percentile(ordered: Sequence[float], share: float) -> float:
    """Returns the smallest value that this share of the values does not exceed.

    Args:
        ordered: values in rising order; at least one.
        share: 0 to 1.
    """
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
