"""The receiving side of a connection: a socket, the bytes that were read ahead, and deadlines."""

from __future__ import annotations

import re
import socket
import time

from airflow_s3_azure.engine.http.message import ProtocolError

_READ = 4096
"""Bytes of one read of headers: enough for most, and few of the body, because these are copied again."""
PIECE_SECONDS = 0.01
"""Seconds after which a piece of a body is returned, also if it could be larger. One read of a TLS socket returns one record, of at
most 16 KiB (RFC 8446, 5.1); many of them in one piece cost the caller one call."""
_BARE_LF = re.compile(rb"(?<!\r)\n")
_SLACK = 0.1
"""Seconds by which a deadline may be missed, so that the usual response needs no system call to set a timeout."""


class ReceiveBuffer:
    """Reads a socket, through the bytes that were read ahead.

    Invariant: bytes are returned once, in the order in which they arrived. Bytes beyond a delimiter stay in the buffer. Bytes
    that arrived before an error are returned before it is raised.

    :param sock: its timeout is ``timeout``
    :param timeout: seconds that one read may take
    """

    __slots__ = ("_buffer", "_error", "_socket", "timeout")

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._socket = sock
        self._buffer = b""
        self._error: OSError | None = None
        self.timeout = timeout

    @property
    def has_unread(self) -> bool:
        """Whether received bytes were not read yet."""
        return bool(self._buffer)

    def readinto(self, into: memoryview, size: int) -> int:
        """Read a piece of at most ``size`` bytes, and return how many: those that were read ahead, else those that arrive soon.

        After ``PIECE_SECONDS`` no further read of the socket begins. Bytes that arrived before an error are returned, and the
        next call raises it.

        :return: 0 only at the end of the connection
        :raises OSError: if the connection broke, or no byte arrived in time
        """
        if self._buffer:
            data = self._buffer[:size]
            into[: len(data)] = data
            self._buffer = self._buffer[len(data) :]
            return len(data)
        if self._error is not None:
            raise self._error
        received = 0
        began = time.monotonic()
        try:
            while received < size and (more := self._socket.recv_into(into[received:], size - received)):
                received += more
                if time.monotonic() - began >= PIECE_SECONDS:
                    break
        except OSError as error:
            if received == 0:
                raise
            self._error = error
        return received

    def read_until(self, end: bytes, limit: int, what: str, deadline: float, start: bytes = b"") -> bytes:
        """Read up to ``end`` and return the bytes before it. After a timeout another call resumes.

        :param limit: bytes
        :param what: for messages
        :param deadline: by the monotonic clock; arriving bytes do not extend it
        :param start: the expected first bytes; others are rejected at once, without a wait for ``end``
        :raises ProtocolError: if the limit is exceeded, a line ends in a bare LF, or the connection ends first
        :raises TimeoutError: at the deadline
        """
        searched = 0
        if not self._buffer:
            self._receive(what, deadline)
        while (place := self._buffer.find(end, searched)) < 0:
            if not start.startswith(self._buffer[: len(start)]) or _BARE_LF.search(self._buffer, searched):
                raise ProtocolError(f"malformed {what}")
            searched = max(0, len(self._buffer) - len(end) + 1)
            if searched > limit:
                break
            self._receive(what, deadline)
        if not 0 <= place <= limit:
            raise ProtocolError(f"more than {limit:,} bytes of {what}")
        data = self._buffer[:place]
        self._buffer = self._buffer[place + len(end) :]
        return data

    def _receive(self, what: str, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no complete {what} in time")
        if left + _SLACK < self.timeout:
            self._socket.settimeout(left)
            try:
                more = self._socket.recv(_READ)
            finally:
                self._socket.settimeout(self.timeout)
        else:
            more = self._socket.recv(_READ)
        if not more:
            place = "within" if self._buffer else "before"
            raise ProtocolError(f"the server closed the connection {place} the {what}")
        self._buffer += more
