"""TLS, with verification on, against a scripted server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.failures import describe
from tests.fakes.scripted_server import EMPTY, HELLO, ScriptedServer, fetch
from tests.servers.tls import CertificateAuthority


def test_tls_is_verified_with_the_bundle_that_the_session_names(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    authority: CertificateAuthority,
    context: ssl.SSLContext,
) -> None:
    """Over one connection, body and all."""
    body = bytes(range(256)) * 1000
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), EMPTY, context=context)
    session.verify = str(authority.bundle)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert fetch(connections, server.url) == body
    with connections.send("PUT", server.url, {"Content-Length": str(len(body))}, memoryview(body)):
        pass
    connections.close()

    assert server.bodies[1] == body
    assert server.connections == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_early_rejection_of_a_large_body_over_tls_is_read(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    authority: CertificateAuthority,
    version: ssl.TLSVersion,
) -> None:
    """Python 3.11 raises SSLEOFError while it still sends: the response that names the reason is read all the same."""
    server = serve(EMPTY, context=authority.server_context(version))
    session.verify = str(authority.bundle)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    def reject(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
        for _ in range(256):  # lingers, as real servers do
            connection.recv(65536)
        raise OSError("close the connection with unread bytes")

    server.before_body = reject
    body = memoryview(bytearray(32 * 2**20))
    with connections.send("PUT", server.url, {"Content-Length": str(len(body))}, body) as response:
        assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    connections.close()


def test_a_tls_connection_that_holds_unread_bytes_is_not_reused(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    authority: CertificateAuthority,
    context: ssl.SSLContext,
) -> None:
    """Bytes of a record that was decrypted already do not show in poll; they are no part of the next response."""
    body = b"x" * 8192
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    server = serve(response + EMPTY, HELLO, context=context)
    session.verify = str(authority.bundle)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert [fetch(connections, server.url) for _ in range(2)] == [body, b"hello"]
    assert server.connections == 2
    connections.close()


def test_the_bundle_may_come_from_the_environment(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    authority: CertificateAuthority,
    context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `requests` has it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    server = serve(EMPTY, context=context)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert fetch(connections, server.url) == b""
    connections.close()


def test_the_bundle_is_read_once_for_all_connections_to_a_host(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    authority: CertificateAuthority,
    context: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    """Reading certifi's takes more than 10 ms of CPU, for each of up to sixteen connections."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(authority.bundle.read_bytes())
    closing = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    server = serve(closing, EMPTY, context=context)
    session.verify = str(bundle)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    fetch(connections, server.url)
    bundle.unlink()
    fetch(connections, server.url)
    connections.close()

    assert server.connections == 2


def test_an_untrusted_certificate_is_rejected(
    serve: Callable[..., ScriptedServer], connections: Connections, context: ssl.SSLContext
) -> None:
    """TLS is verified unless the session disables it."""
    server = serve(EMPTY, context=context)

    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        fetch(connections, server.url)

    assert describe(caught.value) == "TLS certificate not accepted (unable to get local issuer certificate)"
    assert server.heads == []


def test_a_missing_bundle_is_named(session: requests.Session, connections: Connections) -> None:
    """It is an OSError of requests' own."""
    session.verify = "/nowhere/ca.pem"

    with pytest.raises(OSError, match=r"invalid path: /nowhere/ca\.pem"):
        fetch(connections, "https://127.0.0.1:1/")
