"""The way from a bucket to a container in both modes, with a note of every request that takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import requests
from azure.core.pipeline import Pipeline

from airflow_s3_azure.engine.azure.container import BlobContainer, ContainerAddress
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import Operation, Params, S3Source

if TYPE_CHECKING:
    from azure.storage.blob import BlobBlock, ContainerClient

    from tests.conftest import Bucket
    from tests.fakes.reading_azurite import ReadingAzurite

BLOCK = 64 * 1024
QUICK = RetryPolicy(attempts=3, first_wait=0.01, max_wait=0.01, throttled_attempts=3)
STREAM = CopyOptions(block_size=BLOCK, retry=QUICK)
SERVER_SIDE = replace(STREAM, mode="server_side")


class Way:
    """The way from a bucket to a container.

    :param seconds: for which a presigned URL is good
    """

    def __init__(self, bucket: Bucket, azure: ReadingAzurite, container: ContainerClient) -> None:
        self.bucket = bucket
        self.azure = azure
        self.container = container
        self.seconds = 60
        self.signed: list[str] = []
        self.cancellation = Cancellation()
        self.source = S3Source(bucket.name, self._presign, requests.Session(), self.cancellation)
        client = azure.container_client(container.container_name)
        connections = Connections(requests.Session(), self.cancellation, connect_timeout=20, read_timeout=60)
        pipeline: Pipeline[Any, Any] = Pipeline(ConnectionsTransport(connections), [client.credential])
        self.blobs = BlobContainer(ContainerAddress(client.url), pipeline, self.cancellation)

    def copy(self, *wanted: CopyRequest, options: CopyOptions = SERVER_SIDE, threads: int = 2) -> list[CopyResult]:
        """Copy objects and return their results."""
        return list(
            copy_objects(wanted, self.source, self.blobs, replace(options, max_concurrency=threads), self.cancellation)
        )

    def one(self, options: CopyOptions = SERVER_SIDE, threads: int = 2) -> CopyResult:
        """Copy key ``a`` to blob ``b`` and return the result."""
        (result,) = self.copy(CopyRequest("a", "b"), options=options, threads=threads)
        return result

    def read(self, blob: str = "b") -> bytes:
        """Return a committed blob's bytes, as the SDK reads them."""
        return bytes(self.container.download_blob(blob).readall())

    def staged(self, blob: str = "b") -> list[BlobBlock]:
        """Return a blob's uncommitted blocks, as the SDK lists them."""
        return self.container.get_blob_client(blob).get_block_list("uncommitted")[1]

    def _presign(self, operation: Operation, params: Params) -> str:
        self.signed.append(operation)
        arguments = {"Bucket": self.bucket.name, **params}
        return str(self.bucket.client.generate_presigned_url(operation, arguments, self.seconds))
