"""A server that sends what a test scripts, byte for byte."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from airflow_s3_azure.engine.http.client import Connections

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class ScriptedServer:
    """Sends the next of its responses to each request; closes the connection after the last one.

    :param pieces: bytes of a response that are sent at once
    :param context: for TLS
    """

    def __init__(
        self, *responses: bytes, host: str = "127.0.0.1", context: ssl.SSLContext | None = None, pieces: int = 2**20
    ) -> None:
        self.responses = list(responses)
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.pieces = pieces
        self.before_body: Callable[[socket.socket], object] = lambda connection: None
        self._context = context
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if context else 'http'}://{name}:{self.port}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with suppress(OSError), connection:
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                with connection:
                    self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        data = b""
        while self.responses:
            while b"\r\n\r\n" not in data:
                received = connection.recv(65536)
                if not received:
                    return
                data += received
            head, _, data = data.partition(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            self.before_body(connection)
            size = int((re.search(r"(?i)content-length: (\d+)", self.heads[-1]) or ["", "0"])[1])
            while len(data) < size:
                received = connection.recv(65536)
                if not received:
                    return
                data += received
            self.bodies.append(data[:size])
            data = data[size:]
            response = self.responses.pop(0)
            for start in range(0, len(response), self.pieces):
                connection.sendall(response[start : start + self.pieces])


def fetch(connections: Connections, url: str, method: str = "GET", **headers: str) -> bytes:
    """Return the body of a response."""
    with connections.send(method, url, headers) as response:
        return response.read(2**20)
