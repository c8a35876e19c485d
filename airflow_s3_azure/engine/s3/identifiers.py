"""Reads what identifies a version of an object: its ETag and its version ID. Pure."""

from __future__ import annotations

import re

_ETAG = re.compile(r"[\x21\x23-\x7e]{1,1024}")
_VERSION = re.compile(r"[\x21-\x7e]{1,1024}")


def read_etag(text: str | None) -> str | None:
    """Return an ETag without its quotes; None if it is missing, weak or malformed, so that it cannot pin a version."""
    etag = text or ""
    if len(etag) >= 2 and etag[0] == etag[-1] == '"':
        etag = etag[1:-1]
    return etag if _ETAG.fullmatch(etag) and not etag.startswith("W/") else None


def read_version(text: str) -> str | None:
    """Return a version ID; None if it is malformed."""
    return text if _VERSION.fullmatch(text) else None
