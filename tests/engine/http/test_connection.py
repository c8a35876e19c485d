"""One exchange over one connection: what is sent, which response is the final one, and when the connection is reusable."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_s3_azure.engine.http import connection as connection_module
from airflow_s3_azure.engine.http.connection import MAX_INTERIM, Connection
from airflow_s3_azure.engine.http.message import ProtocolError

REQUEST = b"PUT / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

Pair = tuple[socket.socket, Connection]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The server's end of a connection, and the client's."""
    server, client = socket.socketpair()
    server.settimeout(30)
    client.settimeout(30)
    with server, client:
        yield server, Connection(client, 30)


def _received(server: socket.socket) -> bytes:
    """Return what was sent until now."""
    server.setblocking(False)
    try:
        return server.recv(2**16)
    except BlockingIOError:
        return b""


def test_a_request_and_its_body_are_sent_and_the_response_is_parsed(pair: Pair) -> None:
    """Without ``Expect``, both at once."""
    server, connection = pair
    server.sendall(OK)

    parsed, was_sent = connection.exchange(REQUEST, memoryview(b"body"), is_expecting=False)

    assert (parsed.status, parsed.content_length, was_sent) == (200, 0, True)
    assert _received(server) == REQUEST + b"body"


def test_an_expected_body_is_sent_after_100(pair: Pair) -> None:
    """Other interim responses before it do not count."""
    server, connection = pair
    server.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" + CONTINUE + OK)

    parsed, was_sent = connection.exchange(REQUEST, memoryview(b"body"), is_expecting=True)

    assert (parsed.status, was_sent, _received(server)) == (200, True, REQUEST + b"body")


def test_an_expected_body_is_not_sent_after_a_final_response(pair: Pair) -> None:
    """It is reported, because the server may still wait for the body: the connection is not reusable."""
    server, connection = pair
    server.sendall(BUSY)

    parsed, was_sent = connection.exchange(REQUEST, memoryview(b"body"), is_expecting=True)

    assert (parsed.status, was_sent, _received(server)) == (503, False, REQUEST)


def test_an_expected_body_is_sent_if_nothing_arrives(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may ignore ``Expect`` (RFC 9110, 10.1.1). It responds once it has the body."""
    server, connection = pair
    monkeypatch.setattr(connection_module, "CONTINUE_TIMEOUT", 0.0)
    found: list[bytes] = []

    def respond() -> None:
        while sum(map(len, found)) < len(REQUEST) + 4:
            found.append(server.recv(1000))
        server.sendall(OK)

    with ThreadPoolExecutor(1) as threads:
        responded = threads.submit(respond)
        parsed, was_sent = connection.exchange(REQUEST, memoryview(b"body"), is_expecting=True)
        responded.result()

    assert (parsed.status, was_sent, b"".join(found)) == (200, True, REQUEST + b"body")


def test_interim_responses_are_skipped(pair: Pair) -> None:
    """As many as a server may send."""
    server, connection = pair
    server.sendall(CONTINUE * MAX_INTERIM + OK)

    assert connection.exchange(REQUEST, None, is_expecting=False)[0].status == 200


@pytest.mark.parametrize("is_expecting", [False, True])
def test_endless_interim_responses_are_an_error(pair: Pair, is_expecting: bool) -> None:
    """The server could block a worker forever."""
    server, connection = pair
    server.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INTERIM + 1))

    with pytest.raises(ProtocolError, match=r"^more than 16 interim responses$"):
        connection.exchange(REQUEST, memoryview(b"body"), is_expecting=is_expecting)


def test_the_response_of_a_server_that_closed_early_is_received(pair: Pair) -> None:
    """It has the reason for which the body was not read."""
    server, connection = pair
    server.sendall(BUSY)
    server.close()

    parsed, _ = connection.exchange(REQUEST, memoryview(bytes(2**20)), is_expecting=False)

    assert parsed.status == 503


def test_a_server_that_closed_without_a_response_is_an_error(pair: Pair) -> None:
    """Also if already the request could not be sent."""
    server, connection = pair
    server.close()

    with pytest.raises(ProtocolError, match=r"^the server closed the connection before the response headers$"):
        connection.exchange(REQUEST, None, is_expecting=False)


def test_an_idle_connection_is_reusable(pair: Pair) -> None:
    """Before and after an exchange."""
    server, connection = pair
    assert connection.is_reusable()
    server.sendall(OK)
    connection.exchange(REQUEST, None, is_expecting=False)

    assert connection.is_reusable()


@pytest.mark.parametrize("end", [lambda server: server.sendall(b"H"), lambda server: server.close()])
def test_a_connection_that_received_something_is_not_reusable(pair: Pair, end: Callable[[socket.socket], None]) -> None:
    """A byte would belong to no request; an end is the end."""
    server, connection = pair
    end(server)

    assert not connection.is_reusable()


def test_an_abort_ends_the_exchange_of_another_thread(pair: Pair) -> None:
    """Its owner, which waits for a response, gets an error at once."""
    server, connection = pair
    with ThreadPoolExecutor(1) as threads:
        exchange = threads.submit(connection.exchange, REQUEST, None, is_expecting=False)
        server.recv(1)  # the request arrived
        connection.abort()

        with pytest.raises(ProtocolError, match="closed the connection before the response headers"):
            exchange.result()


def test_a_connection_can_be_closed_twice(pair: Pair) -> None:
    """By its owner and by the pool. The server sees the end."""
    server, connection = pair
    connection.close()
    connection.close()

    assert server.recv(1) == b""
