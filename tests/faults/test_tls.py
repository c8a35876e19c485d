"""What only TLS has: certificates, its versions, and a response that a refused body must not hide."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.connections import open_bucket, open_container
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    DestinationConflict,
    DestinationWriteError,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.retry import RetryPolicy
from tests.faults.proxy import FaultProxy, Refuse
from tests.faults.route import STEPS, azure_through, through

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, CertificateAuthority, S3Server

pytestmark = pytest.mark.servers

VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name
)
BLOCK = 32 * MIB
"""More than the buffers of a connection hold, so that a body is refused while it is being sent."""


@pytest.fixture
def version() -> ssl.TLSVersion | None:
    """The only version of TLS that the servers accept; None: 1.2 and 1.3."""
    return None


@dataclass
class Servers:
    """Both servers over TLS, and their Airflow connections."""

    s3: FaultProxy
    azure: FaultProxy
    aws: dict[str, object]
    wasb: dict[str, object]


@pytest.fixture
def servers(
    s3_server: S3Server,
    azure_server: AzureServer,
    certificate_authority: CertificateAuthority,
    version: ssl.TLSVersion | None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Servers]:
    """Both servers over TLS, as ``aws_default`` and ``wasb_default``, which name the CA bundle."""
    with ExitStack() as stack:
        s3, azure = (
            stack.enter_context(FaultProxy("127.0.0.1", server.port, certificate_authority, version))
            for server in (s3_server, azure_server)
        )
        made = Servers(
            s3,
            azure,
            through(s3_server, s3).airflow_connection(),
            azure_through(azure_server, azure).airflow_connection(),
        )
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(made.aws))
        monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(made.wasb))
        yield made


def copy(bucket: Bucket, container: ContainerClient) -> CopyResult:
    """Copy the object ``key`` through the two connections."""
    cancellation = Cancellation()
    source = open_bucket("aws_default", bucket.name, cancellation, max_concurrency=2)
    sink = open_container("wasb_default", str(container.container_name), cancellation)
    options = CopyOptions(block_size=MIB, max_concurrency=2)
    (result,) = copy_objects([CopyRequest("key", "blob")], source.source, sink.blobs, options, cancellation)
    return result


@VERSIONS
@pytest.mark.usefixtures("servers")
def test_the_connections_verify_with_the_bundle_that_they_name(bucket: Bucket, container: ContainerClient) -> None:
    """`verify` of the AWS connection and `connection_verify` of the wasb connection, over TLS 1.2 and 1.3."""
    bucket.put("key", bytes(3 * MIB))

    result = copy(bucket, container)

    assert (result.status, result.error, result.retries) == ("copied", None, 0)
    assert container.download_blob("blob").readall() == bytes(3 * MIB)


def test_the_environment_may_name_the_bundle(
    bucket: Bucket,
    container: ContainerClient,
    servers: Servers,
    certificate_authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`AWS_CA_BUNDLE` and `REQUESTS_CA_BUNDLE`, where the connections name none."""
    bucket.put("key", b"content")
    extra = {name: value for name, value in dict(servers.aws["extra"]).items() if name != "verify"}  # type: ignore[call-overload]
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(servers.aws | {"extra": extra}))
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(servers.wasb | {"extra": {}}))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate_authority.bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate_authority.bundle))

    assert copy(bucket, container).status == "copied"


def test_a_server_with_an_untrusted_certificate_gets_no_request(
    bucket: Bucket, container: ContainerClient, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the bundle the error names the certificate, and neither server sees a request."""
    bucket.put("key", b"content")
    cancellation = Cancellation()
    extra = {name: value for name, value in dict(servers.aws["extra"]).items() if name != "verify"}  # type: ignore[call-overload]
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(servers.aws | {"extra": extra}))
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(servers.wasb | {"extra": {}}))
    monkeypatch.setattr("airflow_s3_azure.connections.wasb.CHECK_RETRY", RetryPolicy(attempts=1))

    source = open_bucket("aws_default", bucket.name, cancellation, max_concurrency=2)
    with pytest.raises(SourceReadError, match="TLS certificate not accepted"):
        source.source.head("key")
    with pytest.raises(DestinationWriteError, match="TLS certificate not accepted"):
        open_container("wasb_default", str(container.container_name), cancellation)

    assert (servers.s3.requests, servers.azure.requests) == (0, 0)


@VERSIONS
@pytest.mark.parametrize(
    ("status", "code", "retry_after", "error"),
    [(503, "ServerBusy", 7, DestinationWriteError), (409, "BlobArchived", None, DestinationConflict)],
)
def test_the_response_to_a_body_that_is_refused_early_is_seen(
    container: ContainerClient,
    servers: Servers,
    status: int,
    code: str,
    retry_after: int | None,
    error: type[TransferError],
) -> None:
    """The server responds and closes while the body is being sent: the error has the response's status and code."""
    blobs = open_container("wasb_default", str(container.container_name), Cancellation()).blobs
    servers.azure.strike(Refuse(status, code, retry_after, early=True), STEPS["azure-stage"].matches, times=None)

    for _ in range(5):
        with pytest.raises(error, match=f"{status} {code}") as raised:
            blobs.stage("blob", "0001", memoryview(bytes(BLOCK)), 0)

        assert raised.value.retry_after == retry_after
