"""Headers, interim responses and trailers are limited in count, bytes and time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.message import ProtocolError
from tests.fakes.scripted_server import EMPTY, ScriptedServer, fetch

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\na: ", b"b" * 1000),
        (CHUNKED + b"0\r\n", b"a: b\r\n"),
        (CHUNKED, b"1;" + b"x" * 1000 + b"\r\nx\r\n"),
        (CHUNKED + b"5;", b"x" * 1000),
    ],
    ids=["100", "103", "fields", "a field", "trailers", "chunk extensions", "a chunk extension"],
)
def test_nothing_around_a_body_is_endless(
    serve: Callable[..., ScriptedServer], connections: Connections, first: bytes, again: bytes
) -> None:
    """An endless response is a protocol error soon."""
    server = serve(EMPTY)

    def send_on(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:  # until the client closes the connection
            connection.sendall(again)

    server.before_body = send_on

    with pytest.raises(ProtocolError):
        fetch(connections, server.url)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\na: ", b"b"),
        (CHUNKED, b"0"),
        (CHUNKED + b"0\r\n", b"a: b\r\n"),
        (CHUNKED + b"1\r\nx\r\n", b"0"),
    ],
    ids=["interim responses", "a field", "the first size", "trailers", "a size"],
)
def test_bytes_that_trickle_in_do_not_extend_the_time_limit(
    serve: Callable[..., ScriptedServer], session: requests.Session, first: bytes, again: bytes
) -> None:
    """Each read is quick enough; the deadline is for all of them."""
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=0.3)
    server = serve(EMPTY)
    pause = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(first)
        for _ in range(13):  # too few for every other limit
            pause.wait(0.1)
            connection.sendall(again)

    server.before_body = trickle

    with pytest.raises(TimeoutError):
        fetch(connections, server.url)
    pause.set()
    connections.close()


def test_a_slow_body_is_read_however_long_it_takes(
    serve: Callable[..., ScriptedServer], session: requests.Session
) -> None:
    """The timeout is for each read of a body: a slow link may take its time over a large block."""
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=0.3)
    server = serve(EMPTY)
    pause = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            pause.wait(0.1)
            connection.sendall(b"x")

    server.before_body = trickle

    assert fetch(connections, server.url) == b"xxxxxx"
    connections.close()


def test_a_server_that_does_not_speak_http_is_noticed_at_once(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """It may wait for more, as an SSH or mail server does; the client does not."""
    server = serve(EMPTY)
    hold = threading.Event()

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example ESMTP\r\n")
        hold.wait(10)

    server.before_body = greet

    with pytest.raises(ProtocolError, match="malformed response headers"):
        fetch(connections, server.url)
    hold.set()
