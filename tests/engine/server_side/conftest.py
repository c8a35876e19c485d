"""An Azurite that reads from elsewhere, and a way to it from a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.engine.server_side.azure import PullingAzure, pulling
from tests.engine.server_side.route import Way

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server


@pytest.fixture
def azure(azure_server: AzureServer) -> Iterator[PullingAzure]:
    """The running Azurite, behind a proxy of this test's own."""
    with pulling(azure_server) as proxy:
        yield proxy


@pytest.fixture
def pulling_connections(s3_server: S3Server, azure: PullingAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Airflow connections ``aws_default`` and ``wasb_default``, to S3 and to the Azurite that can pull."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(s3_server.airflow_connection()))
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(azure.airflow_connection()))


@pytest.fixture
def way(bucket: Bucket, azure: PullingAzure, container: ContainerClient) -> Way:
    """A way from an empty bucket to an empty container."""
    return Way(bucket, azure, container)
