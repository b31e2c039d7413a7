"""Asks the registries whether anything that is locked has a known weakness; fails where it does.

pip-audit reads the locks of Python packages, ``npm audit`` that of the demo. The locks of stock
clients and of other servers are left out: they pin old releases on purpose, for tests alone.

Mirrors often have packages and no advisories: then nothing is known, and it says so.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PYTHON_LOCKS = ("requirements.lock", "requirements-dev.lock")
NPM_FOLDERS = ("web-demo",)
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Audit:
    """What a registry says of one lock.

    Attributes:
        weaknesses: a line for each.
        unknown: packages it says nothing of.
        skipped: why nothing was learnt; None where something was.
    """

    weaknesses: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    skipped: str | None = None


def read_pip_audit(report: str, said: str) -> Audit:
    """Reads what pip-audit printed.

    Args:
        report: its report, as JSON; empty where it failed.
        said: what else it said.
    """
    packages = _object(report).get("dependencies", [])
    unknown = tuple(each["name"] for each in packages if "skip_reason" in each)
    # It takes packages without an answer for packages without a weakness.
    if len(unknown) == len(packages):
        return Audit(skipped=_last_line(said) if not packages else "no advisory service answers")
    weaknesses = tuple(
        f"{each['name']} {each['version']}: {weakness['id']}, mended in"
        f" {', '.join(weakness['fix_versions']) or 'no release yet'}"
        for each in packages
        for weakness in each.get("vulns", ())
    )
    return Audit(weaknesses, unknown)


def read_npm_audit(report: str, said: str) -> Audit:
    """Reads what ``npm audit`` printed; see ``read_pip_audit``."""
    answer = _object(report)
    if "vulnerabilities" not in answer:
        return Audit(skipped=answer.get("message") or _last_line(said))
    found = answer["vulnerabilities"].values()
    return Audit(tuple(f"{each['name']} {each['range']}: {each['severity']}" for each in found))


def _audits() -> Iterator[tuple[str, Audit]]:
    pip_audit = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
    for lock in PYTHON_LOCKS:
        command = [*pip_audit, "--progress-spinner=off", "--format=json", "--requirement", lock]
        yield lock, read_pip_audit(*_run(command, ROOT))
    for folder in NPM_FOLDERS:
        command = ["npm", "audit", "--package-lock-only", "--json"]
        yield f"{folder}/package-lock.json", read_npm_audit(*_run(command, ROOT / folder))


def _run(command: list[str], folder: Path) -> tuple[str, str]:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    return done.stdout, done.stderr


def _object(report: str) -> dict[str, Any]:
    try:
        answer = json.loads(report)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _last_line(said: str) -> str:
    return (said.strip().splitlines() or ["no answer"])[-1]


def main() -> int:
    """Prints what is known of each lock; returns what to exit with."""
    weak = False
    for lock, audit in _audits():
        if audit.skipped is not None:
            print(f"audit: {lock}: SKIPPED, nothing was learnt: {audit.skipped}")
            continue
        if audit.unknown:
            print(f"audit: {lock}: nothing is known of {', '.join(audit.unknown)}")
        for weakness in audit.weaknesses:
            print(f"audit: {lock}: {weakness}")
        weak = weak or bool(audit.weaknesses)
        print(f"audit: {lock}: {len(audit.weaknesses)} known weaknesses")
    return int(weak)


if __name__ == "__main__":
    sys.exit(main())
