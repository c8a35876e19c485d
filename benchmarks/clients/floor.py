"""No client, but the floor: bare sockets, two threads, one reused buffer each; no HTTP library, signature, check or retry.

What it costs is what the kernel and TLS take for moving the bytes in and out of this process, and Python for the calls.
Two threads, because this project too keeps two blocks in flight where there is no latency.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from benchmarks.clients import Copy
from benchmarks.job import Job

THREADS = 2


def prepare(job: Job) -> Copy:
    """Nothing is to be prepared."""
    del job

    def copy(one: Job) -> None:
        blocks = [
            (key, start, min(start + one.block_size, one.size))
            for key in one.keys
            for start in range(0, one.size, one.block_size)
        ]
        waiting = iter(blocks)
        turn = threading.Lock()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                _copy_blocks(one, waiting, turn)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        if one.size > one.block_size:
            _commit(one, blocks)

    return copy


class _Connection:
    """One connection to one server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._path = parts.path
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._is_plain = parts.scheme == "http"
        if not self._is_plain:
            context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
            self._socket = context.wrap_socket(self._socket, server_hostname=parts.hostname)

    def request(self, method: str, path: str, headers: str = "", data: memoryview | None = None) -> tuple[bytes, bytes]:
        """Send a request; return the response's headers, and the part of the body that came with them."""
        length = "" if data is None else f"Content-Length: {len(data)}\r\n"
        head = f"{method} {self._path}{path} HTTP/1.1\r\nHost: {self._host}\r\n{headers}{length}\r\n".encode()
        if data:
            self._socket.sendall(head, socket.MSG_MORE if self._is_plain else 0)
            self._socket.sendall(data)
        else:
            self._socket.sendall(head)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._socket.recv(4096)
        if not received.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(received[:200])
        return received[:end], received[end + 4 :]

    def read(self, into: memoryview, begun: bytes) -> None:
        """Read the body of a response."""
        into[: len(begun)] = begun
        done = len(begun)
        while done < len(into):
            done += self._socket.recv_into(into[done:])


def _copy_blocks(job: Job, waiting: Iterator[tuple[str, int, int]], turn: threading.Lock) -> None:
    source, sink = _Connection(job.source), _Connection(job.sink)
    buffer = memoryview(bytearray(min(job.block_size, job.size)))
    while True:
        with turn:
            block = next(waiting, None)
        if block is None:
            return
        key, start, stop = block
        view = buffer[: stop - start]
        _, begun = source.request("GET", f"/{job.bucket}/{key}", f"Range: bytes={start}-{stop - 1}\r\n")
        source.read(view, begun)
        if job.size > job.block_size:
            sink.request("PUT", f"/{job.container}/{key}?comp=block&blockid={_name(start)}", "", view)
        else:
            sink.request("PUT", f"/{job.container}/{key}", "x-ms-blob-type: BlockBlob\r\n", view)


def _commit(job: Job, blocks: list[tuple[str, int, int]]) -> None:
    sink = _Connection(job.sink)
    for key in job.keys:
        names = "".join(f"<Latest>{_name(start)}</Latest>" for name, start, _ in blocks if name == key)
        body = memoryview(f"<BlockList>{names}</BlockList>".encode())
        sink.request("PUT", f"/{job.container}/{key}?comp=blocklist", "", body)


def _name(start: int) -> str:
    return base64.b64encode(b"%012d" % start).decode()
