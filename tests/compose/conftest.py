"""`test_compose.py` takes minutes and builds images: it is run only where it is asked for by name (`make test-compose`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import Stack
from tests.conftest import started

SLOW = "test_compose.py"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """True: leave it out."""
    asked_for = any(SLOW in argument for argument in config.args)
    return True if collection_path.name == SLOW and not asked_for else None


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole stack of `docker-compose.yml`, up and well, on an Engine of its own."""
    stack = started(Stack)
    yield stack
    stack.stop()
