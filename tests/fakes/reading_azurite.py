"""An Azurite that can read blocks from anywhere, as Azure does: a small proxy before it does that one call.

Azurite's own Put Block From URL reads from the same Azurite only. Here every request goes to Azurite, this one too, so
that Azurite checks its signature, its container and its headers. Only where Azurite then says that the source is not
its own (404 ``CannotVerifyCopySource``), the proxy reads the source, with the range and the conditions that were
given, and stages what it read by an ordinary Put Block, which returns the CRC-64.
``test_reading_azurite.py`` compares it with Azurite's own.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest
from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.servers import AzureServer

_NOT_FORWARDED = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_CONDITIONS = {
    "x-ms-source-range": "Range",
    "x-ms-source-if-match": "If-Match",
    "x-ms-source-if-none-match": "If-None-Match",
}
_CHECKS = {"x-ms-source-content-md5": "Content-MD5", "x-ms-source-content-crc64": "x-ms-content-crc64"}


@dataclass(frozen=True)
class Response:
    """A response of Azurite, or one in its form."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> str:
        """The error's code, empty if it is none."""
        return dict(self.headers).get("x-ms-error-code", "")


@dataclass
class ReadingAzurite:
    """An Azurite behind the proxy.

    :param reads: the headers of each Put Block From URL
    :param before: called with the number of the request, from 0, before its source is read
    :param damage: changes the bytes in transit
    :param unsupported: a header that is refused as one
    :param refusals: simulated statuses of the source, by the number of the request
    """

    server: AzureServer
    port: int = 0
    reads: list[dict[str, str]] = field(default_factory=list)
    before: Callable[[int], None] = lambda number: None
    damage: Callable[[int, bytes], bytes] = lambda number, body: body
    refusals: Callable[[int], int | None] = lambda number: None
    unsupported: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        """The account's URL."""
        return f"http://127.0.0.1:{self.port}/{self.server.account}"

    def container_client(self, name: str) -> ContainerClient:
        """Return the SDK's client of a container, through the proxy."""
        return BlobServiceClient(self.endpoint, credential=self.server.key).get_container_client(name)

    def airflow_connection(self) -> dict[str, Any]:
        """Return the Airflow connection to this account."""
        return {**self.server.airflow_connection(), "host": self.endpoint}

    def respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Return the response to a request."""
        response = self._send(method, target, headers, body)
        source = headers.get("x-ms-copy-source")
        query = parse_qs(urlsplit(target).query)
        if source is None or query.get("comp") != ["block"]:
            return response
        with self.lock:
            number = len(self.reads)
            self.reads.append(dict(headers))
        if (response.status, response.code) != (404, "CannotVerifyCopySource"):
            return response
        if not re.fullmatch(r"bytes=\d+-\d*", headers.get("x-ms-source-range", "bytes=0-")):
            return _refusal(response, 400, "InvalidHeaderValue")
        if self.unsupported in headers:
            return _refusal(response, 400, "UnsupportedHeader", f"<HeaderName>{self.unsupported}</HeaderName>")
        self.before(number)
        status, found = self._read(source, headers)
        status = self.refusals(number) or status
        if status in (304, 412):
            return _refusal(response, 412, "SourceConditionNotMet")
        if status not in (200, 206):
            return _refusal(response, status, "CannotVerifyCopySource")
        return self._stage(target, headers, self.damage(number, found))

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, target, body or None, dict(headers))
            response = connection.getresponse()
            return Response(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def _read(self, source: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(source)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=20)
        conditions = {name: headers[given] for given, name in _CONDITIONS.items() if given in headers}
        try:
            connection.request(
                "GET", f"{parts.path}?{parts.query}", headers={"Accept-Encoding": "identity", **conditions}
            )
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            return 500, b""
        finally:
            connection.close()

    def _stage(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        ours = {name: value for name, value in headers.items() if name in ("x-ms-version", "x-ms-date")}
        ours |= {name: headers[given] for given, name in _CHECKS.items() if given in headers}
        ours |= {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream"}
        request = HttpRequest("PUT", f"http://127.0.0.1:{self.server.port}{target}", headers=ours)
        if "authorization" in headers:
            policy: Any = BlobServiceClient(self.server.endpoint, credential=self.server.key).credential
            policy.on_request(PipelineRequest(request, PipelineContext(None)))
        response = self._send("PUT", target, request.headers, body)
        if response.status == 201:
            response.headers.append(("content-md5", base64.b64encode(hashlib.md5(body).digest()).decode()))
        return response


def _refusal(like: Response, status: int, code: str, detail: str = "") -> Response:
    """Return a refusal in the form of another one."""
    headers = [(name, code if name.lower() == "x-ms-error-code" else value) for name, value in like.headers]
    body = like.body.replace(like.code.encode(), code.encode()).replace(b"</Error>", f"{detail}</Error>".encode())
    return Response(status, headers, body)


@contextmanager
def reading_azurite(server: AzureServer) -> Iterator[ReadingAzurite]:
    """Run the proxy before a running Azurite."""
    azure = ReadingAzurite(server)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            response = azure.respond(self.command, self.path, headers, body)
            self.send_response_only(response.status)
            for name, value in response.headers:
                if name.lower() not in _NOT_FORWARDED or (self.command == "HEAD" and name.lower() == "content-length"):
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _respond  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as above
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore clients that close the connection: tests make them do so."""

    with Server(("127.0.0.1", 0), Handler) as listener:
        azure.port = listener.server_port
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield azure
        finally:
            listener.shutdown()
            thread.join()
