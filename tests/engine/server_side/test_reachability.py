"""Endpoints that Azure cannot reach are refused before any request to it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.server_side.reachability import check_reachable

AZURE = "https://account.blob.core.windows.net/container"
NAMES = {
    "minio.internal": ["10.1.2.3"],
    "s3.partner.example": ["93.184.215.14"],
    "both.example": ["10.1.2.3", "93.184.215.14"],
    "account.blob.core.windows.net": ["10.9.9.9"],  # a private endpoint, as the worker sees it
    "bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com": ["10.1.2.3"],
    "bucket.s3.eu-west-1.amazonaws.com": ["10.1.2.3"],  # private DNS of a VPC endpoint
    "azurite": ["172.18.0.3"],
    "localstack": ["172.18.0.4"],
    "localhost": ["127.0.0.1"],
}


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server of these names only."""

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        found = NAMES.get(host) or ([host] if host.replace(".", "").isdigit() or ":" in host else [])
        if not found:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("http://127.0.0.1:4566", "127.0.0.1"),
        ("http://localhost:4566", "localhost (127.0.0.1)"),
        ("http://minio.internal:9000", "minio.internal (10.1.2.3)"),
        ("https://192.168.1.7", "192.168.1.7"),
        ("https://[fe80::1]", "fe80::1"),
        ("https://[fd00::1]:9000", "fd00::1"),
        ("https://169.254.169.254", "169.254.169.254"),
        (
            "https://bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com",
            "bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com (10.1.2.3)",
        ),
    ],
)
def test_what_only_this_network_knows_is_refused(source: str, found: str) -> None:
    """The error names the mode, S3's endpoint and the remedy."""
    with pytest.raises(ConfigurationError) as caught:
        check_reachable(source, AZURE)

    # Where the long line is broken depends on the address.
    assert str(caught.value).replace("\n ", "") == (
        f"mode='server_side': Azure (account.blob.core.windows.net) cannot reach S3 at {found}: the address is private "
        "to this network; use mode='stream', or give the AWS connection an endpoint_url that is public"
    )


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("https://bucket.s3.eu-west-1.amazonaws.com", AZURE),
        ("https://s3.partner.example", AZURE),
        ("https://both.example", AZURE),
        ("https://unknown.example", AZURE),
        ("http://127.0.0.1:4566", "http://127.0.0.1:10000/devstoreaccount1/container"),
        ("http://localstack:4566", "http://azurite:10000/devstoreaccount1/container"),
    ],
)
def test_what_azure_may_reach_is_left_to_it(source: str, destination: str) -> None:
    """Public names, names that are not known here, and emulators side by side."""
    check_reachable(source, destination)
