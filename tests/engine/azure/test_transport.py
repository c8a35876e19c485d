"""azure-core's requests over our connections, against a server that sends what a test scripts."""

from __future__ import annotations

from contextlib import closing

import pytest
import requests
from azure.core.rest import HttpRequest

from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from tests.engine.http.scripted import ScriptedServer

KIB = 1024


@pytest.mark.parametrize(
    ("method", "status", "size"),
    [("GET", 200, 1024 * KIB), ("GET", 503, 64 * KIB), ("PUT", 409, 64 * KIB), ("PUT", 200, 64 * KIB)],
    ids=["a block list", "an error of a GET", "an error of a PUT", "a page of a proxy"],
)
def test_only_a_block_list_may_be_long(method: str, status: int, size: int) -> None:
    """Of any other body no more than 64 KiB are held in memory, per worker."""
    body = bytes(1024 * KIB)
    with closing(
        ScriptedServer(b"HTTP/1.1 %d A\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
    ) as server:
        session = requests.Session()
        session.trust_env = False
        with ConnectionsTransport(Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)) as transport:
            answer = transport.send(HttpRequest(method, server.url))

    assert (answer.status_code, len(answer.content)) == (status, size)
