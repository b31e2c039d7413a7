"""Campaign: a target fuzzed for a while, in processes that may die of what they find."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz import corpus

FINDINGS = Path("fuzz-findings")
"""Where inputs that failed are left, relative to where the campaign is run."""

_MAX_BYTES = 4096
_INPUT_SECONDS = 10
"""How long one input may take: some take a millisecond, and the machine may be busy."""
_MEMORY_MB = 768
_SPARE_SECONDS = 120.0
"""How long a process may take to begin, and to end."""
_NOISE = re.compile(r"^(?:INFO:|WARNING:|#\d).*\n", re.MULTILINE)
_EXECUTED = re.compile(r"^stat::number_of_executed_units: *(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of fuzzing a target.

    Attributes:
        target: its name.
        inputs: how many were tried.
        kept: how many the corpus has, where it was to be kept.
        findings: files with inputs that failed.
        report: what the processes said that found them.
    """

    target: str
    inputs: int
    kept: int
    findings: list[Path]
    report: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """When a process has had enough: the bound that is reached first.

    Attributes:
        seconds: how long it tries; 0 for as long as it takes.
        inputs: how many it tries, the kept corpus among them; -1 for as many as there is time for.
        processes: how many do so side by side.
    """

    seconds: int = 0
    inputs: int = -1
    processes: int = os.cpu_count() or 1


def fuzz(
    target: str, length: Length, *, keep: bool, findings: Path = FINDINGS, seed: int = 0
) -> Outcome:
    """Fuzzes a target, in processes that each begin with the kept corpus.

    Args:
        target: its name.
        length: how long.
        keep: whether inputs that reach something new are kept in the corpus.
        findings: folder for inputs that fail.
        seed: what its choices follow from, as far as time allows; 0 for others each time.
    """
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    with TemporaryDirectory(prefix="fuzz-") as scratch:
        folder = Path(scratch)
        corpus.unpack(target, folder / "kept")
        children = [
            _begin(target, length, folder, number, findings, seed and seed + number)
            for number in range(length.processes)
        ]
        said = [_end(child, length) for child in children]
        failed = [_NOISE.sub("", text) for text, code in said if code != 0]
        kept = 0
        if keep:
            news = [folder / f"new-{number}" for number in range(len(children))]
            kept = _keep(target, folder, news)
    return Outcome(
        target=target,
        inputs=sum(int(count) for text, _ in said for count in _EXECUTED.findall(text)),
        kept=kept,
        findings=sorted(set(findings.iterdir()) - before),
        report="\n".join(failed),
    )


def reproduce(target: str, path: Path) -> int:
    """Gives one input to a target, in a process of its own; returns what that exits with."""
    return subprocess.run(_command(target, str(path)), check=False).returncode


def _begin(
    target: str, length: Length, folder: Path, number: int, findings: Path, seed: int
) -> "subprocess.Popen[str]":
    new = folder / f"new-{number}"
    new.mkdir()
    options = {
        "seed": seed,
        "max_total_time": length.seconds,
        "runs": length.inputs,
        "max_len": _MAX_BYTES,
        "timeout": _INPUT_SECONDS,
        "rss_limit_mb": _MEMORY_MB,
        "print_final_stats": 1,
        "artifact_prefix": f"{findings}/{target}-",
    }
    words = [f"-{name}={value}" for name, value in options.items()]
    return subprocess.Popen(
        _command(target, *words, str(new), str(folder / "kept")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _end(child: "subprocess.Popen[str]", length: Length) -> tuple[str, int]:
    try:
        said, _ = child.communicate(timeout=length.seconds + _SPARE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        said, _ = child.communicate()
    return said, child.returncode


def _keep(target: str, folder: Path, news: list[Path]) -> int:
    """Puts into the corpus what is needed to reach all that was reached, and no more."""
    least = folder / "least"
    least.mkdir()
    sources = [str(each) for each in (folder / "kept", *news)]
    # What fails was found already: it is left out, and its copy goes with the folder.
    options = ("-merge=1", f"-max_len={_MAX_BYTES}", f"-artifact_prefix={folder}/")
    merging = _command(target, *options, str(least), *sources)
    subprocess.run(merging, check=True, capture_output=True)
    inputs = [path.read_bytes() for path in least.iterdir()]
    assert inputs, "expected inputs that reach something, got none"
    return corpus.save(target, inputs)


def _command(target: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz.child", target, *words]
