"""Responses of LocalStack and Azurite as they were recorded, and of Azure as its own recordings show them.

The object has the 256 bytes of ``BODY``; a range of it is its first half. The blob that is written has the same bytes.
"""

from __future__ import annotations

import base64

from airflow_s3_azure.engine.checksums import azure_text, compute

BODY = bytes(range(256))
HALF = BODY[:128]
ETAG = "b3e23981e8abc89b0e29ef100380ea61"
BLOB_ETAG = '"0x1C42F4FF52E34B0"'
BLOCK_ID = "0001-b3e23981"
CRC64 = compute("CRC64NVME", memoryview(BODY))

_S3_CRC64 = base64.b64encode(CRC64.to_bytes(8)).decode()
_AZURE_CRC64 = azure_text(CRC64)


def _response(status: str, headers: str, body: bytes = b"", *, chunked: bool = False) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers.strip().splitlines()])
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return f"{head}\r\n\r\n".encode() + body


def _s3(status: str, headers: str, body: bytes = b"") -> bytes:
    common = """
Server: TwistedWeb/25.5.0
Date: Fri, 27 Nov 2026 15:43:21 GMT
x-amz-request-id: 7ce12ff3-6fe3-445a-957a-07ec8451ae84
x-amz-id-2: s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234=
"""
    return _response(status, common + headers.strip(), body)


def _s3_error(status: str, code: str) -> bytes:
    body = f"<?xml version='1.0' encoding='utf-8'?>\n<Error><Code>{code}</Code><Message>It failed.</Message></Error>".encode()
    return _s3(status, f"Content-Type: application/xml\nContent-Length: {len(body)}", body)


_OBJECT = f"""
Content-Type: text/csv
accept-ranges: bytes
Last-Modified: Fri, 27 Nov 2026 15:43:20 GMT
ETag: "{ETAG}"
Cache-Control: no-cache
x-amz-server-side-encryption: AES256
x-amz-meta-owner: ops
x-amz-tagging-count: 2
"""
_CHECKSUM = f"x-amz-checksum-crc64nvme: {_S3_CRC64}\nx-amz-checksum-type: FULL_OBJECT"
_TAGS = (
    b"<?xml version='1.0' encoding='utf-8'?>\n"
    b'<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>'
    b"<Tag><Key>team</Key><Value>data</Value></Tag></TagSet></Tagging>\n"
)

S3_HEAD = _s3("200 OK", f"{_OBJECT}{_CHECKSUM}\nContent-Length: 256")
S3_RANGE = _s3("206 PARTIAL CONTENT", f"{_OBJECT}Content-Length: 128\nContent-Range: bytes 0-127/256", HALF)
S3_WHOLE = _s3("200 OK", f"{_OBJECT}{_CHECKSUM}\nContent-Length: 256", BODY)
S3_PART = _s3("206 PARTIAL CONTENT", f"{_OBJECT}x-amz-mp-parts-count: 2\nContent-Length: 128")
S3_TAGS = _s3("200 OK", f"Content-Type: application/xml\nContent-Length: {len(_TAGS)}", _TAGS)
S3_BUCKET = _s3("200 OK", "x-amz-bucket-region: eu-west-1\nContent-Length: 0")
S3_HEAD_MISSING = _s3("404 NOT FOUND", "Content-Type: application/xml\nContent-Length: 203")
S3_ERRORS = [
    _s3_error("404 NOT FOUND", "NoSuchKey"),
    _s3_error("412 PRECONDITION FAILED", "PreconditionFailed"),
    _s3_error("403 FORBIDDEN", "AccessDenied"),
    _s3_error("403 FORBIDDEN", "InvalidObjectState"),
    _s3_error("416 REQUESTED RANGE NOT SATISFIABLE", "InvalidRange"),
    _s3_error("400 BAD REQUEST", "ExpiredToken"),
    _s3_error("301 MOVED PERMANENTLY", "PermanentRedirect"),
    _s3_error("503 SERVICE UNAVAILABLE", "SlowDown").replace(b"Server:", b"Retry-After: 3\r\nServer:"),
]


def _azure(status: str, headers: str = "", body: bytes = b"", *, chunked: bool = False) -> bytes:
    common = """
Server: Azurite-Blob/3.37.0
x-ms-request-id: 8e360f7c-604c-4d60-813d-1ba46802d52c
x-ms-version: 2023-11-03
date: Fri, 27 Nov 2026 15:43:23 GMT
Connection: keep-alive
Keep-Alive: timeout=5
"""
    return _response(status, common + headers.strip(), body, chunked=chunked)


def _azure_error(status: str, code: str) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Error>\n  <Code>{code}</Code>\n</Error>'.encode()
    headers = f"x-ms-error-code: {code}\ncontent-type: application/xml\nTransfer-Encoding: chunked"
    return _azure(status, headers, body, chunked=True)


_WRITTEN = f"etag: {BLOB_ETAG}\nlast-modified: Fri, 27 Nov 2026 15:43:23 GMT\nContent-Length: 0"
_BLOCKS = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList><CommittedBlocks/><UncommittedBlocks><Block>'
    f"<Name>{base64.b64encode(BLOCK_ID.encode()).decode()}</Name><Size>256</Size></Block></UncommittedBlocks></BlockList>"
).encode()

AZURE_HEAD = _azure(
    "200 OK",
    f"""
last-modified: Fri, 27 Nov 2026 15:43:22 GMT
x-ms-creation-time: Fri, 27 Nov 2026 15:43:22 GMT
x-ms-meta-owner: ops
x-ms-blob-type: BlockBlob
x-ms-lease-state: available
content-length: 256
content-type: text/csv
etag: {BLOB_ETAG}
accept-ranges: bytes
x-ms-access-tier: Hot
""",
)
AZURE_PUT = _azure("201 Created", f"{_WRITTEN}\nx-ms-content-crc64: {_AZURE_CRC64}")
AZURE_PUT_WITHOUT_CRC = _azure("201 Created", _WRITTEN)
AZURE_STAGE = _azure("201 Created", f"x-ms-content-crc64: {_AZURE_CRC64}\nContent-Length: 0")
AZURE_LIST = _azure("200 OK", "content-type: application/xml\nTransfer-Encoding: chunked", _BLOCKS, chunked=True)
# As Azure sends it: with a byte order mark.
AZURE_LIST_WITH_BOM = _azure(
    "200 OK", "content-type: application/xml\nTransfer-Encoding: chunked", b"\xef\xbb\xbf" + _BLOCKS, chunked=True
)
AZURE_DELETE = _azure("202 Accepted", "x-ms-delete-type-permanent: true\nContent-Length: 0")
AZURE_HEAD_MISSING = _azure("404 The specified blob does not exist.", "x-ms-error-code: BlobNotFound")
AZURE_MISSING = _azure_error("404 The specified blob does not exist.", "BlobNotFound")
AZURE_ERRORS = [
    _azure_error("400 The specified block list is invalid.", "InvalidBlockList"),
    _azure_error("400 The CRC64 value did not match.", "Crc64Mismatch"),
    _azure_error("403 Forbidden", "AuthorizationFailure"),
    _azure_error("409 The specified blob already exists.", "BlobAlreadyExists"),
    _azure_error("409 Conflict", "InvalidBlobType"),
    _azure_error("412 Precondition Failed", "ConditionNotMet"),
    _azure_error("503 Server Busy", "ServerBusy").replace(b"Server:", b"Retry-After: 3\r\nServer:"),
]

PORTAL = _response(
    "200 OK",
    "Content-Type: text/html\nContent-Length: 44\nServer: portal",
    b"<html><body>Please log in here</body></html>",
)
"""What a captive portal, or a proxy with a page of its own, sends to every request."""
