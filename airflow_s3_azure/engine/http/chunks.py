"""Chunked framing (RFC 9112, 7.1) as a state machine. No I/O: its input is lines, and counts of data bytes.

::

    SIZE ── size > 0 ──► DATA ── all of its bytes ──► DATA_END ── empty line ──► SIZE
    SIZE ── size = 0 ──► TRAILER ── field ──► TRAILER ── empty line ──► DONE

Invariants: ``remaining`` is positive in DATA and 0 in every other state. Only DATA takes data, only SIZE, DATA_END and
TRAILER take lines, and DONE takes nothing: what follows is not part of this body. All other input is a ProtocolError.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from airflow_s3_azure.engine.http.message import FIELD_LINE, ProtocolError

MAX_OVERHEAD = 16 * 1024
"""Bytes of sizes, extensions and trailers beyond what chunks of a useful size need (Go's net/http has the same limit)."""

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(FIELD_LINE)


class ChunkState(Enum):
    """What comes next in a chunked body."""

    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    DONE = auto()


class ChunkedFraming:
    """The state of a reader of a chunked body.

    ``remaining``: bytes of the current chunk's data that were not read yet.
    """

    __slots__ = ("_overhead", "remaining", "state")

    def __init__(self) -> None:
        self.state = ChunkState.SIZE
        self.remaining = 0
        self._overhead = 0

    def receive_data(self, size: int) -> None:
        """Count ``size`` bytes of data, at most ``remaining``."""
        self.remaining -= size
        if self.remaining == 0:
            self.state = ChunkState.DATA_END

    def receive_line(self, line: bytes) -> None:
        """Take the next line, without its CRLF.

        :raises ProtocolError: if it is not valid in this state
        """
        self._overhead += len(line) + 2
        if self._overhead > MAX_OVERHEAD:
            raise ProtocolError(f"more than {MAX_OVERHEAD:,} bytes of chunk extensions or trailers")
        if self.state is ChunkState.SIZE:
            self._begin_chunk(line)
        elif self.state is ChunkState.DATA_END:
            if line:
                raise ProtocolError("a chunk is longer than its size")
            self.state = ChunkState.SIZE
        elif not line:
            self.state = ChunkState.DONE
        elif not _TRAILER.fullmatch(line):
            raise ProtocolError("malformed trailer")

    def _begin_chunk(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise ProtocolError("malformed or too large chunk size")
        self.remaining = int(size[1], 16)
        self.state = ChunkState.DATA if self.remaining else ChunkState.TRAILER
        # The allowance grows with the data, so that a long body of small but useful chunks stays within it.
        self._overhead = max(0, self._overhead - 16 - 2 * self.remaining)
