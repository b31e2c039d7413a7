"""Event loops to run the server's tests on, and what servers leave behind there."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def collected() -> Iterator[None]:
    """Has what servers leave to the collector collected here, where warnings of it are let be."""
    yield
    gc.collect()
