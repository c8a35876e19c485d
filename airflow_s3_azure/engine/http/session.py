"""What both sides' HTTP has in common: sessions that can be cut, causes told without their URL, Retry-After.

A presigned URL and a SAS are credentials, and the HTTP libraries quote the URL they failed on in their exceptions
and debug lines. So the errors of this package never contain such an exception's text, and
:func:`redact_http_logs` takes the query out of what the libraries log.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from airflow_s3_azure.engine.cancellation import Cancellation

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed within seconds."""

THROTTLED_STATUSES = frozenset({429, 503})
"""Those of them that ask for fewer requests: S3's ``SlowDown``, Azure's ``ServerBusy``."""

OPEN = "OPEN"
"""The method of a request that only opens a connection."""

MAX_RETRY_AFTER = 300.0
"""Seconds. A server that asks for more is asked again after these."""

_SECRET = re.compile(
    r"(?i)\b(x-amz-signature|x-amz-credential|x-amz-security-token|awsaccesskeyid|signature|sig)=[^&\s\"']+"
)
_SILENT_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
"""At DEBUG they tell signatures, session tokens and whole answers of STS, in many forms."""
_REDACTED_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry", "botocore.awsrequest")


class _Opening(HTTPConnection):
    """A connection that can be opened without sending anything: by a request whose method is ``OPEN``.

    The headers of its answer are those that a proxy wants in each request.
    """

    _answer: HTTPResponse | None = None

    def request(self, method: str, url: str, *arguments: Any, **options: Any) -> None:
        """Send a request, or open the connection."""
        if method != OPEN:
            super().request(method, url, *arguments, **options)
            return
        if self.sock is None:
            self.connect()
        self._answer = HTTPResponse(b"", options.get("headers"), status=200, preload_content=False)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override, unused-ignore]
        """Return the answer to the last request."""
        if self._answer is None:
            return super().getresponse()
        answer, self._answer = self._answer, None
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        return answer


class VerbatimAdapter(HTTPAdapter):
    """Sends the path and query of a URL as they are, over connections that can be cut from another thread.

    ``requests`` before 2.33 turns a leading ``//`` of the path into ``/``, which is another key to S3.

    :param connections: how many to keep open
    """

    def __init__(self, connections: int) -> None:
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._changing = threading.Lock()
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make a pool of connections that this adapter keeps track of."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """Return the pools behind a proxy, of connections that this adapter keeps track of too."""
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def _pools(self) -> dict[str, type[HTTPConnectionPool]]:
        opened = self._opened

        class Connection(_Opening, HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened(self)

        class SecureConnection(_Opening, HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened(self)

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        return {"http": Pool, "https": SecurePool}

    def _opened(self, connection: HTTPConnection) -> None:
        with self._changing:
            self._connections.add(connection)

    def abort(self) -> None:
        """Shut every open socket, so that whoever is blocked in one gets an error at once."""
        with self._changing:
            connections = list(self._connections)
        for connection in connections:
            opened = connection.sock  # its worker may close it meanwhile
            if opened is not None:
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Return what follows the method on the request line."""
        url = super().request_url(request, proxies)  # type: ignore[arg-type, unused-ignore]
        if not url.startswith("/") or request.url is None:
            return url  # to an HTTP proxy the whole URL is sent, as it is
        parts = urlsplit(request.url)
        return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def pooled_session(connections: int, cancellation: Cancellation) -> requests.Session:
    """Return a session that keeps up to ``connections`` connections open, until ``cancellation`` cuts them."""
    session = requests.Session()
    adapter = VerbatimAdapter(connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    cancellation.on_abort(adapter.abort)
    return session


def describe(error: BaseException) -> str:
    """Say why a request failed, in words that hold no URL."""
    causes = list(_chain(error))
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS certificate not accepted ({cause.verify_message})"
        if isinstance(cause, TimeoutError):
            return "timed out"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(cause).__name__} ({cause.strerror})"
    return type(causes[-1]).__name__


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait, given as a number or as a date; five minutes
    at most.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def redact(text: str) -> str:
    """Return a text without the values of signatures, keys and tokens that URLs in it carry."""
    return _SECRET.sub(r"\1=***", text)


def redact_http_logs() -> None:
    """Take signatures and tokens out of what urllib3 and botocore log at DEBUG. Doing it again changes nothing.

    What botocore's signer, endpoints and parsers say at DEBUG is dropped.
    """
    for name in (*_SILENT_LOGGERS, *_REDACTED_LOGGERS):
        logger = logging.getLogger(name)
        if _redact not in logger.filters:
            logger.addFilter(_redact)


def _redact(record: logging.LogRecord) -> bool:
    if record.name in _SILENT_LOGGERS:
        return record.levelno > logging.DEBUG
    record.msg, record.args = redact(record.getMessage()), ()
    return True


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        # azure-core keeps the cause in `inner_exception`, urllib3 in `reason`, requests as the first argument.
        kept = (getattr(found, "inner_exception", None), getattr(found, "reason", None), *found.args[:1])
        inner = next((one for one in kept if isinstance(one, BaseException)), None)
        found = inner if isinstance(inner, BaseException) else found.__cause__ or found.__context__
