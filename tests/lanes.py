"""Lanes: which tests share the machine with others, and which have it to themselves.

``python -m tests`` runs one lane after the other. In the shared lane several processes take
modules in turns; the tests of a module stay together and in order, for the sake of the fixtures
they share, and so do those that fill the matrix. Marked ``alone`` is what measures how fast an
answer comes, or how much memory something takes; a deadline that leaves room is no reason for it.
"""

from enum import StrEnum

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.matrix import MATRIX_MODULES

_WHOLE = "whole"
_LONG = ("tests/durability/", "tests/e2e/", "tests/load/", "tests/soak/")
"""Where modules take long, most of it in waiting for clients and servers."""


class Lane(StrEnum):
    """What a run is for; a run without a lane takes all tests."""

    SHARED = "shared"
    ALONE = "alone"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--lane``."""
    parser.addoption(
        "--lane",
        type=Lane,
        choices=list(Lane),
        help="run only the tests that may share the machine, or only those marked `alone`",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tells a process of the shared lane, which is given its tests by name, whether it is all."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    node.workerinput[_WHOLE] = is_whole(config)  # type: ignore[attr-defined]


def is_whole(config: pytest.Config) -> bool:
    """Whether nobody chose among the tests by path."""
    given: dict[str, bool] | None = getattr(config, "workerinput", None)
    if given is not None:
        return given[_WHOLE]
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS


class _ByModule(LoadScopeScheduling):  # type: ignore[misc]
    """Deals out modules; those that fill the matrix, and the one that reads it, as one."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "matrix" if module in MATRIX_MODULES else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Deals out tests as this lane needs it, whatever `--dist` says."""
    return _ByModule(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what belongs to the other lane."""
    lane: Lane | None = config.getoption("lane")
    if lane is not None:
        chosen = [item for item in items if _lane(item) is lane]
        config.hook.pytest_deselected(items=[item for item in items if _lane(item) is not lane])
        items[:] = chosen
    if hasattr(config, "workerinput"):
        # Longest first: what comes last should be short, so that no process waits for another.
        items.sort(key=_turn)


def _lane(item: pytest.Item) -> Lane:
    return Lane.SHARED if item.get_closest_marker("alone") is None else Lane.ALONE


def _turn(item: pytest.Item) -> int:
    if item.nodeid.partition("::")[0] in MATRIX_MODULES:
        return 0
    return 1 if item.nodeid.startswith(_LONG) else 2
