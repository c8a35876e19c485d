"""A rig between a bucket and an Azurite that reads blocks from S3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.engine.server_side.rig import ServerSideRig

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.fakes.reading_azurite import ReadingAzurite
    from tests.servers import S3Server


@pytest.fixture
def reading_connections(s3_server: S3Server, reading_azurite: ReadingAzurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Airflow connections ``aws_default`` and ``wasb_default``, to S3 and to the Azurite that reads from it."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(s3_server.airflow_connection()))
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(reading_azurite.airflow_connection()))


@pytest.fixture
def rig(bucket: Bucket, reading_azurite: ReadingAzurite, container: ContainerClient) -> ServerSideRig:
    """A rig between an empty bucket and an empty container."""
    return ServerSideRig(bucket, reading_azurite, container)
