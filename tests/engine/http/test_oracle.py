"""What h11 rejects, this client rejects; what both accept, they read alike. h11 is the oracle, hypothesis the adversary."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import h11
import pytest
import requests
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.message import ProtocolError
from tests.examples import examples

NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe next"


@dataclass(frozen=True)
class Verdict:
    """How a response is read.

    :param status: None if it is rejected
    :param is_framed: whether it ends before the connection does
    """

    status: int | None
    body: bytes = b""
    is_framed: bool = False


REJECTED = Verdict(None)


def read_with_h11(method: str, data: bytes) -> Verdict:
    """Return how h11 reads a response that is followed by the end of the connection."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    reader.send(h11.EndOfMessage())
    status, body, is_framed = 0, b"", True
    reader.receive_data(data)
    with suppress(h11.RemoteProtocolError):
        while True:
            found = reader.next_event()
            if found is h11.NEED_DATA:
                is_framed = False
                reader.receive_data(b"")
            elif isinstance(found, h11.Response):
                status = found.status_code
            elif isinstance(found, h11.Data):
                body += found.data
            elif isinstance(found, h11.EndOfMessage):
                return Verdict(status, body, is_framed)
            elif isinstance(found, h11.ConnectionClosed) or found is h11.PAUSED:
                return REJECTED
    return REJECTED


class Peer:
    """Sends ``data`` for the first request, and ``NEXT`` for the second, on any connection."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.keeps_open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                while connection.recv(65536):
                    data, self.data = self.data, None
                    connection.sendall(NEXT if data is None else data)
                    if data is not None and not self.keeps_open:
                        connection.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """A server whose responses a test chooses."""
    made = Peer()
    yield made
    made.close()


def read_with_ours(peer: Peer, connections: Connections, method: str, data: bytes, *, keeps_open: bool) -> Verdict:
    """Return how this client reads a response. Any other exception than ProtocolError escapes, a timeout included."""
    peer.data, peer.keeps_open = data, keeps_open
    with suppress(ProtocolError), connections.send(method, peer.url, {}) as response:
        return Verdict(response.status_code, response.read(2**20))
    return REJECTED


STATUS_LINES = st.sampled_from(
    [
        *[b"HTTP/1.1 200 OK"] * 20,
        *(b"HTTP/1.1 206 Partial Content", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 503", b"HTTP/1.1 999 A"),
        *(b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 205 Reset", b"HTTP/1.0 200 OK"),
        *(b"HTTP/1.1 200  OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 99 A", b"HTTP/1.1 099 A", b"HTTP/1.1 2000 A"),
        *(b"HTTP/1.1 -20 A", b"HTTP/2.0 200 OK", b"http/1.1 200 OK", b" HTTP/1.1 200 OK", b""),
        *(b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\x0bK", b"HTTP/1.1 101 Switching Protocols"),
    ]
)
FIELDS = st.sampled_from(
    [
        *[b"Content-Length: 5", b"Transfer-Encoding: chunked", b"A: b"] * 8,
        *(b"content-length:5 ", b"Content-Length: 0", b"Content-Length: 6", b"Content-Length: 5, 5"),
        *(b"Content-Length: 5, 6", b"Content-Length: +5", b"Content-Length: -5", b"Content-Length: 0x5"),
        *(b"Content-Length: 5_0", b"Content-Length: 5 5", b"Content-Length: ", b"Content-Length: \xb2"),
        *(b"Content-Length: " + b"9" * 30, b"Content-Length: " + b"9" * 5000),
        *(b"Transfer-Encoding: Chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity"),
        *(b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding : chunked"),
        *(b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade, CLOSE"),
        *(b"A:", b"A: b\r\n c", b"A: b\r\n\t", b" A: b", b": b", b"A b: c", b"no colon", b"\xe9: b"),
        *(b"A: b\x00c", b"A: b\x0cc", b"A: \x85b\xa0", b"A: b\nB: c", b"A: b\rB: c"),
    ]
)
CHUNK_SIZES = st.sampled_from(
    [
        *[b"5"] * 9,
        *(b"05", b"5;a=b", b'5;a="b;c"', b"5;\xff"),
        *(b"-5", b"+5", b"0x5", b"1_0", b"5 ", b" 5", b"5 ;a", b"5\t", b"5;\x00", b"5;a\nb", b"g", b"", b"\xb2"),
        *(b"f" * 8, b"f" * 20, b"f" * 21, b"f" * 5000, b"6", b"4"),
    ]
)
BODIES = st.one_of(
    st.sampled_from([b"hello", b"hell", b"hello, world", b"", NEXT]),
    st.builds(
        lambda sizes, ends, last: (
            b"".join(size + b"\r\nhello" + end for size, end in zip(sizes, ends, strict=False)) + last
        ),
        st.lists(CHUNK_SIZES, max_size=3),
        st.lists(st.sampled_from([*[b"\r\n"] * 12, b"\n", b"", b"x\r\n", b"\r"]), min_size=3, max_size=3),
        st.sampled_from(
            [
                *[b"0\r\n\r\n"] * 5,
                *(b"00;a\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"0\r\nA b\r\n\r\n", b"0\r\n", b"0\r\n\n", b""),
                *(b"0\r\n B: c\r\n\r\n", b"0\r\n\r\n" + NEXT, b"0\r\n: b\r\n\r\n", b"0\r\nA: \x00\r\n\r\n"),
            ]
        ),
    ),
)
INTERIM = st.lists(
    st.sampled_from(
        [
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
            b"HTTP/1.1 100\r\nContent-Length: 9\r\n\r\n",
        ]
    ),
    max_size=3,
)
ENDS = st.sampled_from([*[b"\r\n\r\n"] * 20, b"\n\n", b"\r\n\n", b"\r\n", b"\r\r"])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Build responses of valid and invalid parts, some with a byte more, less or changed."""
    head = b"\r\n".join([draw(STATUS_LINES), *draw(st.lists(FIELDS, max_size=3))])
    data = b"".join([*draw(INTERIM), head, draw(ENDS), draw(BODIES)])
    if draw(st.integers(0, 3)):
        return data
    place = draw(st.integers(0, len(data)))
    new = draw(st.sampled_from([b"", b"\x00", b"\r", b"\n", b" ", b"\t", b":", b"0", b"5", b"x", b"\x80", b"\r\n"]))
    return data[:place] + new + data[place + draw(st.integers(0, 1)) :]


@pytest.fixture(scope="module")
def connections() -> Iterator[Connections]:
    """This client, which waits no longer than three seconds."""
    session = requests.Session()
    session.trust_env = False
    made = Connections(session, Cancellation(), connect_timeout=3, read_timeout=3)
    yield made
    made.close()


@settings(max_examples=examples(10))
@given(method=st.sampled_from(["GET", "HEAD", "PUT"]), data=responses())
@example("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n")
@example("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
@example("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" + NEXT)
def test_what_h11_rejects_is_rejected_and_the_rest_is_read_the_same(
    peer: Peer, connections: Connections, method: str, data: bytes
) -> None:
    """No exception but ProtocolError, no hang, and no byte of one response is read as part of the next."""
    expected = read_with_h11(method, data)

    found = read_with_ours(peer, connections, method, data, keeps_open=expected.is_framed)

    if expected.status is None:
        assert found == REJECTED
    else:
        assert found in (REJECTED, Verdict(expected.status, expected.body))
    event("rejected by both" if expected.status is None else "rejected by ours" if found == REJECTED else "accepted")
    with connections.send("GET", peer.url, {}) as response:
        assert response.read(100) == b"the next"
