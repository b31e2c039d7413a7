"""Fuzzes for as long as one likes, and keeps in the corpus what reaches something new."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import Length, fuzz, reproduce
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Runs the command and returns what to exit with: 1 where something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=3600, help="for all targets together")
    parser.add_argument("--input", type=Path, help="try this one file on the target, and no more")
    chosen = parser.parse_args()
    targets = chosen.targets or list(TARGETS)
    unknown = [target for target in targets if target not in TARGETS]
    if unknown:
        parser.error(f"expected one of {', '.join(TARGETS)}, got {unknown[0]}")
    if chosen.input is not None:
        if len(targets) != 1:
            parser.error("expected one target for an input, got several")
        return reproduce(targets[0], chosen.input)
    return max(_run(target, max(1, chosen.seconds // len(targets))) for target in targets)


def _run(target: str, seconds: int) -> int:
    outcome = fuzz(target, Length(seconds=seconds), keep=True)
    print(f"{target}: {outcome.inputs} inputs tried, {outcome.kept} kept", flush=True)
    if not outcome.report:
        return 0
    print(outcome.report)
    for path in outcome.findings:
        print(f"found: make fuzz ARGS='{target} --input {path}'")
    return 1


if __name__ == "__main__":
    sys.exit(main())
