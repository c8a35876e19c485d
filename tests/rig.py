"""The engine between a bucket and a container, connected as a task connects it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline import Pipeline, PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from requests import Session, get

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.s3.params import Operation, Params
from airflow_s3_azure.engine.s3.source import S3Source

if TYPE_CHECKING:
    from azure.storage.blob import BlobBlock, ContainerClient
    from botocore.client import BaseClient

    from tests.conftest import Bucket


class Rig:
    """Copies from a bucket to a container over connections of its own, and records what it signs and sends.

    :param signer: signs the URLs; the bucket's own client by default
    :param container_url: URL of the container; by default that of its client
    :param read_timeout: seconds, at both endpoints
    :param s3_verify: what S3's certificate is verified with: a CA bundle, or True for what the system trusts
    :param azure_verify: the same for Azure's
    :ivar signed: the operation and the range of each URL, in order
    :ivar sent: the method and the ``comp`` of each request to Azure
    :ivar before_get: called with the number of each signed GET, from 0
    :ivar url_seconds: for which a URL is valid
    """

    def __init__(
        self,
        bucket: Bucket,
        container: ContainerClient,
        *,
        signer: BaseClient | None = None,
        container_url: str | None = None,
        read_timeout: float = 60.0,
        s3_verify: str | bool = True,
        azure_verify: str | bool = True,
    ) -> None:
        self.bucket = bucket
        self.container = container
        self.signed: list[tuple[str, str]] = []
        self.urls: list[str] = []
        self.sent: list[str] = []
        self.before_get: Callable[[int], object] = lambda number: None
        self.url_seconds = 3600
        self.cancellation = Cancellation()
        self._signer = bucket.client if signer is None else signer
        self._sessions = Session(), Session()
        s3, azure = self._sessions
        s3.verify, azure.verify = s3_verify, azure_verify
        self.source = S3Source(bucket.name, self.presign, s3, self.cancellation, read_timeout=read_timeout)
        connections = Connections(azure, self.cancellation, connect_timeout=20.0, read_timeout=read_timeout)
        policies = [_Recorder(self.sent), container.credential]
        pipeline: Pipeline[Any, Any] = Pipeline(ConnectionsTransport(connections), policies)
        self.blobs = BlobContainer(ContainerAddress(container_url or container.url), pipeline, self.cancellation)

    def close(self) -> None:
        """Close all connections."""
        for session in self._sessions:
            session.close()

    def copy(self, *wanted: CopyRequest, options: CopyOptions, threads: int = 3) -> list[CopyResult]:
        """Copy objects and return their results."""
        options = replace(options, max_concurrency=threads)
        return list(copy_objects(wanted, self.source, self.blobs, options, self.cancellation))

    def exists(self, blob: str) -> bool:
        """Return whether a blob is visible."""
        return bool(self.container.get_blob_client(blob).exists())

    def read(self, blob: str) -> bytes:
        """Return a committed blob's bytes, as the SDK reads them."""
        return bytes(self.container.download_blob(blob).readall())

    def staged(self, blob: str) -> list[BlobBlock]:
        """Return a blob's uncommitted blocks, as the SDK lists them."""
        try:
            return self.container.get_blob_client(blob).get_block_list("uncommitted")[1]
        except ResourceNotFoundError:
            return []

    def presign(self, operation: Operation, params: Params) -> str:
        """Return a URL for one request."""
        if operation == "get_object":
            self.before_get(sum(name == "get_object" for name, _ in self.signed))
        self.signed.append((operation, str(params.get("Range", ""))))
        arguments = {"Bucket": self.bucket.name, **params}
        self.urls.append(str(self._signer.generate_presigned_url(operation, arguments, self.url_seconds)))
        return self.urls[-1]


def wait_until_expired(url: str, headers: dict[str, str] | None = None) -> None:
    """Wait until S3 refuses a presigned URL because it has expired."""
    deadline = time.monotonic() + 60
    while "Request has expired" not in get(url, headers=headers, timeout=30).text:
        assert time.monotonic() < deadline


class _Recorder(SansIOHTTPPolicy[Any, Any]):
    def __init__(self, sent: list[str]) -> None:
        self._sent = sent

    def on_request(self, request: PipelineRequest[Any]) -> None:
        query = request.http_request.query
        self._sent.append(f"{request.http_request.method} {query.get('comp', 'blob')}")
