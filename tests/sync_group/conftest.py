"""A sync between an empty bucket and an empty container, and the log of its tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.sync_group.nights import Sync

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket


@pytest.fixture
def sync(bucket: Bucket, container: ContainerClient, connections: None) -> Sync:  # noqa: ARG001 - a fixture
    """A sync from the bucket to the container."""
    return Sync(bucket, container)


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Reads all that tasks logged, and their errors, since the last call."""

    def read() -> str:
        out = capfd.readouterr()
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_s3_azure")]
        caplog.clear()
        return "\n".join([*lines, out.out, out.err])

    return read
