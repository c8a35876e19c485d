"""Statuses of responses that are retried, and Retry-After."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Responses after which the same request may succeed within seconds."""

THROTTLED_STATUSES = frozenset({429, 503})
"""Transient statuses of throttling: S3's ``SlowDown``, Azure's ``ServerBusy``."""

MAX_RETRY_AFTER = 300.0
"""Seconds. A longer Retry-After is reduced to these."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header, a number or a date; at most five minutes."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
