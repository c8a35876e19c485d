"""Readers of a response's body, each over a pair of sockets: every byte of the body, and no byte beyond it."""

from __future__ import annotations

import socket

import pytest

from airflow_s3_azure.engine.http.body import Body, ChunkedBody, LengthBody, UntilCloseBody, body_of
from airflow_s3_azure.engine.http.message import ParsedResponse, ProtocolError, parse_response
from airflow_s3_azure.engine.http.receive_buffer import ReceiveBuffer

Pair = tuple[socket.socket, ReceiveBuffer]


def _send(server: socket.socket, data: bytes) -> None:
    """Send bytes and close the server's side."""
    server.sendall(data)
    server.shutdown(socket.SHUT_WR)


def _read(body: Body, size: int = 1000) -> bytes:
    """Read a body to its end, at most ``size`` bytes at once."""
    into, found = bytearray(size), b""
    while received := body.readinto(memoryview(into)):
        found += into[:received]
    return found


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_body_of_a_length_ends_there(pair: Pair, size: int) -> None:
    """The bytes after it belong to the next response, and stay unread."""
    server, buffer = pair
    _send(server, b"hellonext")
    body = LengthBody(buffer, 5)

    assert not body.is_complete
    assert (_read(body, size), body.is_complete, body.ends_connection) == (b"hello", True, False)
    assert _read(UntilCloseBody(buffer)) == b"next"


def test_an_empty_body_is_complete_at_once(pair: Pair) -> None:
    """Nothing is read of the connection: the server sends nothing."""
    body = LengthBody(pair[1], 0)

    assert (body.is_complete, body.readinto(memoryview(bytearray(1)))) == (True, 0)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_chunked_body_is_its_data(pair: Pair, size: int) -> None:
    """Without sizes, extensions and trailers; the bytes after it stay unread."""
    server, buffer = pair
    _send(server, b"3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\nnext")
    body = ChunkedBody(buffer)

    assert (_read(body, size), body.is_complete, body.ends_connection) == (b"hello", True, False)
    assert _read(UntilCloseBody(buffer)) == b"next"


def test_a_chunked_body_is_complete_after_its_trailers(pair: Pair) -> None:
    """By one more read after the data: before, bytes of it are still on the connection."""
    server, buffer = pair
    _send(server, b"1\r\na\r\n0\r\n\r\n")
    body, into = ChunkedBody(buffer), memoryview(bytearray(1))

    assert (body.readinto(into), body.is_complete) == (1, False)
    assert (body.readinto(into), body.is_complete) == (0, True)


def test_a_body_until_close_is_everything(pair: Pair) -> None:
    """Only the end of the connection ends it."""
    server, buffer = pair
    _send(server, b"hello")
    body = UntilCloseBody(buffer)

    assert (body.readinto(memoryview(bytearray())), body.is_complete) == (0, False)
    assert (_read(body, 2), body.is_complete, body.ends_connection) == (b"hello", True, True)


@pytest.mark.parametrize("sent", [b"", b"hell"])
def test_a_body_of_a_length_that_ends_early_is_an_error(pair: Pair, sent: bytes) -> None:
    """It is never taken for a whole one."""
    server, buffer = pair
    _send(server, sent)
    body = LengthBody(buffer, 5)

    with pytest.raises(ProtocolError, match=r"^the server closed the connection before the end of the body$"):
        _read(body)

    assert not body.is_complete


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "before the chunk size or trailer"),
        (b"5\r\nhell", "before the end of the body"),
        (b"5\r\nhello", "before the chunk size or trailer"),
        (b"5\r\nhello\r\n0\r\n", "before the chunk size or trailer"),
    ],
    ids=["no chunk", "in a chunk", "after a chunk", "before the last line"],
)
def test_a_chunked_body_that_ends_early_is_an_error(pair: Pair, sent: bytes, message: str) -> None:
    """For every position where the connection ends, even after the last chunk."""
    server, buffer = pair
    _send(server, sent)
    body = ChunkedBody(buffer)

    with pytest.raises(ProtocolError, match=f"^the server closed the connection {message}$"):
        _read(body)

    assert not body.is_complete


def _parsed(*fields: bytes, status: int = 200) -> ParsedResponse:
    return parse_response(b"\r\n".join([b"HTTP/1.1 %d X" % status, *fields]))


@pytest.mark.parametrize(
    ("method", "parsed", "kind", "is_complete"),
    [
        ("GET", _parsed(b"Content-Length: 5"), LengthBody, False),
        ("GET", _parsed(b"Content-Length: 0"), LengthBody, True),
        ("GET", _parsed(b"Transfer-Encoding: chunked"), ChunkedBody, False),
        ("GET", _parsed(), UntilCloseBody, False),
        ("HEAD", _parsed(b"Content-Length: 5"), LengthBody, True),
        ("HEAD", _parsed(b"Transfer-Encoding: chunked"), LengthBody, True),
        ("HEAD", _parsed(), LengthBody, True),
        ("GET", _parsed(b"Content-Length: 5", status=304), LengthBody, True),
        ("GET", _parsed(status=204), LengthBody, True),
    ],
)
def test_the_framing_follows_from_method_status_and_headers(
    pair: Pair, method: str, parsed: ParsedResponse, kind: type, is_complete: bool
) -> None:
    """RFC 9112, 6.3: a response to HEAD, and 204 and 304, have no body, regardless of their headers."""
    body = body_of(method, parsed, pair[1])

    assert (type(body), body.is_complete) == (kind, is_complete)
