"""Reads JSON lines from the untrusted container as a stream: 256 KiB at a time, for any number of lines.

Every range request is conditional on the ETag of the :class:`~airflow_s3_azure.sync.fingerprint.Fingerprint`, so all
rows come from one version of the blob, and the digest is compared after the last row. Without a fingerprint
the content is unknown; then the length of a line and the number of lines still bound the worker's memory. So they do for
a compressed blob, which is decompressed a piece at a time: a few bytes can become gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError

from airflow_s3_azure.engine.azure.sdk_errors import describe_response, sdk_request
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.errors import DestinationWriteError, UntrustedFile
from airflow_s3_azure.engine.model import Precondition
from airflow_s3_azure.sync.fingerprint import Fingerprint, is_digest
from airflow_s3_azure.sync.gunzip import MalformedGzip, gunzip, is_gzip

if TYPE_CHECKING:
    from hashlib import _Hash

    from azure.storage.blob import ContainerClient

PIECE_SIZE = 256 * 1024
"""Bytes of a range request. A sort reads dozens of files side by side, each with a piece in memory."""
MAX_LINE = 1 * MIB
"""Bytes in a line: hundreds of times the longest that is written."""

_from_json = msgspec.json.Decoder().decode


class MissingFile(DestinationWriteError):
    """The blob does not exist."""


def read_lines(
    client: ContainerClient,
    name: str,
    start: int = 0,
    stop: int | None = None,
    *,
    expected: Fingerprint | None = None,
    most_rows: int | None = None,
    parse: Callable[[Any], Any] = lambda row: row,
) -> Iterator[Any]:
    """Yield the rows of a blob, or of a range of it that begins and ends at ends of lines.

    :param start: byte at which the first line begins
    :param stop: byte after the last line; None: to the blob's end
    :param expected: of these lines: only this version of the blob is read; the digest is verified after the last row
    :param most_rows: how many there can be; None: as many as expected, or any number
    :param parse: checks a row and returns what it is; raises ValueError
    :raises UntrustedFile: naming the line, if it is not what was written, or cannot be
    :raises MissingFile: if there is no such blob
    :raises DestinationWriteError: if the blob cannot be read
    """
    most = expected.rows if expected is not None and most_rows is None else most_rows
    digest, rows, rest = sha256(), 0, b""
    stored = _hashed(read_pieces(client, name, start, stop, etag=expected.etag if expected else None), digest)
    for piece in _decompressed(stored, name) if is_gzip(name) else stored:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            rows += 1
            if most is not None and rows > most:
                raise UntrustedFile(f"it has more than the {most:,} lines that were written", blob=name)
            yield _parsed(line, parse, name, rows)
        if len(rest) > MAX_LINE:
            raise _bad_line(name, rows + 1, f"it is longer than {MAX_LINE:,} bytes")
    if rest:
        raise _bad_line(name, rows + 1, "it has no end")
    if expected is not None and (rows != expected.rows or not is_digest(expected.digest, digest)):
        raise UntrustedFile(
            f"it does not hold the {expected.rows:,} lines that were written; clear the task that wrote it", blob=name
        )


def _hashed(pieces: Iterator[bytes], digest: _Hash) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _decompressed(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from gunzip(pieces)
    except MalformedGzip as error:
        raise UntrustedFile(str(error), blob=name) from None


def _parsed(line: bytes, parse: Callable[[Any], Any], name: str, number: int) -> Any:
    if len(line) > MAX_LINE:
        raise _bad_line(name, number, f"it is longer than {MAX_LINE:,} bytes")
    try:
        return parse(_from_json(line))
    except RecursionError:
        problem = "it is nested too deeply"
    except (ValueError, msgspec.DecodeError) as error:
        problem = str(error)
    raise _bad_line(name, number, problem)


def _bad_line(name: str, number: int, problem: str) -> UntrustedFile:
    return UntrustedFile(f"line {number:,} cannot be one that was written: {problem}", blob=name)


def read_pieces(
    client: ContainerClient,
    name: str,
    start: int,
    stop: int | None,
    *,
    etag: str | None = None,
    size: int | None = None,
) -> Iterator[bytes]:
    """Yield the bytes of a blob from ``start`` to ``stop`` (None: to its end), ``size`` at a time.

    :param etag: of the only version to read
    :raises UntrustedFile: if the blob is not that version
    :raises MissingFile: if there is no such blob
    :raises DestinationWriteError: if it is shorter, or cannot be read
    """
    size = size or PIECE_SIZE
    while stop is None or start < stop:
        length = size if stop is None else min(size, stop - start)
        piece = _download(client, name, start, length, etag, past_end_ok=stop is None)
        if piece:
            yield piece
            start += len(piece)
        # Only the end of the blob makes a piece shorter than its range.
        if len(piece) < length:
            break
    if stop is not None and start < stop:
        raise DestinationWriteError(
            f"it ends at byte {start:,}, before byte {stop:,}; clear the plan task to make a new one", blob=name
        )


def _download(
    client: ContainerClient,
    name: str,
    start: int,
    length: int,
    etag: str | None,
    *,
    past_end_ok: bool,
) -> bytes:
    """Return a range of a blob, empty if there is nothing in it and that is allowed."""
    pinned = {} if etag is None else condition_options(Precondition(etag))
    try:
        # Not decompressed: 200 kB that name a Content-Encoding can become 500 MiB.
        with sdk_request():
            return bytes(client.download_blob(name, offset=start, length=length, decompress=False, **pinned).readall())
    except ResourceNotFoundError:
        raise MissingFile("it is gone; clear the plan task to make a new one", blob=name) from None
    except AzureError as error:
        if getattr(error, "error_code", None) == "ConditionNotMet":
            raise UntrustedFile(
                "someone else wrote to it since it was written; clear the task that wrote it", blob=name
            ) from None
        # A blob that ends exactly where a piece ended, or is empty, has no such range.
        if getattr(error, "status_code", None) == 416 and past_end_ok:
            return b""
        raise DestinationWriteError(f"it could not be read: {describe_response(error)}", blob=name) from None


def etag_of(client: ContainerClient, name: str) -> str | None:
    """Return the ETag of a blob, or None if there is none.

    :raises DestinationWriteError: if the request failed
    """
    try:
        with sdk_request():
            return str(client.get_blob_client(name).get_blob_properties().etag)
    except ResourceNotFoundError:
        return None
    except AzureError as error:
        raise DestinationWriteError(f"it could not be read: {describe_response(error)}", blob=name) from None


def condition_options(precondition: Precondition | None) -> dict[str, Any]:
    """Return a precondition as arguments of the SDK."""
    if precondition is None:
        return {}
    if precondition.etag is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": precondition.etag, "match_condition": MatchConditions.IfNotModified}
