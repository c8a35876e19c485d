"""A preflight between the two servers, each behind a proxy that breaks what a test wants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_s3_azure.connections.preflight_run import run_checks
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.preflight import feature_checks
from airflow_s3_azure.preflight.preflight_options import PreflightOptions
from airflow_s3_azure.preflight.preflight_report import CheckResult, PreflightReport
from tests.faults.proxy import FaultProxy
from tests.faults.route import azure_through, through

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, CertificateAuthority, S3Server

PREFIX = "data/"
KEY = f"{PREFIX}key"
SIZE = 100_000


@dataclass
class Preflight:
    """A bucket with one object, an empty container, and the proxies before both."""

    bucket: Bucket
    container: ContainerClient
    s3: FaultProxy
    azure: FaultProxy
    cancellation: Cancellation

    def report(self, **options: Any) -> PreflightReport:
        """Run a preflight."""
        endpoints = Endpoints(self.bucket.name, str(self.container.container_name))
        return run_checks(endpoints, PreflightOptions(**{"s3_prefix": PREFIX, **options}), self.cancellation)

    def results(self, **options: Any) -> dict[str, CheckResult]:
        """Run a preflight, and return the results by name."""
        return {one.name: one for one in self.report(**options).results}

    def blobs(self) -> list[str]:
        """Return the names of all blobs, staged ones included."""
        return [blob.name for blob in self.container.list_blobs(include=["uncommittedblobs"])]

    def objects(self) -> list[str]:
        """Return the keys of all objects."""
        return [one["Key"] for one in self.bucket.client.list_objects_v2(Bucket=self.bucket.name).get("Contents", [])]


@pytest.fixture
def scheme(request: pytest.FixtureRequest) -> str:
    """The scheme between the preflight and the proxies."""
    return str(getattr(request, "param", "http"))


@pytest.fixture
def preflight(
    bucket: Bucket,
    container: ContainerClient,
    s3_server: S3Server,
    azure_server: AzureServer,
    certificate_authority: CertificateAuthority,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Preflight]:
    """A preflight through ``aws_default`` and ``wasb_default``. Its idle connections are idle for no time."""
    monkeypatch.setattr(feature_checks, "IDLE_SECONDS", (0.0,))
    bucket.put(KEY, bytes(SIZE), ChecksumAlgorithm="CRC64NVME")
    authority = certificate_authority if scheme == "https" else None
    with ExitStack() as stack:
        s3, azure = (
            stack.enter_context(FaultProxy("127.0.0.1", server.port, authority)) for server in (s3_server, azure_server)
        )
        aws = through(s3_server, s3).airflow_connection()
        wasb = azure_through(azure_server, azure).airflow_connection()
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws))
        monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(wasb))
        yield Preflight(bucket, container, s3, azure, Cancellation())
