"""A small HTTP server that sends one response to every request, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import boto3
import requests
from botocore.config import Config

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.s3.params import Operation, Params
from airflow_s3_azure.engine.s3.source import S3Source

Server = TypeVar("Server", bound=ThreadingHTTPServer)


class CannedServer(ThreadingHTTPServer):
    """A server with one response, and the requests that it received.

    :ivar headers: of the response; ``Content-Length`` is added unless it is among them, None: leave it out
    :ivar raw: the whole response instead, after which the connection is closed
    :ivar get: instead of ``status`` and ``body`` for a GET
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 206
        self.headers: dict[str, str | None] = {}
        self.body = b""
        self.raw: bytes | None = None
        self.get: tuple[int, bytes] | None = None
        self.methods: list[str] = []
        self.targets: list[str] = []
        self.seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    """Gives the server's response."""

    protocol_version = "HTTP/1.1"
    server: CannedServer

    def do_GET(self) -> None:
        """Respond."""
        canned = self.server
        canned.methods.append(self.command)
        canned.targets.append(self.path)
        canned.seen.append({name.lower(): value for name, value in self.headers.items()})
        if canned.raw is not None:
            self.wfile.write(canned.raw)
            self.close_connection = True
            return
        status, body = canned.get if canned.get and self.command == "GET" else (canned.status, canned.body)
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **canned.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *arguments: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server in a thread of its own."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def canned_server() -> AbstractContextManager[CannedServer]:
    """Run a server."""
    return serving(CannedServer())


def source_at(endpoint_url: str, bucket: str = "bucket", **options: Any) -> S3Source:
    """Return a source that reads a bucket at an endpoint."""
    client = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        endpoint_url=endpoint_url,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )

    def presign(operation: Operation, params: Params) -> str:
        return str(client.generate_presigned_url(operation, {"Bucket": bucket, **params}))

    cancellation = Cancellation()
    return S3Source(bucket, presign, requests.Session(), cancellation, **options)


def error_document(code: str, message: str = "no") -> bytes:
    """Return the document with which S3 refuses a request."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>R1</RequestId></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
