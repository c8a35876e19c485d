"""An S3 whose restores take time: LocalStack's are done at once, and it shows none in a listing.

Everything goes to LocalStack but what concerns restores. A restore is in progress until :meth:`RestoringS3.finish`, which has
LocalStack restore the object. Objects of Intelligent-Tiering may be in an archive tier, which no listing shows.
"""

from __future__ import annotations

import http.client
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from tests.conftest import Bucket

_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"
_ENTRY = re.compile(r"<Contents><Key>([^<]*)</Key>.*?</Contents>", re.DOTALL)
_ONGOING = "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
_DONE = (
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    "<RestoreExpiryDate>2099-01-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"
)


class RestoringS3(ThreadingHTTPServer):
    """The endpoint of a bucket of LocalStack.

    :ivar requests: the bodies of the requests for restores, by key
    :ivar tiered: keys in an archive tier of Intelligent-Tiering
    :ivar finishing: how many restores are finished before each listing, and each HEAD of an object that is being restored; 0: none
    :ivar listings: so far
    :ivar refusal: what requests for restores are refused with, as status and code; None: they are not
    :ivar refusals: how many more of these requests are refused; None: all
    :ivar listing_refusal: the same for the listings that ask for it
    """

    daemon_threads = True

    def __init__(self, bucket: Bucket, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bucket = bucket
        self.origin = port
        self.requests: dict[str, list[str]] = {}
        self.tiered: set[str] = set()
        self.ongoing: list[str] = []
        self.done: set[str] = set()
        self.finishing = 0
        self.listings = 0
        self.refusal: tuple[int, str] | None = None
        self.refusals: int | None = None
        self.listing_refusal: tuple[int, str] | None = None
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.server_port}"

    def finish(self, count: int) -> None:
        """Finish the restores that were requested first."""
        finished, self.ongoing = self.ongoing[:count], self.ongoing[count:]
        for key in finished:
            if key in self.tiered:
                self.tiered.remove(key)
            else:
                self.bucket.client.restore_object(Bucket=self.bucket.name, Key=key, RestoreRequest={"Days": 7})
            self.done.add(key)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RestoringS3

    def do_GET(self) -> None:
        """Respond."""
        s3, parts = self.server, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = parse_qs(parts.query, keep_blank_values=True)
        key = unquote(parts.path).removeprefix(f"/{s3.bucket.name}").removeprefix("/")
        with s3.lock:
            if "restore" in query:
                self._restore(key, body.decode())
                return
            if "list-type" in query and self._list_is_refused():
                return
            if key in s3.ongoing and self.command == "HEAD":
                s3.finish(s3.finishing)
            if key in s3.tiered and self.command == "GET":
                self._refuse(403, "InvalidObjectState")
                return
            self._forward(key, body, is_listing="list-type" in query)

    do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - http.server's names

    def _list_is_refused(self) -> bool:
        s3 = self.server
        s3.listings += 1
        if s3.listing_refusal is not None and s3.ongoing:
            self._refuse(*s3.listing_refusal)
            return True
        s3.finish(s3.finishing)
        return False

    def _restore(self, key: str, body: str) -> None:
        s3 = self.server
        if s3.refusal is not None and s3.refusals != 0:
            if s3.refusals is not None:
                s3.refusals -= 1
            self._refuse(*s3.refusal)
            return
        s3.requests.setdefault(key, []).append(body)
        if key in s3.ongoing:
            self._refuse(409, "RestoreAlreadyInProgress")
            return
        s3.ongoing.append(key)
        self._respond(202, {}, b"")

    def _forward(self, key: str, body: bytes, *, is_listing: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.origin)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        found, headers = response.read(), dict(response.getheaders())
        connection.close()
        if is_listing:
            found = _ENTRY.sub(self._with_status, found.decode()).encode()
        if key in self.server.tiered and self.command == "HEAD":
            headers |= {"x-amz-storage-class": "INTELLIGENT_TIERING", "x-amz-archive-status": "ARCHIVE_ACCESS"}
        self._respond(response.status, headers, found, length=response.getheader("Content-Length"))

    def _with_status(self, entry: re.Match[str]) -> str:
        key = unquote(entry[1])
        status = _ONGOING if key in self.server.ongoing else _DONE if key in self.server.done else ""
        is_archive = "GLACIER<" in entry[0] or "DEEP_ARCHIVE<" in entry[0]
        return entry[0].replace("</Contents>", f"{status}</Contents>") if is_archive else entry[0]

    def _refuse(self, status: int, code: str) -> None:
        self._respond(status, {"Content-Type": "application/xml"}, _ERROR.format(code=code, message=code).encode())

    def _respond(self, status: int, headers: dict[str, str], body: bytes, length: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", (length or "0") if is_head else str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Log nothing."""
