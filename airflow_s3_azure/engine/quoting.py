"""Escapes untrusted text for logs and errors: keys, names, labels, and texts of a server.

Such text may hold newlines that forge log lines, ANSI sequences, characters that change the writing direction, and the
commands that fold or hide lines in Airflow's log viewer (``::group::``). Loggers come from :func:`get_logger`; errors,
labels and ledger rows use :func:`printable`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

_REQUEST_IDS = {"x-amz-request-id": "", "x-amz-id-2": "id2 ", "x-ms-request-id": ""}
"""The headers with a service's IDs of a request, and the label of each in an error."""
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9+/=_.:-]+")
_ID_LIMIT = 120
"""Characters. S3's ``x-amz-id-2`` has 76."""
_LOG_COMMAND = re.compile("::(?=(?:end)?group::)", re.IGNORECASE)
"""Airflow's log viewer obeys it anywhere in a line."""
_DETAILS = re.compile(r"\n {2,}")
"""Where an error's text goes on in a line of details."""
MAX_TEXT = 2_000
"""Characters of an error or a reason in the ledger and in XCom."""


def printable(text: str, limit: int | None = None) -> str:
    """Return text with a backslash escape for each character that is not printable, and without log commands.

    :param limit: characters; a longer text is shortened in the middle
    """
    if not text.isprintable():
        text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
    text = _LOG_COMMAND.sub(r":\\x3a", text)
    return text if limit is None else shorten(text, limit)


def printable_lines(text: str) -> str:
    """Return text of several lines, each of them printable."""
    return "\n".join(map(printable, text.split("\n")))


def printable_error(text: str, limit: int | None = None) -> str:
    """Return an error's text, which may have details on further lines, as one printable line."""
    return printable(_DETAILS.sub(" ", text), limit)


def shorten(text: str, limit: int) -> str:
    """Return text of at most ``limit`` characters: its beginning and its end, which distinguish keys, joined by ``…``."""
    if len(text) <= limit:
        return text
    first = (limit - 1) // 2
    return f"{text[:first]}…{text[len(text) - (limit - 1 - first) :]}"


class _Printable(str):
    """Text that is printable in any format of a log line."""

    __slots__ = ()

    def __str__(self) -> str:
        return printable(str.__str__(self))

    def __repr__(self) -> str:
        return printable(str.__repr__(self))


def get_logger(name: str) -> logging.Logger:
    """Return a logger whose lines show untrusted arguments in printable characters only.

    A line's format is the package's own. Its arguments are escaped, except errors, which escape themselves.
    """
    logger = logging.getLogger(name)
    if _escape_arguments not in logger.filters:
        logger.addFilter(_escape_arguments)
    return logger


def _escape_arguments(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        arguments: tuple[Any, ...] = tuple(_Printable(one) if isinstance(one, str) else one for one in record.args)
        record.msg, record.args = str(record.msg) % arguments, ()
    return True


def quote_text(text: str, limit: int = 200) -> str:
    """Return text of a server as one line of at most ``limit`` printable characters."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text[: limit * 4]).split())
    line = _LOG_COMMAND.sub(r":\\x3a", line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the IDs of a request at S3 or Azure, for the ``request_id`` of an error; None if the response has none.

    :param headers: of the response; a dict has its names in lower case
    """
    found = (
        (label, _NOT_IN_AN_ID.sub("", headers.get(name) or "")[:_ID_LIMIT]) for name, label in _REQUEST_IDS.items()
    )
    return ", ".join(label + text for label, text in found if text) or None
