"""What LocalStack and Azurite sent is read the same when the scripted server sends it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from tests.fakes.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from tests.conftest import Bucket
    from tests.servers import AzureServer

pytestmark = pytest.mark.servers

DATA = bytes(range(256)) * 10


@pytest.fixture
def connections() -> Iterator[Connections]:
    """This client."""
    session = requests.Session()
    session.trust_env = False
    with closing(Connections(session, Cancellation(), connect_timeout=20, read_timeout=60)) as made:
        yield made


def _recorded(method: str, url: str, headers: dict[str, str]) -> bytes:
    """Return the bytes of a response, up to the end of the connection."""
    parts = urlsplit(url)
    fields = {"Host": parts.netloc, "Connection": "close", **headers}
    head = f"{method} {parts.path}?{parts.query} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items())
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(f"{head}\r\n".encode())
        while data := connection.recv(65536):
            received += data
    return received


def _read(connections: Connections, method: str, url: str, headers: dict[str, str]) -> tuple[int, list[str], bytes]:
    """Return the status, the names of the headers, and the body without what differs from request to request."""
    with connections.send(method, url, {"Connection": "close", **headers}) as response:
        body = re.sub(rb"<RequestId>[^<]*|<HostId>[^<]*|RequestId:\S*|Time:\S*", b"", response.read(2**20))
        return response.status_code, sorted(name.lower() for name in response.headers), body


def _assert_read_alike(connections: Connections, method: str, url: str, headers: dict[str, str]) -> None:
    expected = _read(connections, method, url, headers)

    with closing(ScriptedServer(_recorded(method, url, headers), pieces=100)) as server:
        found = _read(connections, method, server.url, {})

    assert found == expected


@pytest.mark.parametrize("byte_range", ["", "bytes=100-1099", "bytes=9000-"])
@pytest.mark.parametrize("key", ["key", "missing"])
def test_responses_of_localstack(connections: Connections, bucket: Bucket, key: str, byte_range: str) -> None:
    """A whole object, a range, a range that is not satisfiable, and a missing key."""
    bucket.put("key", DATA)
    params = {"Bucket": bucket.name, "Key": key, **({"Range": byte_range} if byte_range else {})}
    headers = {"Range": byte_range} if byte_range else {}

    _assert_read_alike(connections, "GET", bucket.client.generate_presigned_url("get_object", params), headers)


@pytest.mark.parametrize("query", ["restype=container&comp=list", "restype=container&comp=list&maxresults=x"])
def test_responses_of_azurite(connections: Connections, azure_server: AzureServer, bucket: Bucket, query: str) -> None:
    """A document in chunks, and an error."""
    name = bucket.name
    azure_server.container_client(name).upload_blob("blob", DATA)
    url = f"{azure_server.endpoint}/{name}?{query}&{_sas(azure_server, name)}"

    _assert_read_alike(connections, "GET", url, {"x-ms-version": "2023-11-03"})


def _sas(server: AzureServer, container: str) -> str:
    from datetime import UTC, datetime, timedelta

    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    return generate_container_sas(
        server.account,
        container,
        account_key=server.key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
