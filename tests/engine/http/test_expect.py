"""After throttling, a large body waits for an invitation: ``Expect: 100-continue`` (RFC 9110, 10.1.1). Over TLS as well."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http import connection as connection_module
from airflow_s3_azure.engine.http.client import LARGE_BODY, Connections
from tests.fakes.scripted_server import EMPTY, ScriptedServer
from tests.servers.tls import CertificateAuthority

BODY = memoryview(bytes(range(256)) * (LARGE_BODY // 256))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def throttling(status: int) -> bytes:
    """Return a response that throttles."""
    return b"HTTP/1.1 %d Busy\r\nContent-Length: 0\r\n\r\n" % status


def put(connections: Connections, server: ScriptedServer, body: memoryview = BODY) -> int:
    """Send a body and return the status of the response."""
    with connections.send("PUT", server.url + "/a", {"Content-Length": str(len(body))}, body) as response:
        return response.status_code


def expecting(server: ScriptedServer) -> list[bool]:
    """Return which requests waited for an invitation."""
    return ["Expect: 100-continue" in head.split("\r\n") for head in server.heads]


def invite(server: ScriptedServer) -> Callable[[socket.socket], object]:
    """Return what invites each body that waits."""
    return lambda connection: connection.sendall(CONTINUE) if expecting(server)[-1] else None


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_next_large_body_after_throttling_waits_for_an_invitation(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    connections: Connections,
    authority: CertificateAuthority,
    status: int,
    scheme: str,
) -> None:
    """Those before it do not, and those after it do not once it was accepted. A small one never does."""
    session.verify = str(authority.bundle)
    context = authority.server_context() if scheme == "https" else None
    server = serve(EMPTY, throttling(status), EMPTY, EMPTY, EMPTY, context=context)
    server.before_body = invite(server)

    found = [put(connections, server, body) for body in (BODY, BODY, BODY[:1000], BODY, BODY)]

    assert found == [200, status, 200, 200, 200]
    assert expecting(server) == [False, False, False, True, False]
    assert server.bodies == [bytes(BODY), bytes(BODY), bytes(BODY[:1000]), bytes(BODY), bytes(BODY)]


def test_a_rejected_body_is_not_sent(serve: Callable[..., ScriptedServer], connections: Connections) -> None:
    """The server responds instead of inviting it. The connection is not used again: the server may wait for the body."""
    server = serve(throttling(503), throttling(503), EMPTY)

    def reject(connection: socket.socket) -> None:
        if expecting(server) == [False, True]:
            connection.sendall(server.responses.pop(0))
            connection.settimeout(10)
            assert connection.recv(1) == b""
            raise OSError("the client closed the connection")
        invite(server)(connection)

    server.before_body = reject

    assert [put(connections, server) for _ in range(3)] == [503, 503, 200]
    assert expecting(server) == [False, True, True]
    assert server.bodies == [bytes(BODY), bytes(BODY)]
    assert server.connections == 2


def test_a_server_that_does_not_invite_gets_the_body_after_a_while(
    serve: Callable[..., ScriptedServer], connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers and proxies ignore the header; a late 100 is understood too."""
    assert connection_module.CONTINUE_TIMEOUT == 1.0
    monkeypatch.setattr(connection_module, "CONTINUE_TIMEOUT", 0.05)
    server = serve(throttling(503), CONTINUE + EMPTY, EMPTY)

    assert [put(connections, server) for _ in range(3)] == [503, 200, 200]
    assert expecting(server) == [False, True, False]
    assert server.bodies == [bytes(BODY)] * 3
    assert server.connections == 1


def test_a_server_that_does_not_know_the_header_gets_the_request_without_it(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """417 is no failure of the request (RFC 9110, 15.5.18), and the header is not sent to this origin again."""
    unknown = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
    server = serve(throttling(503), unknown, throttling(503), EMPTY)

    def reject(connection: socket.socket) -> None:
        if expecting(server)[-1]:
            connection.sendall(server.responses.pop(0))
            raise OSError("closed")

    server.before_body = reject

    assert [put(connections, server) for _ in range(3)] == [503, 503, 200]
    assert expecting(server) == [False, True, False, False]


def test_origins_are_throttled_one_by_one(serve: Callable[..., ScriptedServer], session: requests.Session) -> None:
    """Throttling by S3 does not make requests to Azure wait for 100."""
    busy, free = serve(throttling(503)), serve(EMPTY)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert [put(connections, busy), put(connections, free)] == [503, 200]
    assert expecting(free) == [False]
    connections.close()
