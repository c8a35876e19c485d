"""The grammar of HTTP/1.1 requests and responses without their bodies (RFC 9110, RFC 9112). No I/O.

It is at least as strict as h11. Invariant: a message that two readers could frame differently is rejected. Errors never
quote what was received, because a proxy may send the request's URL back, which is a credential.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple, Self

MAX_FIELDS = 4_000
"""Header fields of one message. Azure stores 8 KiB of metadata, which are fewer fields."""

FIELD_LINE = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+"
"""A token, a colon without whitespace before it, and a value without NUL, bare CR or bare LF. Possessive quantifiers keep
the matcher from backtracking on any input."""
_STATUS_LINE = rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?"
_RESPONSE = re.compile(_STATUS_LINE + rb"(?:\r\n" + FIELD_LINE + rb")*+")
_FIELDS = re.compile(r"\r\n([^:]++):[ \t]*+([^\r]*+)")
"""The fields of headers that ``_RESPONSE`` matches; a value may end in whitespace."""
_OBSOLETE_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_CONTENT_LENGTH = re.compile("[0-9]{1,18}")
"""Less than an exabyte. Repeated fields are joined by a comma, so they do not match."""
_CONTROL = bytes({*range(0x20), 0x7F} - {ord("\t")})
"""What no header field may contain. A request has just the line breaks between its fields."""


class ProtocolError(ConnectionError):
    """The peer did not send a complete, valid HTTP/1 response. The text holds no URL."""


class Headers(MutableMapping[str, str]):
    """Header fields. Names are case-insensitive and stored in lower case.

    :param fields: names in any case
    """

    __slots__ = ("_fields", "_text")

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._fields = {name.lower(): value for name, value in dict(fields).items()}
        self._text = ""

    @classmethod
    def from_lower_case(cls, fields: dict[str, str], text: str = "") -> Self:
        """Wrap fields whose names are in lower case, without copying them.

        :param text: from which they were parsed
        """
        made = cls.__new__(cls)
        made._fields = fields
        made._text = text  # noqa: SLF001 - of its own class
        return made

    def received(self, prefix: str) -> dict[str, str]:
        """Return the fields whose names begin with a prefix (in lower case), by the rest of the name as the server spelled it."""
        spelled = {name.lower(): name for name, _ in _FIELDS.findall(self._text)}
        return {
            spelled.get(name, name)[len(prefix) :]: value
            for name, value in self._fields.items()
            if name.startswith(prefix)
        }

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __setitem__(self, name: str, value: str) -> None:
        self._fields[name.lower()] = value

    def __delitem__(self, name: str) -> None:
        del self._fields[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields by their names in lower case, for readers that know these: a lookup is several times cheaper."""
        return self._fields

    # Both are for speed: the inherited ones call __getitem__ for each field.

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field's value, or ``default``."""
        return self._fields.get(name.lower(), default)

    def items(self) -> ItemsView[str, str]:
        """Return the fields, by their names in lower case."""
        return self._fields.items()


class ParsedResponse(NamedTuple):
    """A parsed status line and header fields.

    :param content_length: the declared Content-Length, even if no body follows; None: not declared
    :param is_chunked: whether the body, if there is one, is chunked
    :param keeps_alive: whether the server keeps the connection open after this response
    """

    status: int
    reason: str
    headers: Headers
    content_length: int | None
    is_chunked: bool
    keeps_alive: bool


def parse_response(data: bytes) -> ParsedResponse:
    """Parse a status line and header fields, without the empty line that ends them.

    :raises ProtocolError: if it is malformed, or its body could be framed in two ways
    """
    found = _RESPONSE.fullmatch(data) or _RESPONSE.fullmatch(_unfold(data))
    if found is None:
        raise ProtocolError("malformed status line or header field")
    is_http11, status = found[1] == b"1", int(found[2])
    if status == 101:
        raise ProtocolError("the server switches protocols, which no request asked for")
    text = found[0].decode("latin-1")
    fields = _parse_fields(text)
    content_length = _content_length(fields)
    is_chunked = "transfer-encoding" in fields and _is_chunked(fields, is_http11=is_http11)
    keeps_alive = is_http11
    if "connection" in fields:
        options = {option.strip() for option in fields["connection"].lower().split(",")}
        keeps_alive = "close" not in options if is_http11 else "keep-alive" in options
    reason = found[3].decode("latin-1") if found[3] else ""
    return ParsedResponse(
        status, reason, Headers.from_lower_case(fields, text), content_length, is_chunked, keeps_alive
    )


def encode_request(request_line: str, *fields: Mapping[str, str]) -> bytes:
    """Return a request's line and header fields, with the empty line that ends them.

    :raises ValueError: if a line break, a space or a control character would change its meaning: keys and metadata are
        untrusted
    """
    lines = [request_line]
    for group in fields:
        lines += map(": ".join, group.items())
    request = "\r\n".join([*lines, "", ""]).encode("latin-1")
    line_breaks = 2 * (len(lines) + 1)
    # translate() is many times faster than a pattern.
    if len(request.translate(None, _CONTROL)) != len(request) - line_breaks or request_line.count(" ") != 2:
        raise ValueError("a header field or the URL has a line break, a space or a control character where none may be")
    return request


def _unfold(data: bytes) -> bytes:
    """Replace line folding by a space, as RFC 9112, 5.2 requires of a user agent. The first field must not be folded."""
    status_line, line_break, fields = data.partition(b"\r\n")
    if fields.startswith((b" ", b"\t")):
        return b""
    return status_line + line_break + _OBSOLETE_FOLD.sub(b" ", fields)


def _parse_fields(headers: str) -> dict[str, str]:
    """Return the fields of valid response headers, by their names in lower case. Repeated ones are joined."""
    found = _FIELDS.findall(headers)
    if len(found) > MAX_FIELDS:
        raise ProtocolError(f"the response has more than {MAX_FIELDS:,} header fields")
    fields = {name.lower(): value.rstrip(" \t") for name, value in found}
    if len(fields) < len(found):
        values: dict[str, list[str]] = {}
        for name, value in found:
            values.setdefault(name.lower(), []).append(value.rstrip(" \t"))
        fields = {name: ", ".join(repeated) for name, repeated in values.items()}
    return fields


def _content_length(fields: Mapping[str, str]) -> int | None:
    text = fields.get("content-length")
    if text is None:
        return None
    if not _CONTENT_LENGTH.fullmatch(text):
        raise ProtocolError("malformed, repeated or too large Content-Length")
    return int(text)


def _is_chunked(fields: Mapping[str, str], *, is_http11: bool) -> bool:
    # RFC 9112, 6.1 and 6.3: with Content-Length, or from HTTP/1.0, the framing is ambiguous.
    if fields["transfer-encoding"].lower() != "chunked" or "content-length" in fields or not is_http11:
        raise ProtocolError("unsupported Transfer-Encoding, or one beside a Content-Length or from HTTP/1.0")
    return True
