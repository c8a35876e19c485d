"""The receiving side of a connection: a socket, the bytes that were read ahead, and deadlines."""

from __future__ import annotations

import re
import socket
import time

from airflow_s3_azure.engine.http.message import ProtocolError

_READ = 4096
"""Bytes of one read of headers: enough for most, and few of the body, because these are copied again."""
_BARE_LF = re.compile(rb"(?<!\r)\n")
_SLACK = 0.1
"""Seconds by which a deadline may be missed, so that the usual response needs no system call to set a timeout."""


class ReceiveBuffer:
    """Reads a socket, through the bytes that were read ahead.

    Invariant: bytes are returned once, in the order in which they arrived. Bytes beyond a delimiter stay in the buffer.

    :param sock: its timeout is ``timeout``
    :param timeout: seconds that one read may take
    """

    __slots__ = ("_buffer", "_socket", "timeout")

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._socket = sock
        self._buffer = b""
        self.timeout = timeout

    @property
    def has_unread(self) -> bool:
        """Whether received bytes were not read yet."""
        return bool(self._buffer)

    def readinto(self, into: memoryview, size: int) -> int:
        """Read the available bytes, at most ``size``; return how many. 0: the connection ended."""
        if not self._buffer:
            return self._socket.recv_into(into, size)
        data = self._buffer[:size]
        into[: len(data)] = data
        self._buffer = self._buffer[len(data) :]
        return len(data)

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
