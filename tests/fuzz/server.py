"""A server that responds to each request with the given bytes, valid or not."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.fuzz.mutations import Mutant

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
_ENOUGH = 32 * 1024 * 1024
"""Bytes of an endless response after which a client that still reads counts as endless. Socket buffers hold a part."""


class MutantServer:
    """Sends prepared responses, in the order of the requests, while its context lasts.

    :param fallback: what later requests get, by method
    """

    def __init__(self, fallback: dict[str, bytes]) -> None:
        self.read_too_much = False
        """Whether a client read an endless response without giving up."""
        self._fallback = fallback
        self._prepared: deque[Mutant] = deque()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def prepare(self, *mutants: Mutant) -> None:
        """Send these to the next requests."""
        self._prepared = deque(mutants)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, suppress(OSError):
            while (method := _read_request(connection)) is not None:
                mutant = self._prepared.popleft() if self._prepared else Mutant(self._fallback[method], stays=True)
                connection.sendall(mutant.data)
                if mutant.endless:
                    self._send_endlessly(connection, mutant.endless)
                if mutant.is_reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                if not mutant.stays:
                    break
        self._open.discard(connection)

    def _send_endlessly(self, connection: socket.socket, piece: bytes) -> None:
        piece *= 64 * 1024 // len(piece)
        for _ in range(_ENOUGH // len(piece)):
            connection.sendall(piece)
        self.read_too_much = True


def _read_request(connection: socket.socket) -> str | None:
    """Read one request; return its method, or None if the client closed the connection."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        received = connection.recv(65_536)
        if not received:
            return None
        data += received
    length = _LENGTH.search(data, 0, end + 2)
    left = end + 4 + (int(length[1]) if length else 0) - len(data)
    while left > 0:
        received = connection.recv(left)
        if not received:
            return None
        left -= len(received)
    return data[: data.index(b" ")].decode("ascii")
