"""What the package imports is what installing it brings."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_TREE = Path(__file__).parents[1]
_SOURCES = ("collab", "client", "server", "storage")


def _imports(node: ast.AST) -> Iterator[str]:
    """Top-level packages that a module imports, but for those it can do without."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Try) and child.handlers:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module is not None:
            yield child.module.partition(".")[0]
        yield from _imports(child)


def _installed_with(requirements: list[Requirement]) -> set[str]:
    """Names of the distributions that pip installs for requirements, here."""
    found: set[tuple[str, str]] = set()
    left = [(one, extra) for one in requirements for extra in ("", *one.extras)]
    while left:
        requirement, extra = left.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in found:
            continue
        try:
            needed = requires(name) or ()
        except PackageNotFoundError:  # Not for this platform, or an extra of somebody else's.
            continue
        found.add((name, extra))
        for one in map(Requirement, needed):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                left += [(one, its) for its in ("", *one.extras)]
    return {name for name, _ in found}


def test_every_import_is_of_a_package_that_comes_with_it_or_with_an_extra() -> None:
    project = tomllib.loads((_TREE / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    installed = _installed_with([Requirement(line) for line in lines])
    distributions = packages_distributions()
    undeclared = {
        f"{path.relative_to(_TREE)}: {package}"
        for source in _SOURCES
        for path in (_TREE / source).rglob("*.py")
        for package in _imports(ast.parse(path.read_text()))
        if package not in sys.stdlib_module_names and package != "collab"
        if not {canonicalize_name(name) for name in distributions.get(package, ())} & installed
    }
    assert not undeclared
