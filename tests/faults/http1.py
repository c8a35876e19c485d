"""Just enough HTTP/1.1 to separate headers from bodies on a socket, without holding a body in memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

_PIECE = 256 * 1024
_MAX_HEAD = 64 * 1024
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    head: bytes = field(repr=False)

    @property
    def body_size(self) -> int:
        """Bytes of the body."""
        return int(self.headers.get("content-length", 0))


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response.

    :param body_size: bytes of the body; None: it comes in chunks
    """

    status: int
    head: bytes
    body_size: int | None

    @property
    def is_last(self) -> bool:
        """Whether the server closes the connection after it."""
        return b"\r\nconnection: close\r\n" in self.head.lower()

    def with_size(self, size: int) -> Response:
        """Return the same head for a body that no longer comes in chunks."""
        lines = [line for line in self.head.split(b"\r\n") if not line.lower().startswith(b"transfer-encoding:")]
        lines[1:1] = [b"Content-Length: %d" % size]
        return Response(self.status, b"\r\n".join(lines), size)


class Stream:
    """The connection to one peer, read by headers and by sizes."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self._received = b""

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def read(self, size: int) -> Iterator[bytes]:
        """Yield the next ``size`` bytes as they come.

        :raises EOFError: if the peer closes the connection before
        """
        while size:
            piece, self._received = self._received[:size], self._received[size:]
            if not piece:
                piece = self.socket.recv(min(size, _PIECE))
            if not piece:
                raise EOFError("the connection was closed within a body")
            size -= len(piece)
            yield piece

    def read_chunks(self) -> bytes:
        """Return a body that comes in chunks, as a whole."""
        body = b""
        while size := int(self._read_until(b"\r\n").split(b";")[0], 16):
            body += b"".join(self.read(size))
            self._read_until(b"\r\n")
        while self._read_until(b"\r\n") != b"\r\n":
            continue  # trailers
        return body

    def read_request(self) -> Request | None:
        """Return the next request's head, or None if the client closed the connection."""
        head = self._read_until(b"\r\n\r\n")
        if not head:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        parts = urlsplit(target)
        return Request(
            method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), _headers(lines[1:]), head
        )

    def read_response(self, method: str) -> Response:
        """Return the head of the response to a request with this method.

        :raises EOFError: if the server closed the connection instead
        """
        head = self._read_until(b"\r\n\r\n")
        if not head:
            raise EOFError("the server closed the connection without a response")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = _headers(lines[1:])
        if status == 100:
            return self.read_response(method)
        if method == "HEAD" or status in _NO_BODY:
            return Response(status, head, 0)
        if "chunked" in headers.get("transfer-encoding", ""):
            return Response(status, head, None)
        return Response(status, head, int(headers["content-length"]))

    def _read_until(self, end: bytes) -> bytes:
        """Return what comes up to ``end``, which is included; nothing if the peer closed the connection before a byte."""
        while end not in self._received:
            assert len(self._received) < _MAX_HEAD, "this is no HTTP"
            piece = self.socket.recv(_PIECE)
            if not piece and self._received:
                raise EOFError("the connection was closed within a head")
            if not piece:
                return b""
            self._received += piece
        head, _, self._received = self._received.partition(end)
        return head + end


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
