"""What the tests of the engine share."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Check that the test leaves no thread alive that it did not find."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) - before == set()
