"""What both sides' HTTP has in common: the cause of a failure told without its URL, and Retry-After.

A presigned URL and a SAS are credentials, and the HTTP libraries quote the URL they failed on in their exceptions
and debug lines. So the errors of this package never contain such an exception's text, and
:func:`redact_http_logs` takes the query out of what the libraries log.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed within seconds."""

_SECRET = re.compile(
    r"(?i)\b(x-amz-signature|x-amz-credential|x-amz-security-token|awsaccesskeyid|signature|sig)=[^&\s\"']+"
)
_NOISY_LOGGERS = (
    "urllib3.connectionpool",
    "botocore.auth",
    "botocore.endpoint",
    "botocore.awsrequest",
    "botocore.parsers",
)


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
    """Return the seconds that a ``Retry-After`` header asks to wait, given as a number or as a date."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def redact_http_logs() -> None:
    """Take signatures and tokens out of what urllib3 and botocore log at DEBUG. Doing it again changes nothing."""
    for name in _NOISY_LOGGERS:
        logger = logging.getLogger(name)
        if _redact not in logger.filters:
            logger.addFilter(_redact)


def _redact(record: logging.LogRecord) -> bool:
    if record.name == "botocore.auth":
        return False  # it logs the canonical request and the signature itself
    record.msg, record.args = _SECRET.sub(r"\1=***", record.getMessage()), ()
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
