"""What an observer of a client's requests is passed. It contains no URL, because a presigned URL is a credential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_s3_azure.engine.http.message import Headers


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and the headers of its response.

    :param origin: of the request, such as ``https://host:port``
    :param headers: of the response
    :param tls_version: of the connection, such as ``TLSv1.3``; None: plain text
    :param is_reused: whether the connection was idle before, after an earlier request
    :param sent: bytes of the request's body
    """

    method: str
    origin: str
    status: int
    headers: Headers
    tls_version: str | None
    is_reused: bool
    sent: int


Observer = Callable[[Exchange], None]
"""Is called after each request, from the thread that sent it."""
