"""Requests and responses over pooled connections, against a server that sends what a test scripts, byte for byte."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.http.message import ProtocolError
from tests.examples import examples
from tests.fakes.scripted_server import EMPTY, HELLO, ScriptedServer, fetch
from tests.servers.tls import CertificateAuthority


def test_requests_go_over_one_connection_as_long_as_the_server_keeps_it(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """Bodies that are read to their end, empty ones and responses to HEAD leave the connection ready for the next."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    server = serve(HELLO, head, b"HTTP/1.1 204 No Content\r\n\r\n", EMPTY, HELLO)

    found = [fetch(connections, server.url + "/a", method) for method in ("GET", "HEAD", "DELETE", "PUT", "GET")]

    assert found == [b"hello", b"", b"", b"", b"hello"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n",
    ],
    ids=["Connection: close", "HTTP/1.0", "more bytes than Content-Length"],
)
def test_a_connection_that_cannot_be_reused_is_closed(
    serve: Callable[..., ScriptedServer], connections: Connections, response: bytes
) -> None:
    """The next request opens a new one."""
    server = serve(response, HELLO)

    assert [fetch(connections, server.url) for _ in range(2)] == [b"hello", b"hello"]
    assert server.connections == 2


def test_a_body_that_is_not_read_costs_its_connection(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """What is left of it must not be taken for the next response."""
    server = serve(HELLO, EMPTY)

    connections.send("GET", server.url, {}).close()

    assert fetch(connections, server.url) == b""
    assert server.connections == 2


def test_what_was_closed_can_be_used_again(serve: Callable[..., ScriptedServer], connections: Connections) -> None:
    """Closing ends the connections that are open, not the use of them."""
    server = serve(HELLO, HELLO)
    assert fetch(connections, server.url) == b"hello"

    connections.close()

    assert fetch(connections, server.url) == b"hello"
    assert server.connections == 2


def test_an_idle_connection_that_the_server_closed_is_not_reused(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """Servers close connections that were idle for long; that is not an error."""
    first = serve(HELLO)
    assert fetch(connections, first.url) == b"hello"
    first.close()

    with pytest.raises(ConnectionError) as caught:
        fetch(connections, first.url)

    assert describe(caught.value) == "ConnectionRefusedError (Connection refused)"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


BODIES: dict[str, Callable[[bytes], bytes]] = {
    "length": lambda body: b"HTTP/1.1 200 OK\r\ncontent-length:%d\r\n\r\n%s" % (len(body), body),
    "until closed": lambda body: b"HTTP/1.1 200\r\n\r\n" + body,
    "after continue": lambda body: (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    ),
    "chunked": lambda body: (
        CHUNKED
        + b"".join(b"%X;note=1\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
        + b"0\r\nx-trailer: 1\r\n\r\n"
    ),
}


@settings(max_examples=examples(0.6))
@given(
    body=st.binary(max_size=60),
    kind=st.sampled_from(sorted(BODIES)),
    pieces=st.integers(min_value=1, max_value=40),
    wanted=st.integers(min_value=1, max_value=20),
)
def test_a_body_arrives_however_it_is_framed_and_split(body: bytes, kind: str, pieces: int, wanted: int) -> None:
    """By its length, in chunks, or to the end of the connection, in pieces of any size."""
    server = ScriptedServer(BODIES[kind](body), pieces=pieces)
    session = requests.Session()
    session.trust_env = False
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)
    found, into = b"", memoryview(bytearray(wanted))

    try:
        with connections.send("GET", server.url, {}) as response:
            while received := response.readinto(into):
                found += into[:received]
    finally:
        connections.close()
        server.close()

    assert found == body


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\nhello" % (b"9" * 5000),
        CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"1_0\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"f" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 60_000,
        CHUNKED + b"zz\r\n",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
    ],
)
def test_a_malformed_or_incomplete_response_is_a_protocol_error(
    serve: Callable[..., ScriptedServer], connections: Connections, response: bytes
) -> None:
    """It is an OSError, which is retried like a broken connection."""
    server = serve(response)

    with pytest.raises(ProtocolError):
        fetch(connections, server.url)


def test_a_connection_that_ends_without_a_response_is_described_as_that(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """The description needs no URL."""
    server = serve(b"")

    with pytest.raises(ProtocolError) as caught:
        fetch(connections, server.url)

    assert describe(caught.value) == "the server closed the connection before the response headers"


def test_headers_have_no_case_and_repeated_ones_are_joined(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """RFC 9110, 5.1 and 5.2."""
    server = serve(b"HTTP/1.1 404 Not There\r\nX-A:  1 \r\nx-a: 2\r\nEmpty:\r\nContent-Length: 0\r\n\r\n")

    with connections.send("GET", server.url, {}) as response:
        assert (response.status_code, response.reason) == (404, "Not There")
        assert (response.headers["x-A"], response.headers.get("EMPTY"), response.headers.get("none")) == (
            "1, 2",
            "",
            None,
        )
        assert ("X-A" in response.headers, "x-b" in response.headers) == (True, False)


def test_a_request_is_sent_as_it_is(serve: Callable[..., ScriptedServer], connections: Connections) -> None:
    """The path is not tidied, the host is the URL's, no header is added beside the client's name, the body is whole."""
    server = serve(EMPTY)
    body = memoryview(bytes(range(256)) * 4096)

    with connections.send("PUT", server.url + "//a/../%2F?x=/y", {"A": "b", "Content-Length": str(len(body))}, body):
        pass

    name = requests.utils.default_user_agent()
    assert server.heads[0].split("\r\n") == [
        "PUT //a/../%2F?x=/y HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"User-Agent: {name}",
        "A: b",
        f"Content-Length: {len(body)}",
    ]
    assert server.bodies == [bytes(body)]


def test_a_url_without_a_path_requests_the_root(serve: Callable[..., ScriptedServer], connections: Connections) -> None:
    """A presigned URL for a bucket may have a query alone."""
    server = serve(EMPTY, EMPTY)

    fetch(connections, server.url + "?a=/b")
    fetch(connections, server.url)

    assert [head.split(" ")[1] for head in server.heads] == ["/?a=/b", "/"]


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/a\r\nX: y", {}), ("/a b", {}), ("/", {"A": "b\r\nX: y"}), ("/", {"A": "b\nX: y"}), ("/", {"A\r\nX": "y"})],
)
def test_a_line_break_or_a_space_never_becomes_another_header(
    serve: Callable[..., ScriptedServer], connections: Connections, target: str, headers: dict[str, str]
) -> None:
    """Names and values come from others."""
    server = serve(EMPTY)

    with pytest.raises(ValueError, match="line break"):
        connections.send("GET", server.url + target, headers)

    assert server.heads == []


def test_the_response_of_a_server_that_rejects_a_body_early_is_read(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """Azure rejects a block by its headers, and closes the connection."""
    server = serve(EMPTY)

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    server.before_body = refuse

    body = memoryview(bytearray(1024))
    with connections.send("PUT", server.url, {"Content-Length": str(len(body))}, body) as response:
        assert response.status_code == 403


@pytest.mark.parametrize(
    ("sent", "method", "declared"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 5),
        (b"HTTP/1.1 200 OK\r\n\r\n", "HEAD", None),
        (HELLO, "GET", 5),
        (CHUNKED + b"0\r\n\r\n", "GET", None),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "GET", None),
    ],
)
def test_a_response_shows_which_length_it_declares(
    serve: Callable[..., ScriptedServer], connections: Connections, sent: bytes, method: str, declared: int | None
) -> None:
    """A missing length is no length of zero, so that no object is taken for an empty one."""
    server = serve(sent)

    with connections.send(method, server.url, {}) as response:
        assert response.content_length == declared


def test_a_silent_server_is_a_timeout(serve: Callable[..., ScriptedServer], session: requests.Session) -> None:
    """After the read timeout."""
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=0.05)
    server = serve(EMPTY)
    hold = threading.Event()
    server.before_body = lambda connection: hold.wait(5)

    with pytest.raises(TimeoutError) as caught:
        fetch(connections, server.url)
    hold.set()
    connections.close()

    assert describe(caught.value) == "timed out"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_abort_ends_a_read_at_once(
    serve: Callable[..., ScriptedServer], session: requests.Session, authority: CertificateAuthority, scheme: str
) -> None:
    """A thread that waits for bytes gets an error."""
    session.verify = str(authority.bundle)
    cancellation = Cancellation()
    connections = Connections(session, cancellation, connect_timeout=5, read_timeout=60)
    server = serve(EMPTY, context=authority.server_context() if scheme == "https" else None)
    hold = threading.Event()

    def wait(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh")
        cancellation.abort()
        hold.wait(5)

    server.before_body = wait

    with pytest.raises(OSError):  # noqa: PT011 - TLS has its own
        fetch(connections, server.url)
    hold.set()
    connections.close()


def test_no_connection_outlives_an_abort_that_came_while_it_was_opened(
    serve: Callable[..., ScriptedServer], session: requests.Session
) -> None:
    """Its thread would wait for the read timeout."""
    cancellation = Cancellation()
    connections = Connections(session, cancellation, connect_timeout=5, read_timeout=60)
    server = serve(EMPTY)
    cancellation.set("stopped")

    with pytest.raises(Cancelled, match="stopped"):
        fetch(connections, server.url)

    assert server.heads == []


def test_a_request_is_logged_without_its_signature(
    serve: Callable[..., ScriptedServer], connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, with the status, whether or not the libraries' logs are redacted."""
    server = serve(EMPTY)

    with caplog.at_level(logging.DEBUG, logger="airflow_s3_azure"):
        fetch(connections, server.url + "/a?X-Amz-Signature=SECRET&sig=SECRET&x=1")

    assert caplog.messages == [f'{server.url} "GET /a?X-Amz-Signature=***&sig=***&x=1" 200']
