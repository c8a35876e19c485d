"""One exchange over one open connection: sends a request, and receives the headers of its response.

Theory of operation (RFC 9110, RFC 9112)::

    send headers ──► [await 100] ──► send body ──► skip interim responses ──► final response
                          └──────────── final response ────────────────────────────┘

A final response may arrive at any time after the request's headers: a server may reject a body before it has read it, and
close the connection. So a failed send is not yet an error; the response, if there is one, has the reason.

Invariants: a request whose body was not sent whole leaves a connection that is not reusable, because the server may still
wait for the body. Headers have one deadline, however slowly their bytes arrive; a body has a timeout for each read or send.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time

from airflow_s3_azure.engine.http.message import ParsedResponse, ProtocolError, parse_response
from airflow_s3_azure.engine.http.receive_buffer import ReceiveBuffer
from airflow_s3_azure.engine.quoting import get_logger

log = get_logger(__name__)

MAX_HEADERS = 64 * 1024
"""Bytes of a status line and its header fields."""
MAX_INTERIM = 16
"""Interim (1xx) responses before the final one."""
MAX_JOINED = 64 * 1024
"""Bytes of the largest body that is sent together with the headers: that saves a send, and a handover of the interpreter's lock."""
CONTINUE_TIMEOUT = 1.0
"""Seconds to wait for 100 or a final response; after them the body is sent (RFC 9110, 10.1.1)."""

_CLOSED_BY_PEER = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""Python 3.11 and 3.12 raise SSLEOFError over TLS where a plain socket raises BrokenPipeError."""


class Connection:
    """An open connection. One thread uses it at a time; only :meth:`abort` may be called by another.

    :param sock: its timeout is ``timeout``; after TLS's handshake, if it has TLS
    :param timeout: seconds without a byte, in either direction; also the limit for a response's headers
    :ivar tls_version: such as ``TLSv1.3``; None: plain text
    """

    __slots__ = ("__weakref__", "_pending", "_poll", "_socket", "receive_buffer", "tls_version")

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._socket = sock
        self.tls_version = sock.version() if isinstance(sock, ssl.SSLSocket) else None
        self._pending = sock.pending if isinstance(sock, ssl.SSLSocket) else None
        self.receive_buffer = ReceiveBuffer(sock, timeout)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def is_reusable(self) -> bool:
        """Return whether the server keeps the idle connection open and has sent nothing: it would belong to no request.

        ``poll`` does not report bytes of a TLS record that is already decrypted.
        """
        if self._poll.poll(0):
            return False
        return self._pending is None or not self._pending()

    def exchange(self, request: bytes, body: memoryview | None, *, is_expecting: bool) -> tuple[ParsedResponse, bool]:
        """Send a request and receive the headers of its final response.

        :param is_expecting: whether the request has ``Expect: 100-continue``
        :return: the response, and whether the request was sent whole
        :raises OSError: if no valid response was received
        """
        if body is not None and not is_expecting and len(body) <= MAX_JOINED:
            request, body = b"".join((request, body)), None
        self._send(memoryview(request))
        if is_expecting and (early := self._await_continue()) is not None:
            return early, False
        if body is not None:
            self._send(body)
        return self._receive_response(), True

    def abort(self) -> None:
        """Shut the socket down, which unblocks its owner.

        Through a duplicate descriptor: ``SSLSocket.shutdown`` first removes the TLS layer, and the owner would continue in
        plain text.
        """
        with socket.socket(fileno=os.dup(self._socket.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. More than once is harmless."""
        self._socket.close()

    def _send(self, data: memoryview) -> None:
        send = self._socket.send
        try:
            # sendall() would apply the timeout to all of the data.
            while data:
                data = data[send(data) :]
        except _CLOSED_BY_PEER:
            log.debug("the server closed the connection before it received the whole request")

    def _await_continue(self) -> ParsedResponse | None:
        """Return the final response, or None if the body is to be sent: after 100, or after the timeout."""
        deadline = time.monotonic() + CONTINUE_TIMEOUT
        try:
            for _ in range(MAX_INTERIM):
                parsed = parse_response(self._read_headers(deadline))
                if parsed.status == 100:
                    return None
                if parsed.status >= 200:
                    return parsed
        except TimeoutError:
            return None
        raise ProtocolError(f"more than {MAX_INTERIM} interim responses")

    def _receive_response(self) -> ParsedResponse:
        """Skip interim responses and return the final one, within one deadline."""
        deadline = time.monotonic() + self.receive_buffer.timeout
        for _ in range(MAX_INTERIM + 1):
            parsed = parse_response(self._read_headers(deadline))
            if parsed.status >= 200:
                return parsed
        raise ProtocolError(f"more than {MAX_INTERIM} interim responses")

    def _read_headers(self, deadline: float) -> bytes:
        return self.receive_buffer.read_until(b"\r\n\r\n", MAX_HEADERS, "response headers", deadline, b"HTTP/1.")
