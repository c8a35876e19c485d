"""Decompresses gzip as a stream. The content is untrusted: a few bytes can become gigabytes. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

GZIP = 31
"""``wbits`` of zlib for gzip members with a window of 32 KiB."""
MAX_PIECE = 256 * 1024
"""Bytes that are decompressed at a time."""


class MalformedGzip(ValueError):
    """It is not the content of a gzip file."""


def is_gzip(name: str) -> bool:
    """Return whether a file is compressed: by its name, from which other readers tell it as well."""
    return name.endswith(".gz")


def gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of gzip members, at most :data:`MAX_PIECE` at a time.

    :raises MalformedGzip: if a member is malformed or truncated, or several are empty, which takes time and yields no line
    """
    member, found, empty = zlib.decompressobj(GZIP), 0, 0
    is_complete = True
    for stored in pieces:
        piece, is_full = stored, False
        while piece or is_full:
            try:
                data = member.decompress(piece, MAX_PIECE)
            except zlib.error as error:
                raise MalformedGzip(f"it cannot be decompressed: {error}") from None
            if data:
                yield data
            found += len(data)
            is_complete = member.eof
            if not is_complete:
                piece, is_full = member.unconsumed_tail, len(data) == MAX_PIECE
                continue
            empty += not found
            if empty > 1:
                raise MalformedGzip("it has several empty gzip members, which are never written")
            piece, is_full = member.unused_data, False
            member, found = zlib.decompressobj(GZIP), 0
    if not is_complete:
        raise MalformedGzip("it ends within a gzip member")
