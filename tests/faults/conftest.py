"""A proxy before each server, over plain HTTP or TLS, and the route from an object to a blob through both."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Literal

import pytest

from tests.faults.proxy import FaultProxy
from tests.faults.route import Route, through

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from botocore.client import BaseClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, CertificateAuthority, S3Server

Scheme = Literal["http", "https"]
MakeProxy = Callable[[int, Scheme], FaultProxy]


@pytest.fixture
def scheme(request: pytest.FixtureRequest) -> Scheme:
    """The scheme between the client and the proxies: HTTP by default (see ``OVER_BOTH``)."""
    chosen: Scheme = getattr(request, "param", "http")
    return chosen


@pytest.fixture
def s3_proxy(s3_server: S3Server, scheme: Scheme, shared_proxy: MakeProxy) -> Iterator[FaultProxy]:
    """A proxy before the S3 server, without faults."""
    proxy = shared_proxy(s3_server.port, scheme)
    yield proxy
    proxy.heal()
    proxy.wait_until_idle()


@pytest.fixture
def azure_proxy(azure_server: AzureServer, scheme: Scheme, shared_proxy: MakeProxy) -> Iterator[FaultProxy]:
    """A proxy before Azurite, without faults."""
    proxy = shared_proxy(azure_server.port, scheme)
    yield proxy
    proxy.heal()
    proxy.wait_until_idle()


@pytest.fixture
def route(make_route: Callable[[], Route]) -> Route:
    """The route from an object that does not exist yet to a blob that does not exist yet."""
    return make_route()


@pytest.fixture
def make_route(
    shared_bucket: Bucket,
    shared_container: ContainerClient,
    s3_signers: Callable[[FaultProxy], BaseClient],
    s3_proxy: FaultProxy,
    azure_proxy: FaultProxy,
) -> Callable[[], Route]:
    """Makes routes."""
    return lambda: Route(
        shared_bucket,
        shared_container,
        signer=s3_signers(s3_proxy),
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
def shared_proxy(certificate_authority: CertificateAuthority) -> Iterator[MakeProxy]:
    """Returns the proxy before a port for a scheme, the same one each time."""
    made: dict[tuple[int, Scheme], FaultProxy] = {}

    with ExitStack() as running:

        def proxy(port: int, scheme: Scheme) -> FaultProxy:
            if (port, scheme) not in made:
                authority = certificate_authority if scheme == "https" else None
                made[port, scheme] = running.enter_context(FaultProxy("127.0.0.1", port, authority))
            return made[port, scheme]

        yield proxy


@pytest.fixture(scope="session")
def s3_signers(s3_server: S3Server) -> Callable[[FaultProxy], BaseClient]:
    """Returns the client that signs for the S3 server as it is reached through a proxy, the same one each time."""
    return cache(lambda proxy: through(s3_server, proxy).client())
