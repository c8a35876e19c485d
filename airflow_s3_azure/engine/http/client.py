"""HTTP/1.1 as a copy needs it: a request, and its answer read into the caller's buffer, at a fraction of the usual cost.

`requests` says which route a request takes (proxies, ``no_proxy``, CA bundles, client certificates), `urllib3` opens the
connection along it (tunnel, TLS, time limits), once per connection. What then goes over it is written and read here,
because for small objects the libraries' own bookkeeping costs ten times what the transfer does.
"""

from __future__ import annotations

import http.client
import logging
import re
import socket
import ssl
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Timeout

from airflow_s3_azure.engine.http.session import OPEN, VerbatimAdapter, redact
from airflow_s3_azure.engine.quoting import get_logger

log = get_logger(__name__)

_HEAD_READ = 4096
"""Bytes asked for at first: an answer's head, and little of the body, which would be copied once more."""
_HEAD_LIMIT = 256 * 1024
_END_OF_HOST = re.compile("[/?]")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) +(\d{3})(?: +(.*))?")
_CONTENT_LENGTH = re.compile("[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?\Z")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ProtocolError(ConnectionError):
    """What came is not an HTTP/1 answer, or not all of one."""


class Headers(dict[str, str]):
    """The headers of a message. Their names have no case: they are kept in lower case, and asked for and set in any.

    It is made of names in lower case.
    """

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name.lower(), value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's value, or ``default``."""
        return super().get(name.lower(), default)


@dataclass(slots=True)
class _Connection:
    """An open connection.

    :param extra: headers of every request over it, for a proxy
    """

    opened: HTTPConnection
    sock: socket.socket
    extra: Mapping[str, str]

    def close(self) -> None:
        self.opened.close()

    def is_reusable(self) -> bool:
        """Tell whether the server keeps the connection open and sent nothing that no request asked for.

        Bytes of a TLS record that was decrypted already do not show in ``poll``.
        """
        return self.opened.is_connected and not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending())


@dataclass(slots=True)
class _Route:
    """How the requests for one origin travel, and the connections along it that nobody uses now.

    :param host: what the Host header says
    :param target: for which a connection is opened
    :param is_forwarded: whether a proxy wants the whole URL on the request line
    """

    host: str
    pool: HTTPConnectionPool
    target: str
    is_forwarded: bool
    idle: list[_Connection] = field(default_factory=list)


class Connections:
    """Sends requests over a session's routes, and keeps the connections open. Any number of threads may send at once.

    :param session: from :func:`~airflow_s3_azure.engine.http.session.pooled_session`; its proxies, CA bundle, certificate and
        User-Agent hold as they are at the first request to a host
    :param connect_timeout: seconds
    :param read_timeout: seconds without a byte, in either direction
    """

    def __init__(self, session: requests.Session, *, connect_timeout: float, read_timeout: float) -> None:
        self._session = session
        self._timeout = Timeout(connect=connect_timeout, read=read_timeout)
        self._routes: dict[str, _Route] = {}
        weakref.finalize(self, _close_idle, self._routes)
        self._own = {"User-Agent": str(session.headers.get("User-Agent", ""))}

    def send(self, method: str, url: str, headers: Mapping[str, str], body: memoryview | None = None) -> Response:
        """Send one request and return its answer, of which only the head is read. Nothing is sent twice.

        :param url: goes on the request line as it is
        :param headers: sent as they are, beside Host and User-Agent; with a body, Content-Length is among them
        :raises OSError: if nobody could be reached, or no answer came
        :raises urllib3.exceptions.HTTPError: likewise
        """
        scheme, _, rest = url.partition("://")
        end = _END_OF_HOST.search(rest)
        place = end.start() if end else len(rest)
        origin, target = f"{scheme}://{rest[:place]}", rest[place:]
        if not target.startswith("/"):
            target = "/" + target
        route = self._routes.get(origin) or self._find_route(origin)
        connection = self._take(route)
        try:
            line = f"{method} {url if route.is_forwarded else target} HTTP/1.1"
            _send(connection.sock, _head(line, {"Host": route.host, **self._own, **connection.extra, **headers}), body)
            response = Response(route.idle, connection, method)
        except BaseException:
            connection.close()
            raise
        if log.isEnabledFor(logging.DEBUG):
            log.debug('%s "%s %s" %d', origin, method, redact(target), response.status_code)
        return response

    def close(self) -> None:
        """Close the connections that nobody uses now, and the session. A later request opens new ones."""
        _close_idle(self._routes)
        self._routes.clear()  # their pools end with the session
        self._session.close()

    def _take(self, route: _Route) -> _Connection:
        while True:
            try:
                connection = route.idle.pop()
            except IndexError:
                return self._open(route)
            if connection.is_reusable():
                return connection
            connection.close()

    def _open(self, route: _Route) -> _Connection:
        answer = route.pool.urlopen(
            OPEN,
            route.target,
            headers={},
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
            release_conn=False,
        )
        opened = answer.connection
        if not isinstance(opened, HTTPConnection) or opened.sock is None:
            raise ProtocolError("no connection could be opened")
        return _Connection(opened, opened.sock, dict(answer.headers))

    def _find_route(self, origin: str) -> _Route:
        session = self._session
        request = requests.Request("GET", origin + "/").prepare()
        url = str(request.url)
        # What the connection says comes before what the environment says.
        settings = session.merge_environment_settings(url, dict(session.proxies), True, session.verify, session.cert)
        proxies, verify, cert = settings["proxies"], settings["verify"], settings["cert"]
        adapter = session.get_adapter(url)
        if not isinstance(adapter, VerbatimAdapter):
            raise TypeError("the session must be one of pooled_session()")
        pool: Any = adapter.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        adapter.cert_verify(pool, url, verify, cert)  # type: ignore[no-untyped-call, unused-ignore]
        target = adapter.request_url(request, proxies)
        parts = urlsplit(origin)
        # In lower case, as SigV4 signs it.
        host = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, "/"))
        return self._routes.setdefault(origin, _Route(host, pool, target, is_forwarded=not target.startswith("/")))


class Response:
    """The response to a request. Its connection serves the next request once the body is read to its end.

    ``content_length`` is what its Content-Length declares, also for HEAD; None if it declares none.
    As a context manager it closes itself.
    """

    __slots__ = (
        "_connection",
        "_idle",
        "_is_chunked",
        "_is_last",
        "_left",
        "_rest",
        "content_length",
        "headers",
        "method",
        "reason",
        "status_code",
    )

    def __init__(self, idle: list[_Connection], connection: _Connection, method: str) -> None:
        self.method = method
        self._idle = idle
        self._connection: _Connection | None = connection
        self._rest = b""
        self.status_code, self.reason, self.headers = 100, "", Headers()
        while self.status_code < 200:
            version = self._read_head(connection.sock)
        header = self.headers.get
        told = header("connection", "").lower()
        self._is_last = "close" in told if version else "keep-alive" not in told
        self._is_chunked = "chunked" in header("transfer-encoding", "").lower()
        self.content_length = _content_length(self.headers)
        self._left: int | None = 0
        """Bytes of the body, or of its current chunk, that are still to come; None: all until the connection ends."""
        if method == "HEAD" or self.status_code in (204, 304):
            self._is_chunked = False
        elif self._is_chunked:
            self._begin_chunk()
        elif self.content_length is None:
            self._left, self._is_last = None, True
        else:
            self._left = self.content_length
        if self._left == 0:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def readinto(self, into: memoryview) -> int:
        """Read what there is of the body, as it was sent, but no more than ``into`` holds; return how many bytes.

        :return: 0 at the end of the body, and if the connection ended before it
        :raises OSError: if the connection broke
        """
        if self._connection is None:
            return 0
        wanted = len(into) if self._left is None else min(len(into), self._left)
        if self._rest:
            received = min(wanted, len(self._rest))
            into[:received] = self._rest[:received]
            self._rest = self._rest[received:]
        else:
            received = self._connection.sock.recv_into(into, wanted)
        if received == 0:
            self.close()
        elif self._left is not None:
            self._left -= received
            if self._left == 0 and self._is_chunked:
                if self._take_line():
                    raise ProtocolError("a chunk is longer than its size")
                self._begin_chunk()
            if self._left == 0:
                self._end()
        return received

    def read(self, limit: int) -> bytes:
        """Return the rest of the body.

        :param limit: bytes; of a longer body only the beginning is returned
        :raises OSError: if the connection broke, or ended before the body did
        """
        data = bytearray()
        piece = memoryview(bytearray(min(limit, 16 * 1024)))
        while len(data) < limit and (received := self.readinto(piece[: limit - len(data)])):
            data += piece[:received]
        if len(data) < limit and self._left:
            raise ProtocolError("the body ended early")
        return bytes(data)

    def close(self) -> None:
        """Close the connection, unless the body was read to its end and the server keeps it open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        if self._is_last or self._rest:
            self.close()
        elif self._connection is not None:
            self._idle.append(self._connection)
            self._connection = None

    def _read_head(self, sock: socket.socket) -> bool:
        """Read a head; return whether it is of HTTP/1.1, not 1.0."""
        data = self._rest or sock.recv(_HEAD_READ)
        if not data:
            raise http.client.RemoteDisconnected("the connection was closed without an answer")
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > _HEAD_LIMIT or not (more := sock.recv(_HEAD_READ)):
                raise ProtocolError("its head has no end")
            data += more
        self._rest = data[end + 4 :]
        status, *lines = data[:end].decode("latin-1").split("\r\n")
        told = _STATUS_LINE.fullmatch(status)
        if told is None:
            raise ProtocolError("it does not begin as an answer of HTTP/1 does")
        self.status_code, self.reason = int(told[2]), told[3] or ""
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.headers = Headers(headers)
        return told[1] == "1"

    def _begin_chunk(self) -> None:
        size = _CHUNK_SIZE.match(self._take_line())
        if size is None:
            raise ProtocolError("malformed chunk size")
        self._left = int(size[1], 16)
        if self._left == 0:
            while self._take_line():  # trailers
                pass

    def _take_line(self) -> bytes:
        while (end := self._rest.find(b"\r\n")) < 0:
            more = self._connection.sock.recv(_HEAD_READ) if self._connection else b""
            if len(self._rest) > _HEAD_LIMIT or not more:
                raise ProtocolError("the body ended early")
            self._rest += more
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line


def _content_length(headers: Headers) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not _CONTENT_LENGTH.fullmatch(text):
        raise ProtocolError("malformed or repeated Content-Length")
    return int(text)


def _close_idle(routes: Mapping[str, _Route]) -> None:
    for route in list(routes.values()):
        while route.idle:
            with suppress(IndexError):  # a worker was faster
                route.idle.pop().close()


def _head(line: str, headers: Mapping[str, str]) -> bytes:
    """Return a request's head.

    :raises ValueError: if it would not be read as it is meant: the values are other people's
    """
    text = "\r\n".join([line, *map(": ".join, headers.items()), "", ""])
    breaks = len(headers) + 2
    if text.count("\n") != breaks or text.count("\r") != breaks or line.count(" ") != 2:
        raise ValueError("a header or the URL has a line break or a space where none may be")
    return text.encode("latin-1")


def _send(sock: socket.socket, head: bytes, body: memoryview | None) -> None:
    try:
        sock.sendall(head)
        # Not sendall(): its time limit is for all of the body, however large.
        while body:
            body = body[sock.send(body) :]
    except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        # A server may refuse a request before it has read all of it, and close the connection: its response says why.
        # Python 3.11 and 3.12 raise SSLEOFError where a plain socket raises BrokenPipeError.
        log.debug("the connection was closed before all was sent")
