"""Stores to run the conformance suite over, and event loops to run it on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Store


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _memory_stores(_directory: Path) -> Callable[[], Store]:
    store = MemoryStore()
    return lambda: store


def _sqlite_stores(directory: Path) -> Callable[[], Store]:
    return lambda: SQLiteStore(directory / "collab.db")


@pytest.fixture(params=[_memory_stores, _sqlite_stores], ids=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes stores, not yet entered, over the same documents, as restarts do."""
    stores: Callable[[Path], Callable[[], Store]] = request.param
    return stores(tmp_path)
