"""One exchange over one open connection: a request is sent, the head of its response is received.

The client's states of RFC 9112 and 9110::

    idle ──► request head ──► [wait for 100] ──► request body ──► interim responses ──► final response head ──► body ──► idle

A final response may come at any time after the request's head: a server rejects a body that it has not read, and
closes the connection. So a failed send is no error yet; the response, if there is one, names the reason.
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

MAX_HEAD = 64 * 1024
"""Bytes of a status line and its header fields."""
MAX_INTERIM = 16
"""Interim (1xx) responses before the final one."""
CONTINUE_TIMEOUT = 1.0
"""Seconds to wait for 100 or a final response before the body is sent all the same (RFC 9110, 10.1.1)."""

_CLOSED_BY_PEER = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""Python 3.11 and 3.12 raise SSLEOFError over TLS where a plain socket raises BrokenPipeError."""


class Connection:
    """An open connection.

    :param sock: its timeout is ``timeout``
    :param timeout: seconds without a byte, in either direction; also the longest that a response's head may take
    """

    __slots__ = ("__weakref__", "_poll", "_socket", "stream")

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._socket = sock
        self.stream = ReceiveBuffer(sock, timeout)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def is_reusable(self) -> bool:
        """Tell whether the server keeps the idle connection open and has sent nothing: no request asked for it.

        Bytes of a TLS record that was decrypted already do not show in ``poll``.
        """
        if self._poll.poll(0):
            return False
        return not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending())

    def exchange(self, head: bytes, body: memoryview | None, *, is_expecting: bool) -> tuple[ParsedResponse, bool]:
        """Send a request and receive the head of its final response.

        :param is_expecting: whether the request says ``Expect: 100-continue``
        :return: the response, and whether the request was sent whole; if not, the server may still wait for its body,
            so the connection can carry no other request
        :raises OSError: if no valid response came
        """
        try:
            self._socket.sendall(head)
        except _CLOSED_BY_PEER:
            log.debug("the server closed the connection before it had the request")
        if is_expecting and (early := self._await_continue()) is not None:
            return early, False
        if body:
            self._send_body(body)
        return self._receive_response(), True

    def abort(self) -> None:
        """Shut the socket down, which ends what another thread waits for in it.

        By a descriptor of its own: ``SSLSocket.shutdown`` takes the TLS layer off first, and that thread would go on in
        plain text.
        """
        with socket.socket(fileno=os.dup(self._socket.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. More than once is harmless."""
        self._socket.close()

    def _send_body(self, body: memoryview) -> None:
        send = self._socket.send
        try:
            # Not sendall(), whose timeout is for the whole of a body, however large.
            while body:
                body = body[send(body) :]
        except _CLOSED_BY_PEER:
            log.debug("the server closed the connection before it had the whole body")

    def _await_continue(self) -> ParsedResponse | None:
        """Return the final response, or None once the body is due: the server says 100, or nothing in time."""
        deadline = time.monotonic() + CONTINUE_TIMEOUT
        try:
            for _ in range(MAX_INTERIM):
                head = parse_response(self._read_head(deadline))
                if head.status == 100:
                    return None
                if head.status >= 200:
                    return head
        except TimeoutError:
            return None
        raise ProtocolError(f"more than {MAX_INTERIM} interim responses")

    def _receive_response(self) -> ParsedResponse:
        """Skip interim responses and return the final one. All of it is due within one timeout."""
        deadline = time.monotonic() + self.stream.timeout
        for _ in range(MAX_INTERIM + 1):
            head = parse_response(self._read_head(deadline))
            if head.status >= 200:
                return head
        raise ProtocolError(f"more than {MAX_INTERIM} interim responses")

    def _read_head(self, deadline: float) -> bytes:
        return self.stream.read_until(b"\r\n\r\n", MAX_HEAD, "response head", deadline, b"HTTP/1.")
