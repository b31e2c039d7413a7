"""Corpus: the inputs that are kept for each target, one a line in base64, shortest first.

As text they can be told apart in a difference, and merged.
"""

import base64
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
MAX_INPUTS = 400
"""Inputs that are kept for a target; libFuzzer needs no more to get everywhere it has been."""


def load(target: str) -> list[bytes]:
    """The inputs that are kept for a target."""
    path = _path(target)
    if not path.exists():
        return []
    return [base64.b64decode(line, validate=True) for line in path.read_text().splitlines()]


def save(target: str, inputs: Iterable[bytes]) -> int:
    """Keeps these inputs and no others, the shortest where they are too many; tells how many."""
    kept = sorted(set(inputs), key=lambda each: (len(each), each))[:MAX_INPUTS]
    lines = [base64.b64encode(each).decode() + "\n" for each in kept]
    FOLDER.mkdir(exist_ok=True)
    _path(target).write_text("".join(lines))
    return len(kept)


def unpack(target: str, folder: Path) -> None:
    """Writes the inputs that are kept for a target to files of their own, as libFuzzer reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(load(target)):
        (folder / f"{number:04d}").write_bytes(each)


def _path(target: str) -> Path:
    return FOLDER / f"{target}.txt"
