"""Endpoints that ignore If-Match, and return a truthful ETag with what they have: a small one, and rclone's."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tests.fakes.canned_server import serving
from tests.servers.process import free_port

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_START_SECONDS = 30.0


class UnpinnedServer(ThreadingHTTPServer):
    """A server of one object, over real sockets.

    :ivar body: the current version
    :ivar head_body: the version that a HEAD describes, as a cache would; None: the current one
    :ivar before: called with the number of each request, from 0, before its response
    """

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.head_body: bytes | None = None
        self.before: Callable[[int], None] = lambda number: None
        self.lock = threading.Lock()
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.server_port}"


def etag_of(body: bytes) -> str:
    """Return the ETag of a version, which is no MD5, so that nothing but the ETag shows a mixture."""
    return hashlib.sha1(body).hexdigest() + "-2"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: UnpinnedServer

    def do_GET(self) -> None:
        """Respond with the requested range of the current version, and ignore If-Match."""
        server = self.server
        with server.lock:
            server.before(len(server.requests))
            server.requests.append(f"{self.command} {self.headers.get('Range', '')}".rstrip())
            body = server.body
        if self.command == "HEAD" and server.head_body is not None:
            body = server.head_body
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        start, stop = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, len(body))
        if wanted and stop > len(body):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{etag_of(body)}"')
        self.send_header("Content-Length", str(stop - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[start:stop])

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *arguments: Any) -> None:
        """Log nothing."""


def unpinned_server(body: bytes) -> AbstractContextManager[UnpinnedServer]:
    """Run a server."""
    return serving(UnpinnedServer(body))


@contextmanager
def rclone_server(directory: Path) -> Iterator[str]:
    """Serve a directory, whose folders are the buckets, by ``rclone serve s3``; yield the endpoint."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", f"--addr=127.0.0.1:{port}"]
    command += [
        "--auth-key=AKIDEXAMPLE,secret",
        f"--config={directory / 'no.conf'}",
        "--dir-cache-time=0",
        str(directory),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_it_responds(url)
            yield url
        finally:
            process.terminate()


def _wait_until_it_responds(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            requests.get(url, timeout=5).close()
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
