"""What a response makes the Azure SDK raise: always an AzureError, or an error of this package."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient

from airflow_s3_azure.engine.azure.sdk_errors import describe_response, sdk_request, translate
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.sync.lines_reader import etag_of, read_lines
from tests.fakes.canned_server import CannedServer, canned_server

BODIES = [
    b"",
    b"<Error><Code>AuthorizationFailure</Code></Error>",
    b"<Error><Code>AuthorizationFailure</Code><Message/></Error>",
    b"<Error><Message>one</Message><message/></Error>",
    b'{"error": {"code": "AuthorizationFailure"}}',
    b'{"error": "text"}',
    b"[]",
    b"<html><body>Log in</body></html>",
    b"<unclosed",
    b"\xff\xfe\x00",
]


@pytest.fixture(scope="module")
def server() -> Iterator[CannedServer]:
    """A running server."""
    with canned_server() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: CannedServer) -> ContainerClient:
    """A client of it, without retries."""
    return ContainerClient(
        f"{server.url}/account", "container", credential=base64.b64encode(b"key").decode(), retry_total=0
    )


@pytest.mark.parametrize("status", [403, 409])
@pytest.mark.parametrize("content_type", ["application/xml", "application/json"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "read",
    [
        lambda client: list(read_lines(client, "a")),
        lambda client: etag_of(client, "a"),
    ],
    ids=["read", "etag"],
)
def test_an_error_response_is_an_error_of_this_package(
    read: Callable[[ContainerClient], Any],
    body: bytes,
    content_type: str,
    status: int,
    server: CannedServer,
    client: ContainerClient,
) -> None:
    """Also one that the SDK's parser does not expect."""
    server.status, server.body, server.headers = status, body, {"Content-Type": content_type}
    with pytest.raises(TransferError):
        read(client)


def test_the_message_of_a_malformed_response_does_not_blame_the_network() -> None:
    """Azure was reached."""
    with pytest.raises(AzureError) as caught, sdk_request():
        raise TypeError

    assert translate(caught.value, "the container could not be listed").message == (
        "the container could not be listed: malformed response (TypeError)"
    )
    assert describe_response(caught.value) == "malformed response (TypeError)"


def test_a_response_that_the_sdk_cannot_parse_is_named() -> None:
    """By what its parser raised; without the response, which may quote a credential."""
    with pytest.raises(AzureError, match=r"^malformed response \(TypeError\)$"), sdk_request():
        raise TypeError("unsupported operand: sig=secret")
