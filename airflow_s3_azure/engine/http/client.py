"""Sends requests over pooled connections, one pool per origin, and returns responses whose bodies the caller reads."""

from __future__ import annotations

import logging
import re
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.body import Body, body_of
from airflow_s3_azure.engine.http.connection import Connection
from airflow_s3_azure.engine.http.message import ParsedResponse, encode_request
from airflow_s3_azure.engine.http.observer import Exchange, Observer
from airflow_s3_azure.engine.http.redaction import redact
from airflow_s3_azure.engine.http.routes import Route, RouteFinder
from airflow_s3_azure.engine.quoting import get_logger

log = get_logger(__name__)

LARGE_BODY = 1024 * 1024
"""Bytes from which a request's body is worth the round trip of ``Expect: 100-continue``."""
READ_SIZE = 256 * 1024
"""Bytes of a piece of a body. After each the thread waits for the interpreter's lock, so a page of a listing takes few."""

_EXPECT = {"Expect": "100-continue"}
_END_OF_HOST = re.compile("[/?]")


class Connections:
    """Sends requests over pooled connections, one pool per origin. Thread-safe.

    :param session: its proxies, CA bundle, certificate and User-Agent are read at the first request to an origin
    :param cancellation: its ``abort`` unblocks threads that wait here
    :param connect_timeout: seconds
    :param read_timeout: seconds without a byte, in either direction; also the limit for a response's headers, and for the
        lines between two chunks or after the last one
    :param on_exchange: called after each request, with the headers of its response, from the thread of the request; what it
        raises closes the connection
    """

    def __init__(
        self,
        session: requests.Session,
        cancellation: Cancellation,
        *,
        connect_timeout: float,
        read_timeout: float,
        on_exchange: Observer | None = None,
    ) -> None:
        self._session = session
        self._cancellation = cancellation
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._on_exchange = on_exchange
        self._finder = RouteFinder()
        self._routes: dict[str, Route] = {}
        self._opened: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._changing = threading.Lock()
        weakref.finalize(self, _close_routes, self._routes)
        cancellation.on_abort(self.abort)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: memoryview | None = None) -> Response:
        """Send one request and return its response. The headers are read, the body is not.

        :param url: sent verbatim on the request line
        :param headers: sent verbatim, with Host and User-Agent; with a body, Content-Length is among them
        :raises OSError: if no connection could be opened, or no valid response was received
        :raises ValueError: if a header or the URL would change the meaning of the request
        """
        origin, target = _split(url)
        route = self._routes.get(origin) or self._find_route(origin)
        request_line = f"{method} {url if route.is_forwarded else target} HTTP/1.1"
        is_expecting = body is not None and len(body) >= LARGE_BODY and route.expects_continue
        fields = (route.fields, headers, _EXPECT) if is_expecting else (route.fields, headers)
        idle = route.take()
        connection = idle or self._open(route)
        try:
            request = encode_request(request_line, *fields)
            parsed, is_sent = connection.exchange(request, body, is_expecting=is_expecting)
            body_reader = body_of(method, parsed, connection.receive_buffer)
            is_reusable = is_sent and parsed.keeps_alive and not body_reader.ends_connection
            if parsed.status == 204 and (parsed.is_chunked or parsed.content_length):
                is_reusable = False  # its server may send the body that it declares
            response = Response(method, parsed, body_reader, connection, route if is_reusable else None)
            if self._on_exchange is not None:
                sent = 0 if body is None else len(body)
                self._on_exchange(
                    Exchange(
                        method,
                        origin,
                        parsed.status,
                        parsed.headers,
                        tls_version=connection.tls_version,
                        is_reused=idle is not None,
                        sent=sent,
                    )
                )
            response.finish_if_complete()
        except BaseException:
            connection.close()
            raise
        if log.isEnabledFor(logging.DEBUG):
            log.debug('%s "%s %s" %d', origin, method, redact(target), parsed.status)
        if parsed.status >= 400 or is_expecting:
            route.record_status(parsed.status, is_expecting=is_expecting)
        if is_expecting and parsed.status == 417:
            response.close()
            return self.send(method, url, headers, body)
        return response

    def abort(self) -> None:
        """Shut all open connections down: this unblocks all pending I/O."""
        with self._changing:
            connections = list(self._opened)
        for connection in connections:
            with suppress(OSError):  # its owner may close it at the same time
                connection.abort()

    def close(self) -> None:
        """Close the idle connections and the session. A later request opens new ones."""
        _close_routes(self._routes)
        self._routes.clear()
        self._session.close()

    def _find_route(self, origin: str) -> Route:
        return self._routes.setdefault(origin, self._finder.find(self._session, origin))

    def _open(self, route: Route) -> Connection:
        connection = route.open(self._connect_timeout, self._read_timeout)
        with self._changing:
            self._opened.add(connection)
        try:
            self._cancellation.check()  # abort() may have run before the connection was added
        except BaseException:
            connection.close()
            raise
        return connection


class Response:
    """A response with an unread body. Once the body is read to its end, the connection serves the next request.

    ``content_length`` is what its Content-Length declares, also for HEAD; None if it declares none.
    As a context manager it closes itself.

    :param route: takes the connection back after the body; None: the connection is not reusable
    """

    __slots__ = ("_body", "_connection", "_route", "content_length", "headers", "method", "reason", "status_code")

    def __init__(
        self, method: str, parsed: ParsedResponse, body: Body, connection: Connection, route: Route | None
    ) -> None:
        self.method = method
        self.status_code = parsed.status
        self.reason = parsed.reason
        self.headers = parsed.headers
        self.content_length = parsed.content_length
        self._body = body
        self._connection: Connection | None = connection
        self._route = route

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def readinto(self, into: memoryview) -> int:
        """Read a piece of the body, at most the size of ``into``; return how many bytes.

        :return: 0 only at the end of the body, or after ``close``
        :raises OSError: if the connection broke
        :raises ProtocolError: if the connection ended before the body did, or the body is malformed
        """
        if self._connection is None:
            return 0
        try:
            received = self._body.readinto(into)
        except BaseException:
            self.close()
            raise
        if self._body.is_complete:
            self.finish_if_complete()
        return received

    def read(self, limit: int) -> bytes:
        """Return the rest of the body.

        :param limit: bytes; a longer body is truncated
        :raises OSError: as ``readinto``
        """
        if self._connection is None:
            return b""
        data = bytearray()
        length = READ_SIZE if self.content_length is None else self.content_length
        piece = memoryview(bytearray(min(limit, length, READ_SIZE)))
        while len(data) < limit and (received := self.readinto(piece[: limit - len(data)])):
            data += piece[:received]
        return bytes(data)

    def finish_if_complete(self) -> None:
        """Give the connection back once the body is complete. Bytes beyond the body close it: they belong to no request."""
        if not self._body.is_complete or self._connection is None:
            return
        if self._route is not None and not self._connection.receive_buffer.has_unread:
            self._route.give_back(self._connection)
            self._connection = None
        else:
            self.close()

    def close(self) -> None:
        """Close the connection, unless the body was read to its end and the server keeps it open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _split(url: str) -> tuple[str, str]:
    """Return a URL's origin and its verbatim target."""
    scheme, _, rest = url.partition("://")
    end = _END_OF_HOST.search(rest)
    place = end.start() if end else len(rest)
    target = rest[place:]
    return f"{scheme}://{rest[:place]}", target if target.startswith("/") else "/" + target


def _close_routes(routes: Mapping[str, Route]) -> None:
    for route in list(routes.values()):
        route.close()
