"""Readers of a response's body, one for each framing. They read into the caller's buffer, and no byte beyond the body."""

from __future__ import annotations

import time
from typing import ClassVar, Protocol

from airflow_s3_azure.engine.http.chunks import ChunkedFraming, ChunkState
from airflow_s3_azure.engine.http.message import ParsedResponse, ProtocolError
from airflow_s3_azure.engine.http.receive_buffer import ReceiveBuffer

_MAX_LINE = 8 * 1024
_ENDED_EARLY = "the server closed the connection before the end of the body"


class Body(Protocol):
    """A body that is being read.

    ``is_complete``: all of it was read. ``ends_connection``: only the end of the connection ends it.
    """

    __slots__ = ()
    is_complete: bool
    ends_connection: ClassVar[bool]

    def readinto(self, into: memoryview) -> int:
        """Read a piece of the body, as it was sent; return how many bytes.

        :return: 0 only at the end
        :raises OSError: if the connection broke
        :raises ProtocolError: if the connection ended before the body
        """


class LengthBody:
    """A body of a known length."""

    __slots__ = ("_buffer", "_remaining", "is_complete")
    ends_connection: ClassVar[bool] = False

    def __init__(self, buffer: ReceiveBuffer, length: int) -> None:
        self._buffer = buffer
        self._remaining = length
        self.is_complete = length == 0

    def readinto(self, into: memoryview) -> int:
        """Read a piece. See :class:`Body`."""
        wanted = min(len(into), self._remaining)
        if wanted == 0:
            return 0
        received = self._buffer.readinto(into, wanted)
        if received == 0:
            raise ProtocolError(_ENDED_EARLY)
        self._remaining -= received
        self.is_complete = self._remaining == 0
        return received


class ChunkedBody:
    """A body in chunks. It is complete once its trailers were read: by one more read after the data, which returns 0."""

    __slots__ = ("_buffer", "_framing", "is_complete")
    ends_connection: ClassVar[bool] = False

    def __init__(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer
        self._framing = ChunkedFraming()
        self.is_complete = False

    def readinto(self, into: memoryview) -> int:
        """Read a piece of the current chunk. See :class:`Body`."""
        framing = self._framing
        if framing.state is not ChunkState.DATA:
            self._read_lines()
        wanted = min(len(into), framing.remaining)
        if wanted == 0:
            return 0
        received = self._buffer.readinto(into, wanted)
        if received == 0:
            raise ProtocolError(_ENDED_EARLY)
        framing.receive_data(received)
        return received

    def _read_lines(self) -> None:
        """Read what is between two chunks' data, or after the last one, within one read timeout."""
        framing = self._framing
        deadline = time.monotonic() + self._buffer.timeout
        while framing.state not in (ChunkState.DATA, ChunkState.DONE):
            framing.receive_line(self._buffer.read_until(b"\r\n", _MAX_LINE, "chunk size or trailer", deadline))
        self.is_complete = framing.state is ChunkState.DONE


class UntilCloseBody:
    """A body that ends with the connection. Whether it is truncated cannot be detected."""

    __slots__ = ("_buffer", "is_complete")
    ends_connection: ClassVar[bool] = True

    def __init__(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer
        self.is_complete = False

    def readinto(self, into: memoryview) -> int:
        """Read a piece. See :class:`Body`."""
        if self.is_complete or not into:
            return 0
        received = self._buffer.readinto(into, len(into))
        self.is_complete = received == 0
        return received


def body_of(method: str, parsed: ParsedResponse, buffer: ReceiveBuffer) -> Body:
    """Return the reader for a response's body (RFC 9112, 6.3)."""
    if method == "HEAD" or parsed.status in (204, 304):
        return LengthBody(buffer, 0)
    if parsed.is_chunked:
        return ChunkedBody(buffer)
    if parsed.content_length is None:
        return UntilCloseBody(buffer)
    return LengthBody(buffer, parsed.content_length)
