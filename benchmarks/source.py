"""A stand-in for S3 that makes up its objects: what a bucket holds is in its name.

Bucket ``objects-1000-65536`` holds 1,000 objects of 65,536 bytes, ``data/000000`` to ``data/000999``. They are slices of
one pattern that repeats after a bit more than 1 MiB, so that no block is like another, and have the ETag and the
CRC-64/NVME of their content, as objects have that were uploaded without naming a checksum. Signatures are not checked.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote
from xml.sax.saxutils import escape

from awscrt.checksums import combine_crc64nvme, crc64nvme

from benchmarks.http_server import Body, Handler, Request, Response, Slice, Steps

MIB = 1024 * 1024
PERIOD = MIB + 4099
"""Bytes after which an object repeats itself."""
PART = 8 * MIB
"""Objects larger than this have the ETag of a multipart upload."""
PREFIX = "data/"
PAGE = 1000
"""Most keys of one listing."""
REGION = "eu-west-1"

_PATTERN = hashlib.shake_256(b"benchmark").digest(PERIOD)
_BUCKET = re.compile(r"objects-(\d+)-(\d+)")
_KEY = re.compile(PREFIX + r"(\d{6})")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def bucket_name(objects: int, size: int) -> str:
    """Return the name of the bucket that holds so many objects of so many bytes."""
    return f"objects-{objects}-{size}"


def key_name(number: int) -> str:
    """Return the key of an object, from 0."""
    return f"{PREFIX}{number:06d}"


@dataclass(frozen=True, slots=True)
class Described:
    """What S3 knows of an object.

    :param etag: with quotes
    :param crc64: as S3 writes it
    """

    etag: str
    crc64: str


@cache
def describe(size: int) -> Described:
    """Return the ETag and the checksum of an object of so many bytes."""
    periods, rest = divmod(size, PERIOD)
    crc64 = length = 0
    for bit in f"{periods:b}":  # doubled for each binary digit, so that 32 GiB take no longer than 1 does
        crc64, length = combine_crc64nvme(crc64, crc64, length), length * 2
        if bit == "1":
            crc64, length = combine_crc64nvme(crc64, crc64nvme(_PATTERN), PERIOD), length + PERIOD
    crc64 = combine_crc64nvme(crc64, crc64nvme(_PATTERN[:rest]), rest)
    if size > PART:
        etag = f"{hashlib.md5(b'%d' % size, usedforsecurity=False).hexdigest()}-{-(-size // PART)}"
    else:
        etag = hashlib.md5((_PATTERN * (periods + 1))[:size], usedforsecurity=False).hexdigest()
    return Described(f'"{etag}"', base64.b64encode(crc64.to_bytes(8, "big")).decode())


def source() -> Handler:
    """Return what responds for S3."""

    def handle(request: Request, body: Body) -> Steps[Response]:
        yield from body.drop()
        bucket, _, key = request.path[1:].partition("/")
        holds = _BUCKET.fullmatch(bucket)
        if holds is None:
            return _error(request, 404, "NoSuchBucket")
        objects, size = int(holds[1]), int(holds[2])
        if not key:
            if request.method == "HEAD":
                return Response(
                    200, {"x-amz-bucket-region": REGION, "Content-Type": "application/xml"}, name="HEAD bucket"
                )
            return _listing(request, bucket, objects, size)
        number = _KEY.fullmatch(key)
        if request.method not in ("GET", "HEAD"):
            return _error(request, 405, "MethodNotAllowed")
        if number is None or int(number[1]) >= objects:
            return _error(request, 404, "NoSuchKey")
        return _object(request, size)

    return handle


def _object(request: Request, size: int) -> Response:
    known = describe(size)
    name = f"{request.method} object"
    if request.headers.get("if-match", known.etag).strip('"') != known.etag.strip('"'):
        return _error(request, 412, "PreconditionFailed")
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": "binary/octet-stream",
        "ETag": known.etag,
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    }
    requested = _RANGE.fullmatch(request.headers.get("range", ""))
    if requested is None:
        if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers |= {"x-amz-checksum-crc64nvme": known.crc64, "x-amz-checksum-type": "FULL_OBJECT"}
        return Response(200, headers | {"Content-Length": str(size)}, Slice(memoryview(_PATTERN), 0, size), name)
    first, last = requested[1], requested[2]
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= size:
        return _error(request, 416, "InvalidRange")
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return Response(206, headers, Slice(memoryview(_PATTERN), start, stop - start), name)


def _listing(request: Request, bucket: str, objects: int, size: int) -> Response:
    query = request.query
    if query.get("list-type") != "2":
        return _error(request, 501, "NotImplemented")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    is_encoded = query.get("encoding-type") == "url"
    after = query.get("continuation-token") or query.get("start-after", "")
    most = min(int(query.get("max-keys", PAGE)), PAGE)
    shown: list[str] = []
    folders: list[str] = []
    is_truncated = False
    etag = escape(describe(size).etag)
    if delimiter == "/" and PREFIX.startswith(prefix) and prefix != PREFIX:
        folders = [PREFIX] if objects else []
    elif PREFIX.startswith(prefix) or prefix.startswith(PREFIX):
        passed = _KEY.match(after)
        last = ""
        for number in range(int(passed[1]) + 1 if passed else 0, objects):
            key = key_name(number)
            if not key.startswith(prefix) or key <= after:
                continue
            if len(shown) == most:
                is_truncated = True
                break
            last = key
            shown.append(
                f"<Contents><Key>{quote(key, safe='/') if is_encoded else key}</Key>"
                f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{etag}</ETag>"
                "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
                f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
    more = f"<NextContinuationToken>{last}</NextContinuationToken>" if is_truncated else ""
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(shown) + len(folders)}</KeyCount>"
        f"<MaxKeys>{most}</MaxKeys><IsTruncated>{str(is_truncated).lower()}</IsTruncated>{more}"
        + ("<EncodingType>url</EncodingType>" if is_encoded else "")
        + (f"<Delimiter>{escape(delimiter)}</Delimiter>" if delimiter else "")
        + "".join(shown)
        + "".join(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in folders)
        + "</ListBucketResult>"
    )
    return Response(200, {"Content-Type": "application/xml"}, document.encode(), "LIST bucket")


def _error(request: Request, status: int, code: str) -> Response:
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
    body = b"" if request.method == "HEAD" else document.encode()
    return Response(status, {"Content-Type": "application/xml"}, body, f"{request.method} refused")
