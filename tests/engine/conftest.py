"""What the tests of the engine share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.engine.copy_rig import CopyRig


@pytest.fixture
def rig(bucket: Bucket, container: ContainerClient) -> CopyRig:
    """A rig between an empty bucket and an empty container."""
    from tests.engine.copy_rig import CopyRig

    return CopyRig(bucket, container)


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Check that the test leaves no thread alive that it did not find."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) - before == set()
