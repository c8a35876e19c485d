"""URL-free descriptions of failed requests.

A presigned URL and a SAS are credentials, and the exceptions of the HTTP libraries quote the URL of the request. So the
errors of this package never contain such an exception's text.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

from urllib3.exceptions import NewConnectionError

from airflow_s3_azure.engine.http.message import ProtocolError

_REFUSED_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
"""The error of http.client if a proxy refuses CONNECT."""


def describe(error: BaseException) -> str:
    """Return why a request failed, without any URL."""
    causes = list(_chain(error))
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS certificate not accepted ({cause.verify_message})"
        if isinstance(cause, ProtocolError):
            return str(cause)
        if isinstance(cause, TimeoutError):
            return "timed out"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(cause).__name__} ({cause.strerror})"
        if refusal := _REFUSED_TUNNEL.match(str(cause)):
            return f"the proxy refused a tunnel ({refusal[1]})"
    return type(causes[-1]).__name__


def unresolved_host(error: BaseException) -> str | None:
    """Return the host of a request that failed because the name is not in DNS; None: another failure."""
    causes = list(_chain(error))
    if not any(isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME for cause in causes):
        return None
    return next((cause.conn.host for cause in causes if isinstance(cause, NewConnectionError)), None)


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
