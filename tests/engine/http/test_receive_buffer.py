"""The receiving side of a connection: bytes are returned once, in order, and within limits and a deadline."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_s3_azure.engine.http.message import ProtocolError
from airflow_s3_azure.engine.http.receive_buffer import ReceiveBuffer

LATER = time.monotonic() + 3600

Pair = tuple[socket.socket, ReceiveBuffer]


def test_bytes_beyond_a_delimiter_stay_in_the_buffer(pair: Pair) -> None:
    """They are read next, before the socket, and once."""
    server, buffer = pair
    server.sendall(b"a\r\nb\r\nbody")
    into = memoryview(bytearray(10))

    assert [buffer.read_until(b"\r\n", 10, "line", LATER) for _ in range(2)] == [b"a", b"b"]
    was_unread = buffer.has_unread
    assert (buffer.readinto(into, 3), buffer.readinto(into[3:], 7), bytes(into[:4])) == (3, 1, b"body")
    assert (was_unread, buffer.has_unread) == (True, False)
    server.close()
    assert buffer.readinto(into, 10) == 0


def test_a_piece_of_a_body_is_what_arrives_within_its_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many reads of the socket that takes: TLS returns one record for each."""
    monkeypatch.setattr("airflow_s3_azure.engine.http.receive_buffer.PIECE_SECONDS", 30)
    server, buffer = pair

    def send() -> None:
        for _ in range(5):
            server.sendall(b"a" * 16384)
        server.close()

    with ThreadPoolExecutor(1) as sender:
        sending = sender.submit(send)
        pieces = list(iter(lambda: buffer.readinto(memoryview(bytearray(4 * 16384)), 4 * 16384), 0))
        sending.result()

    assert pieces == [4 * 16384, 16384]


def test_a_piece_ends_once_its_time_is_over(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrived is returned, although the connection stays open."""
    monkeypatch.setattr("airflow_s3_azure.engine.http.receive_buffer.PIECE_SECONDS", 0)
    server, buffer = pair
    server.sendall(b"abc")

    assert buffer.readinto(memoryview(bytearray(10)), 10) == 3


def test_bytes_before_an_error_are_returned_before_it_is_raised() -> None:
    """So that they are counted. The socket is not read again, which would wait for another timeout."""
    server, client = socket.socketpair()
    with server, client:
        client.settimeout(0.05)
        buffer = ReceiveBuffer(client, 0.05)
        into = memoryview(bytearray(10))
        server.sendall(b"abc")

        assert (buffer.readinto(into, 10), bytes(into[:3])) == (3, b"abc")
        server.sendall(b"def")
        with pytest.raises(TimeoutError):
            buffer.readinto(into, 10)


@pytest.mark.parametrize("sent", [b"a" * 11 + b"\r\n", b"a" * 100])
def test_more_bytes_than_the_limit_are_an_error(pair: Pair, sent: bytes) -> None:
    """With or without a delimiter after them; as many as the limit are not."""
    server, buffer = pair
    server.sendall(b"a" * 10 + b"\r\n" + sent)

    assert buffer.read_until(b"\r\n", 10, "line", LATER) == b"a" * 10
    with pytest.raises(ProtocolError, match=r"^more than 10 bytes of line$"):
        buffer.read_until(b"\r\n", 10, "line", LATER)


@pytest.mark.parametrize("sent", [b"FTP", b"HTTP/1.1 200\nA: b"], ids=["another protocol", "bare LF"])
def test_malformed_bytes_are_rejected_without_a_wait_for_the_delimiter(pair: Pair, sent: bytes) -> None:
    """Which may never arrive."""
    server, buffer = pair
    server.sendall(sent)

    with pytest.raises(ProtocolError, match=r"^malformed headers$"):
        buffer.read_until(b"\r\n\r\n", 100, "headers", LATER, b"HTTP/1.")


@pytest.mark.parametrize(("sent", "place"), [(b"", "before"), (b"a", "within")])
def test_the_end_of_the_connection_is_an_error(pair: Pair, sent: bytes, place: str) -> None:
    """The message has whether anything arrived."""
    server, buffer = pair
    server.sendall(sent)
    server.close()

    with pytest.raises(ProtocolError, match=f"^the server closed the connection {place} the line$"):
        buffer.read_until(b"\r\n", 10, "line", LATER)


def test_a_read_resumes_after_a_deadline(pair: Pair) -> None:
    """Nothing that arrived before it is lost."""
    server, buffer = pair
    server.sendall(b"a\r\nb")
    assert buffer.read_until(b"\r\n", 10, "line", LATER) == b"a"

    with pytest.raises(TimeoutError, match=r"^no complete line in time$"):
        buffer.read_until(b"\r\n", 10, "line", deadline=0.0)
    server.sendall(b"c\r\n")

    assert buffer.read_until(b"\r\n", 10, "line", LATER) == b"bc"
