"""A proxy before each server, and the way from an object to a blob through both."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import FaultProxy
from tests.faults.route import Way, through

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from botocore.client import BaseClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server


@pytest.fixture
def s3_proxy(shared_s3_proxy: FaultProxy) -> Iterator[FaultProxy]:
    """A proxy before the S3 server, without faults."""
    yield shared_s3_proxy
    shared_s3_proxy.heal()
    shared_s3_proxy.wait_until_idle()


@pytest.fixture
def azure_proxy(shared_azure_proxy: FaultProxy) -> Iterator[FaultProxy]:
    """A proxy before Azurite, without faults."""
    yield shared_azure_proxy
    shared_azure_proxy.heal()
    shared_azure_proxy.wait_until_idle()


@pytest.fixture
def way(make_way: Callable[[], Way]) -> Way:
    """The way from an object that is not there yet to a blob that is not there yet."""
    return make_way()


@pytest.fixture
def make_way(
    shared_bucket: Bucket,
    shared_container: ContainerClient,
    s3_signer: BaseClient,
    s3_proxy: FaultProxy,
    azure_proxy: FaultProxy,
) -> Callable[[], Way]:
    """Makes as many ways as are needed."""
    return lambda: Way(
        shared_bucket,
        shared_container,
        signer=s3_signer,
        s3=s3_proxy,
        azure=azure_proxy,
        name=secrets.token_hex(6),
    )


@pytest.fixture(scope="session")
def shared_bucket(s3_server: S3Server) -> Bucket:
    """A bucket for all tests: a client for each would take longer than the test."""
    from tests.conftest import Bucket

    return Bucket(s3_server, f"source-{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def shared_container(azure_server: AzureServer) -> ContainerClient:
    """A container for all tests."""
    return azure_server.container_client(f"destination-{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def shared_s3_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    """A proxy before the S3 server."""
    with FaultProxy("127.0.0.1", s3_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def shared_azure_proxy(azure_server: AzureServer) -> Iterator[FaultProxy]:
    """A proxy before Azurite."""
    with FaultProxy("127.0.0.1", azure_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def s3_signer(s3_server: S3Server, shared_s3_proxy: FaultProxy) -> BaseClient:
    """A client that signs for the S3 server as it is reached through the proxy."""
    return through(s3_server, shared_s3_proxy).client()
