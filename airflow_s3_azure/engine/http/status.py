"""Which responses are worth another try, and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Responses after which the same request may succeed within seconds."""

THROTTLED_STATUSES = frozenset({429, 503})
"""Those of them that ask for fewer requests: S3's ``SlowDown``, Azure's ``ServerBusy``."""

MAX_RETRY_AFTER = 300.0
"""Seconds. A server that asks for more gets the next request after these."""


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
