"""The route from an object to a blob with a proxy at each endpoint, and the names of its requests."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pytest
from azure.core.exceptions import ResourceNotFoundError

from airflow_s3_azure.engine.errors import DestinationWriteError, SourceReadError, TransferError
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from tests.rig import Rig

if TYPE_CHECKING:
    from azure.storage.blob import BlobBlock, ContainerClient
    from botocore.client import BaseClient

    from tests.conftest import Bucket
    from tests.faults.http1 import Request
    from tests.faults.proxy import FaultProxy
    from tests.servers import AzureServer, S3Server


@dataclass(frozen=True, slots=True)
class Step:
    """One of the requests that a copy consists of.

    :param sends: whether the request has a body
    :param gets: whether the response has a body
    :param is_small: whether only an object of one block takes it
    """

    service: Literal["s3", "azure"]
    matches: Callable[[Request], bool]
    sends: bool = False
    gets: bool = False
    is_small: bool = False

    @property
    def error(self) -> type[TransferError]:
        """The error of a copy if the request never succeeds."""
        return SourceReadError if self.service == "s3" else DestinationWriteError

    @property
    def refusals(self) -> tuple[str, str, str]:
        """The server's names for the statuses 503, 500 and 429."""
        if self.service == "s3":
            return "SlowDown", "InternalError", "TooManyRequests"
        return "ServerBusy", "InternalError", "OperationTimedOut"


def is_request(method: str, comp: str | None = None, *, ranged: bool | None = None) -> Callable[[Request], bool]:
    """Return a predicate on a request's method, its ``comp`` in the query, and whether it has a Range header."""

    def matches(request: Request) -> bool:
        if request.method != method or request.query.get("comp") != comp:
            return False
        return ranged is None or ranged == ("range" in request.headers)

    return matches


STEPS = {
    "s3-head": Step("s3", is_request("HEAD")),
    "s3-get": Step("s3", is_request("GET", ranged=True), gets=True),
    "s3-get-whole": Step("s3", is_request("GET", ranged=False), gets=True, is_small=True),
    "azure-head": Step("azure", is_request("HEAD")),
    "azure-list": Step("azure", is_request("GET", "blocklist"), gets=True),
    "azure-stage": Step("azure", is_request("PUT", "block"), sends=True),
    "azure-commit": Step("azure", is_request("PUT", "blocklist"), sends=True),
    "azure-put": Step("azure", is_request("PUT"), sends=True, is_small=True),
}


def through(server: S3Server, proxy: FaultProxy) -> S3Server:
    """Return the same S3 server as it is reached through a proxy, for clients and connections."""
    proxied = copy.copy(server)
    proxied.endpoint_url = proxy.url
    proxied.ca_bundle = None if proxy.authority is None else proxy.authority.bundle
    return proxied


def azure_through(server: AzureServer, proxy: FaultProxy) -> AzureServer:
    """Return the same Azurite as it is reached through a proxy, for clients and connections."""
    proxied = copy.copy(server)
    proxied.endpoint = f"{proxy.url}/{server.account}"
    proxied.ca_bundle = None if proxy.authority is None else proxy.authority.bundle
    return proxied


OVER_BOTH = pytest.mark.parametrize("scheme", ["http", "https"], indirect=True)
"""Marks a test that runs over plain HTTP, and again over TLS."""
OVER_TLS = pytest.mark.parametrize("scheme", ["https"], indirect=True)


def verified_with(proxy: FaultProxy) -> str | bool:
    """Return what a client verifies a proxy's certificate with: a CA bundle, or what the system trusts."""
    return True if proxy.authority is None else str(proxy.authority.bundle)


class Route:
    """From an object to a blob, through two proxies.

    :param signer: a boto3 client of the S3 server as it is reached through ``s3``
    :param name: of the object and of the blob
    """

    def __init__(
        self,
        bucket: Bucket,
        container: ContainerClient,
        *,
        signer: BaseClient,
        s3: FaultProxy,
        azure: FaultProxy,
        name: str,
    ) -> None:
        self.name = name
        self.bucket = bucket
        self.container = container
        self.s3 = s3
        self.azure = azure
        self._signer = signer

    def proxy(self, step: Step) -> FaultProxy:
        """Return the proxy that a request goes through."""
        return self.s3 if step.service == "s3" else self.azure

    def heal(self) -> None:
        """End all faults, and wait until nothing is in flight."""
        for proxy in (self.s3, self.azure):
            proxy.heal()
            proxy.wait_until_idle()

    def put(self, body: bytes) -> None:
        """Upload the object, with a CRC-64/NVME."""
        self.bucket.put(self.name, body, ChecksumAlgorithm="CRC64NVME")

    def copy(self, options: CopyOptions, *, threads: int = 3, read_timeout: float = 30.0) -> CopyResult:
        """Copy the object to the blob, over new connections, and return the result.

        :param read_timeout: seconds, at both endpoints
        """
        rig = Rig(
            self.bucket,
            self.container,
            signer=self._signer,
            container_url=f"{self.azure.url}/{self.container.account_name}/{self.container.container_name}",
            read_timeout=read_timeout,
            s3_verify=verified_with(self.s3),
            azure_verify=verified_with(self.azure),
        )
        with closing(rig):
            (result,) = rig.copy(CopyRequest(self.name, self.name), options=options, threads=threads)
        return result

    def exists(self) -> bool:
        """Return whether the blob is visible, without the proxy."""
        return bool(self.container.get_blob_client(self.name).exists())

    def read(self) -> bytes | None:
        """Return the committed blob's bytes, as the SDK reads them without the proxy, or None if there is no blob."""
        return bytes(self.container.download_blob(self.name).readall()) if self.exists() else None

    def staged(self) -> list[BlobBlock]:
        """Return the blob's uncommitted blocks, as the SDK lists them without the proxy."""
        try:
            return self.container.get_blob_client(self.name).get_block_list("uncommitted")[1]
        except ResourceNotFoundError:
            return []
