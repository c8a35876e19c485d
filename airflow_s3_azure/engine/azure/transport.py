"""An azure-core transport over our connections.

A pipeline and its policies cost microseconds; :class:`~azure.core.pipeline.transport.RequestsTransport` is expensive. So
this replaces the transport only, and every credential policy of azure-core works, including token refresh and challenges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, cast

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import HttpRequest, HttpTransport

from airflow_s3_azure.engine.http.client import READ_SIZE, Connections, Response
from airflow_s3_azure.engine.http.message import Headers

MAX_PAGE = 96 * 1024 * 1024
"""Bytes. The longest page of a listing: 5,000 blobs with 8 KiB of metadata, and names of 1,024 characters, each."""
_MAX_DOCUMENT = MAX_PAGE + 1
"""Maximum of bytes that are read of a document. A block list and a range of a blob are shorter."""
_MAX_OTHER = 64 * 1024
"""Maximum of bytes that are read of other bodies: errors, and responses of a proxy."""

Sink = Callable[[memoryview], None]
"""Is passed the pieces of a body. The memory of a piece is reused."""


class ReadResponse:
    """A response whose body was read."""

    __slots__ = ("content", "headers", "reason", "status_code")

    def __init__(self, status_code: int, reason: str, headers: Headers, content: bytes) -> None:
        self.status_code = status_code
        self.reason = reason
        self.headers = headers
        self.content = content


class ConnectionsTransport(HttpTransport[HttpRequest, ReadResponse]):
    """Sends the requests of an azure-core pipeline over our connections.

    A request's ``data`` is a :class:`memoryview` or None, and its headers include Content-Length.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Do nothing: connections are opened when they are needed."""

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def send(self, request: HttpRequest, *, sink: Sink | None = None, **_: Any) -> ReadResponse:
        """Send a request and read its response.

        :param sink: is passed each piece of the body of a 206, which is then not kept
        :raises AzureError: if the host could not be reached, or the response is not complete
        """
        body = cast("memoryview | None", request.data or None)
        try:
            response = self._connections.send(request.method, request.url, request.headers, body)
        except OSError as error:
            raise ServiceRequestError(type(error).__name__, error=error) from error
        with response:
            try:
                if sink is not None and response.status_code == 206:
                    _drain(response, sink)
                    return ReadResponse(response.status_code, response.reason, response.headers, b"")
                is_document = request.method == "GET" and response.status_code in (200, 206)
                content = response.read(_MAX_DOCUMENT if is_document else _MAX_OTHER)
            except OSError as error:
                raise ServiceResponseError(type(error).__name__, error=error) from error
            return ReadResponse(response.status_code, response.reason, response.headers, content)


def _drain(response: Response, sink: Sink) -> None:
    """Pass the body of a response to a sink, piece by piece, without a copy."""
    length = response.content_length
    buffer = memoryview(bytearray(READ_SIZE if length is None else max(1, min(READ_SIZE, length))))
    while received := response.readinto(buffer):
        sink(buffer[:received])
