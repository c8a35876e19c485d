"""A rig in both modes, between S3 and an Azurite that reads blocks from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from tests.rig import Rig

if TYPE_CHECKING:
    from azure.storage.blob import BlobBlock, ContainerClient

    from tests.conftest import Bucket
    from tests.fakes.reading_azurite import ReadingAzurite

BLOCK = 64 * 1024
QUICK = RetryPolicy(attempts=3, first_wait=0.01, max_wait=0.01, throttled_attempts=3)
STREAM = CopyOptions(block_size=BLOCK, retry=QUICK)
SERVER_SIDE = replace(STREAM, mode="server_side")


class ServerSideRig(Rig):
    """Copies on the server side, unless other options are given."""

    def __init__(self, bucket: Bucket, azure: ReadingAzurite, container: ContainerClient) -> None:
        super().__init__(bucket, container, container_url=azure.container_client(container.container_name).url)
        self.azure = azure
        self.url_seconds = 60

    def copy(self, *wanted: CopyRequest, options: CopyOptions = SERVER_SIDE, threads: int = 2) -> list[CopyResult]:
        """Copy objects and return their results."""
        return super().copy(*wanted, options=options, threads=threads)

    def one(self, options: CopyOptions = SERVER_SIDE, threads: int = 2) -> CopyResult:
        """Copy key ``a`` to blob ``b`` and return the result."""
        (result,) = self.copy(CopyRequest("a", "b"), options=options, threads=threads)
        return result

    def read(self, blob: str = "b") -> bytes:
        """Return a committed blob's bytes, as the SDK reads them."""
        return super().read(blob)

    def staged(self, blob: str = "b") -> list[BlobBlock]:
        """Return a blob's uncommitted blocks, as the SDK lists them."""
        return super().staged(blob)
