"""The documentation's pages, and the code in them."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.rglob("*.md")),
)

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A line that a reader types, and what the page says comes of it.

    Attributes:
        line: for the shell.
        output: what it prints; ``...`` in it stands for anything on that line.
    """

    line: str
    output: str

    def prints(self, output: str) -> bool:
        """Tells whether the page is right."""
        pattern = re.escape(self.output.rstrip()).replace(re.escape("..."), "[^\n]*")
        return re.fullmatch(pattern, output.rstrip()) is not None


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language, in order."""
    found = _BLOCK.findall(page.read_text())
    return [textwrap.dedent(code) for _, written, code in found if written == language]


def commands(page: Path) -> list[Command]:
    """The commands in a page's ``console`` blocks; they are to be run in order.

    Commands in ``sh`` blocks are for readers alone: they install, listen, or need privileges.
    """
    found = []
    for code in blocks(page, "console"):
        for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            while line.endswith("\\"):
                more, _, output = output.partition("\n")
                line = f"{line}\n{more}"
            found.append(Command(line, output))
    return found
