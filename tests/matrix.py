"""The matrix: which client library was shown to do what, by the tests that show it.

A test with ``@pytest.mark.matrix(FEATURE)`` fills a cell: that of its parameter ``kind``, or of the
``client=`` the marker names. A cell is filled when all its tests passed. ``make matrix`` runs them
and keeps what they showed in ``RESULTS``, of which ``docs/reference/clients.md`` is made.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import pytest

RESULTS = Path(__file__).parent / "clients" / "matrix.json"
FEATURES = (
    "sync",
    "offline merge",
    "presence",
    "read-only",
    "ack",
    "token refresh",
    "big document",
)
PAGE_TEST = "test_the_page_on_clients_claims_what_the_tests_show"
"""What comes after all others, to compare the page with what they showed."""

MATRIX_MODULES = (
    "tests/e2e/test_clients.py",
    "tests/e2e/test_pycrdt.py",
    "tests/e2e/test_matrix.py",
)
"""Where tests fill cells, and where they are read: what one process has to run."""

KEEPS = os.environ.get("COLLAB_MATRIX") == "1"


class Library(Protocol):
    """A client library."""

    @property
    def package(self) -> str:
        """What people install or import."""
        ...

    @property
    def release(self) -> str:
        """The version that is tested."""
        ...

    @property
    def path(self) -> str:
        """Where it connects."""
        ...


Row = tuple[str, str, str]
"""Package, release and path of a library."""


@dataclass(slots=True)
class Matrix:
    """What the tests of a session show.

    Attributes:
        planned: the features that tests are there for, whether they run or not, by library.
        shown: whether the tests that ran passed, by library and feature.
    """

    planned: dict[Row, dict[str, None]] = field(default_factory=dict)
    shown: dict[Row, dict[str, bool]] = field(default_factory=dict)

    def plan(self, item: pytest.Item) -> None:
        """Takes in a test that was collected."""
        for row, feature in _cells(item):
            self.planned.setdefault(row, {})[feature] = None

    def note(self, item: pytest.Item, *, passed: bool) -> None:
        """Takes in how a test, or its setup, went."""
        for row, feature in _cells(item):
            features = self.shown.setdefault(row, {})
            features[feature] = features.get(feature, True) and passed

    def claims(self) -> list[dict[str, object]]:
        """What may be claimed, as it is kept."""
        return [
            {
                "package": package,
                "release": release,
                "path": path,
                "features": [name for name in FEATURES if features.get(name)],
            }
            for (package, release, path), features in self.shown.items()
        ]


MATRIX = pytest.StashKey[Matrix]()


def read_claims() -> dict[Row, list[str]]:
    """What was kept: the features that were shown, by library."""
    kept = json.loads(RESULTS.read_text())
    return {(row["package"], row["release"], row["path"]): row["features"] for row in kept}


def pytest_configure(config: pytest.Config) -> None:
    """Begins with nothing."""
    config.stash[MATRIX] = Matrix()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sees all tests before some are left out; puts the one about the page last."""
    for item in items:
        config.stash[MATRIX].plan(item)
    items.sort(key=lambda item: item.name == PAGE_TEST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> "pytest.TestReport":  # type: ignore[misc]
    """Sees how each test went."""
    report = yield
    if report.when == "call" or report.failed:
        item.config.stash[MATRIX].note(item, passed=report.passed)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keeps what was shown, where that was asked for."""
    if KEEPS:
        claims = session.config.stash[MATRIX].claims()
        RESULTS.write_text(json.dumps(claims, indent=2) + "\n")


def _cells(item: pytest.Item) -> list[tuple[Row, str]]:
    cells = []
    for marker in item.iter_markers("matrix"):
        (feature,) = marker.args
        if item.nodeid.partition("::")[0] not in MATRIX_MODULES:
            raise pytest.UsageError(f"expected one of {MATRIX_MODULES}, got {item.nodeid}")
        if feature not in FEATURES:
            raise pytest.UsageError(f"expected one of {FEATURES}, got {feature!r}")
        library: Library = marker.kwargs["client"] if marker.kwargs else _parameter(item)
        cells.append(((library.package, library.release, library.path), feature))
    return cells


def _parameter(item: pytest.Item) -> Library:
    assert isinstance(item, pytest.Function)
    return cast(Library, item.callspec.params["kind"])
