"""Quotes what a server sent: its text is untrusted, so it is cut to a line of printable characters before it reaches
an error, a log or the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REQUEST_IDS = {"x-amz-request-id": "", "x-amz-id-2": "id2 ", "x-ms-request-id": ""}
"""The headers that hold a service's IDs of a request, and what stands before each in an error."""
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9+/=_.:-]+")
_ID_LIMIT = 120
"""Characters. S3's ``x-amz-id-2`` has 76."""


def quote_text(text: str, limit: int = 200) -> str:
    """Return text of a server as one line of at most ``limit`` printable characters."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the IDs that S3 or Azure gave a request, for the ``request_id`` of an error; None if it gave none.

    :param headers: of the response, by names in lower case or of any case
    """
    found = (
        (label, _NOT_IN_AN_ID.sub("", headers.get(name) or "")[:_ID_LIMIT]) for name, label in _REQUEST_IDS.items()
    )
    return ", ".join(label + text for label, text in found if text) or None
