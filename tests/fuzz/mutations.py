"""What can be wrong with a response: seeded changes of its bytes, its headers and its framing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_END = b"\r\n\r\n"
_TOKENS = [
    *(b"", b"0", b"-1", b"-5", b"+5", b"5, 5", b"5,6", b"0x10", b"1e3", b"12.0", b" 128", b"128 bytes", b"9" * 19),
    *(
        b"9" * 5_000,
        "٣".encode(),
        "²".encode("latin-1"),
        b"\x00",
        b"\xff\xfe",
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b"x" * 9_000,
    ),
    *(
        b"*",
        b'""',
        b'"',
        b'W/"0x1"',
        b"null",
        b"None",
        b"{}",
        b"<",
        b"&#0;",
        b"&lol;",
        b"]]>",
        b"%00",
        b"../",
        b"\xed\xa0\x80",
    ),
    *(
        b"chunked",
        b"gzip, chunked",
        b"identity",
        b"close",
        b"keep-alive",
        b"bytes 0-127/256",
        b"bytes 0-127/*",
        b"bytes */256",
    ),
    *(
        b"AAAAAAAAAAA=",
        b"AAAAAAAAAAA=-3",
        b"AAAAAAAAAAA=-" + b"5" * 5_000,
        b"AAAA",
        b"====",
        b"COMPOSITE",
        b"FULL_OBJECT",
    ),
    *(b"Fri, 27 Nov 2026 15:43:20 GMT", b"Fri, 99 Nov 99999 99:99:99 GMT", b"Mon, 01 Jan 0000 00:00:00 -9999", b"0"),
    *(
        b"GLACIER",
        b"true",
        b"b3e23981e8abc89b0e29ef100380ea61",
        b'"b3e23981e8abc89b0e29ef100380ea62"',
        b"0x1C42F4FF52E34B0",
    ),
]
_NAMES = [
    *(
        b"Content-Length",
        b"Transfer-Encoding",
        b"Connection",
        b"Content-Encoding",
        b"Content-Range",
        b"ETag",
        b"Trailer",
    ),
    *(
        b"Last-Modified",
        b"Retry-After",
        b"Date",
        b"x-amz-version-id",
        b"x-amz-checksum-crc64nvme",
        b"x-amz-checksum-type",
    ),
    *(
        b"x-amz-storage-class",
        b"x-amz-restore",
        b"x-amz-mp-parts-count",
        b"x-amz-meta-owner",
        b"x-amz-request-id",
        b"Expires",
    ),
    *(b"x-amz-checksum-crc32", b"x-amz-checksum-sha256", b"x-amz-server-side-encryption", b"x-amz-archive-status"),
    *(
        b"x-ms-request-id",
        b"x-ms-version",
        b"x-ms-error-code",
        b"x-ms-content-crc64",
        b"x-ms-meta-s3_etag",
        b"x-ms-blob-type",
    ),
    *(
        b"x-ms-meta-hdi_isfolder",
        b"x-ms-lease-state",
        b"Server",
        b"Content-Type",
        b"X",
        b"",
        b" ",
        b":",
        b"\x00",
        b"E Tag",
    ),
]
_STATUSES = [
    *(0, 100, 101, 102, 103, 199, 200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 304, 307, 400, 401, 403),
    *(404, 405, 408, 409, 411, 412, 413, 416, 418, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599, 600, 999),
]
_ENDLESS = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n",
    b"x-filler: " + b"a" * 500 + b"\r\n",
    b"a" * 512,
]


@dataclass(frozen=True, slots=True)
class Mutant:
    """What a server sends, and how it ends.

    :param endless: sent again and again after ``data``, until the client closes the connection
    :param ending: whether the connection stays, is closed, or is reset
    """

    data: bytes
    endless: bytes = b""
    stays: bool = False
    is_reset: bool = False


def mutate(seeded: random.Random, response: bytes, others: Sequence[bytes]) -> Mutant:
    """Return a response with one to three things wrong.

    :param others: other responses, of which parts may get into this one
    """
    if seeded.random() < 0.004:
        return _without_end(seeded, response)
    data = response
    for _ in range(seeded.choice((1, 1, 1, 2, 3))):
        data = seeded.choice(_MUTATIONS)(seeded, data, others)
    return Mutant(data, is_reset=seeded.random() < 0.02)


def _without_end(seeded: random.Random, response: bytes) -> Mutant:
    """Return a response that never ends: in interim responses, in its headers, in a chunk's size, or in its trailers."""
    head, _, body = response.partition(_END)
    filler = seeded.choice(_ENDLESS)
    if filler.startswith(b"HTTP/"):
        return Mutant(b"", filler)
    if seeded.random() < 0.5:
        return Mutant(head + b"\r\n", filler)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    head = b"\r\n".join([*lines, b"Transfer-Encoding: chunked"])
    start = b"%x\r\n%b\r\n0\r\n" % (len(body), body) if body else b"0\r\n"
    return Mutant(head + _END + seeded.choice((start, b"5;")), filler)


def _position(seeded: random.Random, data: bytes) -> int:
    # Heads are what is parsed, so half of the changes are there.
    end = data.find(_END) if seeded.random() < 0.5 else len(data)
    return seeded.randint(0, max(end, 0) or len(data))


def _flip_bits(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _number in range(seeded.choice((1, 1, 2, 8))):
        position = _position(seeded, data)
        if position < len(changed):
            changed[position] ^= 1 << seeded.randrange(8)
    return bytes(changed)


def _delete_slice(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start = _position(seeded, data)
    return data[:start] + data[start + seeded.choice((1, 1, 2, 7, 64)) :]


def _repeat_slice(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start = _position(seeded, data)
    stop = start + seeded.choice((1, 2, 16, 200))
    return data[:stop] + data[start:stop] * seeded.choice((1, 1, 3, 50)) + data[stop:]


def _truncate(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: _position(seeded, data)]


def _insert_token(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    position = _position(seeded, data)
    return data[:position] + seeded.choice(_TOKENS) + data[position:]


def _append(seeded: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data + seeded.choice((*others, *_TOKENS, data))


def _prepend(seeded: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    interim = b"HTTP/1.1 %d Interim\r\n" % seeded.choice((100, 102, 103, 199, 101))
    header = b"ETag: early\r\nContent-Length: 5\r\n" if seeded.random() < 0.3 else b""
    times = seeded.choice((1, 1, 2, 20, 300))
    before = ((interim + header + b"\r\n") * times, b"\r\n", b"\n", seeded.choice(_TOKENS), others[0])
    return seeded.choice(before) + data


def _cross_over(seeded: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = seeded.choice(others)
    if seeded.random() < 0.5:
        return data.partition(_END)[0] + _END + other.partition(_END)[2]
    return data[: _position(seeded, data)] + other[_position(seeded, other) :]


def _set_status(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    line, _end, rest = data.partition(b"\r\n")
    if seeded.random() < 0.25:
        versions = (b"HTTP/1.0", b"HTTP/2", b"HTTP/1.2", b"HTTP/0.9", b"http/1.1", b"ICY", b"", b"HTTP/1.1 ")
        return seeded.choice(versions) + b" " + line.partition(b" ")[2] + b"\r\n" + rest
    status = seeded.choice(_STATUSES)
    form = seeded.choice((b"%b %03d OK", b"%b %03d", b"%b %d ", b"%b  %03d  Two  Words", b"%b %03dX"))
    return form % (b"HTTP/1.1", status) + b"\r\n" + rest


def _change_headers(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    head, end, body = data.partition(_END)
    line, *headers = head.split(b"\r\n")
    headers = headers or [b"x: y"]
    place = seeded.randrange(len(headers))
    name, _colon, value = headers[place].partition(b":")
    match seeded.randrange(9):
        case 0:
            del headers[place]
        case 1:
            headers.insert(seeded.randrange(len(headers)), headers[place])
        case 2:
            headers.append(name + b": " + seeded.choice(_TOKENS))
        case 3 | 4:
            headers[place] = name + b": " + seeded.choice(_TOKENS)
        case 5:
            headers[place] = seeded.choice(_NAMES) + b":" + value
        case 6:
            headers.append(seeded.choice(_NAMES) + b": " + seeded.choice(_TOKENS))
        case 7:
            headers[place] = seeded.choice(
                (name + b" :" + value, b" " + headers[place], name, name.swapcase() + b":" + value)
            )
        case _:
            headers *= seeded.choice((2, 20, 200))
    separator = seeded.choice((b"\r\n",) * 12 + (b"\n", b"\r", b"\r\n "))
    return separator.join([line, *headers]) + end + body


def _chunk(seeded: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Frame the body in chunks, one of which may be wrong."""
    head, _end, body = data.partition(_END)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"content-length", b"transfer-"))]
    lines.insert(
        1,
        b"Transfer-Encoding: "
        + seeded.choice((b"chunked", b"chunked", b"CHUNKED", b"gzip, chunked", b"chunked, gzip")),
    )
    if seeded.random() < 0.2:
        lines.insert(1, b"Content-Length: %d" % len(body))
    chunks = []
    for start in range(0, len(body), 100):
        piece = body[start : start + 100]
        size = b"%x" % len(piece)
        if seeded.random() < 0.2:
            size = seeded.choice(
                (
                    b"-5",
                    b"0x64",
                    b"064",
                    b"+64",
                    b" 64",
                    b"6_4",
                    b"",
                    b"zz",
                    b"f" * 17,
                    b"65",
                    b"63",
                    b"64;a=b",
                    b"64;" + b"x" * 5_000,
                    b"0",
                )
            )
        chunks.append(size + b"\r\n" + piece + seeded.choice((b"\r\n",) * 9 + (b"\n", b"", b"xx\r\n")))
    last = seeded.choice(
        (b"0\r\n\r\n",) * 6 + (b"0\r\nETag: late\r\nContent-Length: 0\r\n\r\n", b"00\r\n\r\n", b"0\r\n", b"")
    )
    return b"\r\n".join(lines) + _END + b"".join(chunks) + last


_MUTATIONS: list[Callable[[random.Random, bytes, Sequence[bytes]], bytes]] = [
    *(_flip_bits, _delete_slice, _repeat_slice, _truncate, _insert_token, _append, _prepend, _cross_over),
    *(_set_status, _set_status, _change_headers, _change_headers, _change_headers, _chunk),
]
