"""The profile: where the processor time of a server goes, sampled while a workload runs.

py-spy stops the server for each sample, so that latency means nothing here. What the server does
for those who come and for documents that are opened is left out: workloads with a beat measure
nothing of it.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from benchmarks.load.window import Outcome
from benchmarks.report import machine, shown
from benchmarks.servers import LOAD_CORE, SERVERS, BenchmarkError, Running, Server, run
from benchmarks.trial import put_load

RESULTS: Final = Path(__file__).parent / "results"
WORKLOADS: Final = ("all-write", "audience", "many-rooms")
_PROFILED: Final = ("bare-relay", "collab")
_SAMPLES_PER_SECOND: Final = 400
_RUN_SECONDS: Final = 240.0

_FRAME: Final = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")
_WAITS: Final = re.compile(r"(0x[0-9a-f]+|epoll_pwait) \(libc\.so\.6\)$")
"""A thread that waits for a lock ends in an address of libc that has no name; what a loop spends to
begin and end its waiting cannot be told from that."""
_ARRIVES: Final = (
    *("listener.py", "api_utils.py", "frontdoor.py"),  # the second is aiofastnet's, for the relay
    *("opening.py", "seeds.py", "catch_up.py"),
)
"""What shows that somebody comes or a document is opened."""

_SEND: Final = "the kernel: send"
_LOG: Final = "the kernel: writing the log"
_KERNEL: Final = "the kernel: reading and waking"
_CRDT: Final = "the CRDT (pycrdt)"
_FRAMES: Final = "frames and the loop (picows, uvloop)"
_STORE: Final = "the store (SQLite)"
_TRANSPORT: Final = "collab: connections and limits"
_READING: Final = "collab: reading and checking messages"
_ROOMS: Final = "collab: rooms"
_BUSY_WORK: Final = "tasks and threads (anyio, asyncio)"
_REST: Final = "else"

_CALLS: Final = {
    "send": _SEND,
    "sendmsg": _SEND,
    "fdatasync": _LOG,
    "fsync": _LOG,
    "pwrite64": _LOG,
    "pwrite": _LOG,
    "epoll_ctl": _KERNEL,
    "recv": _KERNEL,
    "read": _KERNEL,
    "write": _KERNEL,
    "getpid": _KERNEL,
}
"""Places by the function of libc that makes a call of the kernel."""
_FILES: Final = (
    ("pycrdt", _CRDT),
    ("picows", _FRAMES),
    ("aiofastnet", _FRAMES),
    ("loop.c", _FRAMES),
    ("sqlite", _STORE),
    ("collab/storage/", _STORE),
    ("benchmarks/", _TRANSPORT),
    ("relay.py", _TRANSPORT),
    ("collab/server/transports/", _TRANSPORT),
    ("collab/server/limits/", _TRANSPORT),
    ("collab/server/peers/", _TRANSPORT),
    ("collab/server/", _ROOMS),
    ("collab/", _READING),
    ("anyio", _BUSY_WORK),
    ("asyncio", _BUSY_WORK),
)
"""Places by how the file of the innermost frame that is known begins."""


def place(stack: Sequence[str]) -> str | None:
    """Says where a sample was taken.

    Args:
        stack: its frames as py-spy writes them, the outermost first.

    Returns:
        The place, or None where the thread waits or the sample is of somebody's arrival.
    """
    if _WAITS.match(stack[-1]) or any(name in frame for frame in stack for name in _ARRIVES):
        return None
    for frame in reversed(stack):
        found = _FRAME.match(frame)
        if found is None:
            continue
        name, file = found["name"], found["file"]
        if file == "libc.so.6" and name in _CALLS:
            return _CALLS[name]
        for start, where in _FILES:
            if start in file:
                return where
    return _REST


def shares(samples: Iterable[str]) -> dict[str, float]:
    """Returns the share of each place, the largest first.

    Args:
        samples: lines of py-spy's raw format: frames with semicolons between, a blank, how often.
    """
    counts: Counter[str] = Counter()
    for line in samples:
        stack, _, times = line.rstrip().rpartition(" ")
        where = place(stack.split(";"))
        if where is not None:
            counts[where] += int(times)
    total = counts.total()
    return {where: count / total for where, count in counts.most_common()}


def profile(
    server: Server, workload: str, seconds: float, scratch: Path
) -> tuple[Outcome, dict[str, float]]:
    """Puts a workload on a fresh server and samples that.

    Raises:
        BenchmarkError: the server, the load or py-spy failed.
    """
    with run(server, scratch) as running, tempfile.TemporaryDirectory(dir=scratch) as name:
        samples = Path(name) / "samples"
        with _spy(running, seconds, samples) as spy:
            words = [
                *("benchmarks.load", workload, "--port", str(running.port)),
                *("--pid", str(running.pid), "--dialect", server.dialect, "--path", server.path),
                *("--seconds", str(seconds)),
            ]
            outcome = Outcome(**put_load(words, _RUN_SECONDS))
            said = spy.communicate()[0]
        if spy.returncode or not samples.exists():
            raise BenchmarkError(f"expected py-spy to take samples, got: {said[-500:]}")
        return outcome, shares(samples.read_text().splitlines())


def _spy(running: Running, seconds: float, samples: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *("taskset", "-c", str(LOAD_CORE), "py-spy", "record", "--native"),
            *("--pid", str(running.pid), "--rate", str(_SAMPLES_PER_SECOND)),
            *("--duration", str(round(seconds)), "--format", "raw", "--output", str(samples)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def table(workload: str, profiles: dict[str, tuple[Outcome, dict[str, float]]]) -> str:
    """Draws the profiles of one workload as a Markdown table."""
    head = "".join(f" {name} µs/delivery | share |" for name in profiles)
    rows = [f"## {workload}", "", f"| place |{head}", "| --- |" + " ---: | ---: |" * len(profiles)]
    places = dict.fromkeys(where for _, found in reversed(profiles.values()) for where in found)
    for where in places:
        cells = []
        for outcome, found in profiles.values():
            share = found.get(where)
            if share is None:
                cells += ["–", "–"]
            else:
                cells += [shown((outcome.cpu_us or 0.0) * share), f"{share:.0%}"]
        rows.append(f"| {where} | " + " | ".join(cells) + " |")
    sums = [cell for outcome, _ in profiles.values() for cell in (shown(outcome.cpu_us or 0.0), "")]
    rows.append("| all | " + " | ".join(sums) + " |")
    return "\n".join(rows)


@click.command()
@click.option("--only", type=click.Choice(WORKLOADS), help="One workload; all by default.")
@click.option("--seconds", default=40.0, show_default=True, help="How long each goes on.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write to: benchmarks/results for all, its raw/ for one.",
)
def main(only: str | None, seconds: float, output: Path | None) -> None:
    """Samples where the processor time goes in workloads whose goals are missed or close."""
    scratch = RESULTS / "raw"
    scratch.mkdir(parents=True, exist_ok=True)
    if output is None:
        output = scratch if only else RESULTS
    said = {"date": datetime.now(UTC).date().isoformat(), "seconds": seconds, **machine()}
    parts = ["# Profile", ", ".join(f"{name} {value}" for name, value in said.items())]
    try:
        for workload in (only,) if only else WORKLOADS:
            profiles = {}
            for name in _PROFILED:
                click.echo(f"{workload}: {name}", err=True)
                profiles[name] = profile(SERVERS[name], workload, seconds, scratch)
            parts.append(table(workload, profiles))
    except BenchmarkError as error:
        sys.exit(str(error))
    text = "\n\n".join(parts) + "\n"
    output.mkdir(parents=True, exist_ok=True)
    (output / "profile.md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()
