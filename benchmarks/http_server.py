"""The HTTP/1.1 server of both stand-ins: one thread, one epoll, no copy of a body in Python.

It must not be what a benchmark measures. Bodies that are sent come from one pattern in memory, a MiB at a time
(``sendfile`` from a file in memory was seen to cost either side up to 1.6 times as much); bodies that are received
are dropped in the kernel, or over TLS after they were decrypted. A connection is a generator that yields the event that
it waits for. Not supported: chunked request bodies, pipelining, timeouts.
"""

from __future__ import annotations

import json
import mmap
import select
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

from awscrt.checksums import crc64nvme

Returned = TypeVar("Returned")
Steps = Generator[int, None, Returned]
"""What a connection does; yields the epoll event that it waits for."""

HEAD_SIZE = 64 * 1024
"""Bytes that a request's head may have."""
PIECE = 1024 * 1024
"""Bytes received or sent at once."""
CPU = "ms cpu"
"""The server's own CPU time, in milliseconds."""
COUNTS = "/_counts"
"""GET: the counts so far; DELETE: count from zero."""


@dataclass(slots=True)
class Request:
    """A request, before its body was read.

    :param path: decoded
    :param query: decoded; the last of each name
    :param headers: by lower-case name
    :param size: bytes of the body
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    size: int


@dataclass(frozen=True, slots=True)
class Slice:
    """A body made of a pattern that repeats."""

    pattern: memoryview
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    :param name: the name under which the exchange is counted; empty: it is not counted
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Slice = b""
    name: str = ""


class Connection:
    """A client's connection without TLS, which never blocks: BlockingIOError, as a non-blocking socket raises it."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = accepted
        self.fileno = accepted.fileno
        self.close = accepted.close
        self.recv = accepted.recv
        self.recv_into = accepted.recv_into
        self.send = accepted.send

    def discard(self, scratch: memoryview, most: int) -> int:
        """Receive at most so many bytes, and drop them. With MSG_TRUNC Linux's TCP does not even copy them."""
        return self._socket.recv_into(scratch, most, socket.MSG_TRUNC)


class TLSConnection(Connection):
    """The same over TLS; the first read or write does the handshake."""

    def __init__(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False))
        self.recv = _non_blocking(self._socket.recv)
        self.recv_into = _non_blocking(self._socket.recv_into)
        send = _non_blocking(self._socket.send)
        self.send = lambda data, _flags=0: send(data)

    def discard(self, scratch: memoryview, most: int) -> int:
        """Receive at most so many bytes, and drop them."""
        return int(self.recv_into(scratch, most))


def _non_blocking(call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    return called


class Body:
    """The body of a request: the handler reads it, computes its checksum, or drops it."""

    def __init__(self, connection: Connection, size: int, begun: bytes, scratch: memoryview) -> None:
        self._connection = connection
        self._begun = begun
        self._scratch = scratch
        self.size = size

    def read(self) -> Steps[bytes]:
        """Return the whole of it."""
        kept = bytearray(self._begun)
        while len(kept) < self.size:
            kept += self._scratch[: (yield from self._receive(self.size - len(kept)))]
        return bytes(kept)

    def checksum(self) -> Steps[int]:
        """Drop it, and return its CRC-64/NVME."""
        crc64, left = crc64nvme(self._begun), self.size - len(self._begun)
        while left:
            received = yield from self._receive(left)
            crc64 = crc64nvme(self._scratch[:received], crc64)
            left -= received
        return int(crc64)

    def drop(self) -> Steps[None]:
        """Drop it."""
        left = self.size - len(self._begun)
        while left:
            left -= yield from self._receive(left, is_kept=False)

    def _receive(self, most: int, *, is_kept: bool = True) -> Steps[int]:
        receive = self._connection.recv_into if is_kept else self._connection.discard
        while True:
            try:
                received = receive(self._scratch, min(most, PIECE))
            except BlockingIOError:
                yield select.EPOLLIN
                continue
            if not received:
                raise EOFError("the client closed the connection within a body")
            return received


Handler = Callable[[Request, Body], Steps[Response]]


class Server:
    """Serves one handler on a port of 127.0.0.1, and counts its exchanges, the bytes of the bodies that came in, and
    those that went out from a pattern.

    :param context: for TLS; None: plain HTTP
    """

    def __init__(self, handler: Handler, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._listener.setblocking(False)
        self._scratch = memoryview(mmap.mmap(-1, PIECE))
        self._counts: Counter[str] = Counter()
        self._used = time.process_time()
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        """Serve until the process is killed."""
        epoll = select.epoll()
        epoll.register(self._listener, select.EPOLLIN)
        waiting: dict[int, tuple[Connection, Steps[None], int]] = {}
        while True:
            for descriptor, _ in epoll.poll():
                if descriptor == self._listener.fileno():
                    with suppress(BlockingIOError):
                        accepted, _ = self._listener.accept()
                        connection = TLSConnection(accepted, self._context) if self._context else Connection(accepted)
                        waiting[connection.fileno()] = connection, self._converse(connection), select.EPOLLIN
                        epoll.register(connection.fileno(), select.EPOLLIN)
                    continue
                connection, steps, interest = waiting[descriptor]
                try:
                    wanted = next(steps)
                except (StopIteration, OSError, EOFError):
                    epoll.unregister(descriptor)
                    del waiting[descriptor]
                    connection.close()
                    continue
                if wanted != interest:
                    epoll.modify(descriptor, wanted)
                    waiting[descriptor] = connection, steps, wanted

    def _converse(self, connection: Connection) -> Steps[None]:
        """Serve one client's requests, one after the other."""
        rest = b""
        while True:
            while (end := rest.find(b"\r\n\r\n")) < 0:
                try:
                    received = connection.recv(HEAD_SIZE)
                except BlockingIOError:
                    yield select.EPOLLIN
                    continue
                if not received:
                    return
                rest += received
            request = parse(rest[:end])
            begun, rest = rest[end + 4 :][: request.size], rest[end + 4 + request.size :]
            if request.path == COUNTS:
                response = self._report_counts(request.method)
            else:
                response = yield from self._handler(request, Body(connection, request.size, begun, self._scratch))
                if response.name:
                    self._counts[response.name] += 1
                    self._counts["bytes in"] += request.size
            yield from self._respond(connection, request, response)

    def _respond(self, connection: Connection, request: Request, response: Response) -> Steps[None]:
        body = response.body
        size = body.size if isinstance(body, Slice) else len(body)
        lines = [f"HTTP/1.1 {response.status} {response.status}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if "Content-Length" not in response.headers:
            lines.append(f"Content-Length: {size}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if request.method == "HEAD" or not size:
            yield from _send(connection, head)
        elif isinstance(body, Slice):
            yield from _send(connection, head, socket.MSG_MORE)
            yield from self._send_slice(connection, body)
        else:
            yield from _send(connection, head + body)

    def _send_slice(self, connection: Connection, body: Slice) -> Steps[None]:
        period = len(body.pattern)
        position, left = body.start % period, body.size
        while left:
            try:
                sent = connection.send(body.pattern[position : position + min(left, PIECE)])
            except BlockingIOError:
                yield select.EPOLLOUT
                continue
            position, left = (position + sent) % period, left - sent
            self._counts["bytes out"] += sent

    def _report_counts(self, method: str) -> Response:
        counted = json.dumps({**self._counts, CPU: round((time.process_time() - self._used) * 1000)}).encode()
        if method == "DELETE":
            self._counts.clear()
            self._used = time.process_time()
        return Response(200, {"Content-Type": "application/json"}, counted)


def parse(head: bytes) -> Request:
    """Read a request's head.

    :raises EOFError: if the body comes in chunks, which no client here does
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "chunked" in headers.get("transfer-encoding", ""):
        raise EOFError("a request with a chunked body")
    path, _, query = target.partition("?")
    return Request(
        method,
        unquote(path),
        dict(parse_qsl(query, keep_blank_values=True)),
        headers,
        int(headers.get("content-length", 0)),
    )


def _send(connection: Connection, data: bytes, flags: int = 0) -> Steps[None]:
    while data:
        try:
            data = data[connection.send(data, flags) :]
        except BlockingIOError:
            yield select.EPOLLOUT
