"""A container of copies that is audited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.sync.audit.audited_container import AuditedContainer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


@pytest.fixture
def audited(container: ContainerClient) -> Iterator[AuditedContainer]:
    """An empty container, without connections to S3."""
    audited = AuditedContainer(container)
    yield audited
    audited.close()
