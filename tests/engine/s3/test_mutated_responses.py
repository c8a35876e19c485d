"""Any response of S3 ends in a result or in an error of this package: a fuzz test over real sockets.

``S3_MUTATIONS=100000 pytest tests/engine/s3/test_mutated_responses.py`` runs more examples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import requests
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.model import BlobContent, SourceObject
from airflow_s3_azure.engine.properties import CopyIdentity
from airflow_s3_azure.engine.s3.source import S3Source
from tests.examples import examples
from tests.fakes.canned_server import CannedServer, canned_server, error_document

EXAMPLES = int(os.environ.get("S3_MUTATIONS", examples(10)))
BODY = b"0123456789"
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
OBJECT = SourceObject("key", 100, "etag", version_id="v1")
BLOCK = Block(1, 20, 30)

ODD_NUMBERS = ["", "x", "-5", "+5", "1_0", "5, 5", "0x5", " 5 ", "5.0", "\xb2", "9" * 5000, str(2**64), "0", "10"]
ODD_DATES = ["", "x", "Thu, 32 Foo 99999 25:61:61 GMT", "0 0 0 : ", "1 Jan 1 0:0:0 -9999", "9" * 5000, "-0000"]
ODD_DATES += ["Fri, 31 Dec 9999 23:59:59 -2359", "Fri, 27 Nov 2026 15:24:52 +0130", "Fri, 27 Nov 2026 15:24:52 -0000"]
ODD_ETAGS = ["", '"', '""', 'W/"etag"', '"a"b"', "\xe9", '"etag"', "etag", "e" * 5000, '"\x00"']
ODD_CHECKSUMS = [
    "",
    "x",
    "AAAA",
    "AAAAAA==",
    "AAAAAA==-" + "9" * 5000,
    "AAAAAA==-0",
    "AAAAAA==-\xb2",
    "AAAAAAAAAAA=",
    "=",
]
HEADERS: dict[str, list[str]] = {
    "Content-Length": ODD_NUMBERS,
    "Content-Range": ["", "bytes 20-29/100", "bytes 20-29/*", "bytes 0-9/100", "x", "bytes " + "9" * 5000],
    "Transfer-Encoding": ["chunked", "x", ""],
    "ETag": ODD_ETAGS,
    "Last-Modified": ODD_DATES,
    "Date": ODD_DATES,
    "Retry-After": [*ODD_NUMBERS, *ODD_DATES],
    "x-amz-version-id": ["v1", "v2", "null", "", "\xe9", "a b", "v" * 5000],
    "x-amz-mp-parts-count": ODD_NUMBERS,
    "x-amz-checksum-crc32": ODD_CHECKSUMS,
    "x-amz-checksum-crc64nvme": ODD_CHECKSUMS,
    "x-amz-checksum-type": ["COMPOSITE", "FULL_OBJECT", "", "x"],
    "x-amz-restore": ["", 'ongoing-request="false"', 'ongoing-request="true"', "x"],
    "x-amz-storage-class": ["GLACIER", "", "x"],
    "x-amz-bucket-region": ["us-west-2", "", "\x1b[31m", "x" * 5000],
    "x-amz-request-id": ["R1", "", "\x1b[31m\xe9", "R" * 5000],
    "x-amz-delete-marker": ["true", "x"],
    "x-amz-meta-": ["", "a", "\xe9\x85"],
    "x-amz-meta-A b": ["=?utf-8?q?a?=", "\x0b\x0c", "\n", "a\rb: c"],
    "x-amz-meta-s3_source_etag": ["e"],
    "Content-Type": ["", "\xe9", "a\nb: c", "text/plain\x00"],
    "Content-Encoding": ["aws-chunked", "aws-chunked,gzip", ",,", "\n"],
}
ODD_BODIES = [
    b"",
    BODY[:5],
    BODY,
    TAGS,
    b"<Tagging><Tag/></Tagging>",
    b"<a>" * 1000,
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b"<html><body>Please log in</body></html>",
    b"\xff\xfe\x00",
    error_document("AccessDenied", "no"),
    error_document("A" * 5000, "&#10;" * 5000),
    error_document("\u202e", "\u202e"),
    b'<?xml version="1.0" encoding="no-such"?><Error><Code>A</Code></Error>',
    b"5\r\n01234\r\n0\r\n\r\n",
    b"-5\r\n",
    b"f" * 5000,
]
CODES = [
    "AccessDenied",
    "NoSuchKey",
    "SlowDown",
    "KMS.X",
    "InvalidObjectState",
    "RequestTimeTooSkewed",
    "PermanentRedirect",
]

headers = st.lists(
    st.sampled_from(sorted(HEADERS)).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.sampled_from(HEADERS[name])
            | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=8),
        )
    ),
    max_size=4,
)
bodies = st.sampled_from(ODD_BODIES) | st.sampled_from(CODES).map(error_document) | st.binary(max_size=20)
statuses = st.sampled_from(
    [200, 206, 204, 301, 304, 400, 403, 404, 405, 409, 412, 416, 429, 500, 503, 999]
) | st.integers(200, 999)

REQUESTS: dict[str, tuple[int, Callable[[S3Source], object]]] = {
    "head": (200, lambda source: source.head("key")),
    "head of a version": (200, lambda source: source.head("key", "v1")),
    "range": (206, lambda source: source.read(OBJECT, BLOCK, memoryview(bytearray(10)), lambda count: None)),
    "whole": (
        200,
        lambda source: source.read_whole("key", "etag", "v1", memoryview(bytearray(10)), lambda count: None),
    ),
    "part": (206, lambda source: source.part_size(OBJECT)),
    "tags": (200, lambda source: source.tags("key")),
}
GOOD = [
    ("ETag", '"etag"'),
    ("x-amz-version-id", "v1"),
    ("Content-Range", "bytes 20-29/100"),
    ("Content-Length", "10"),
    ("Last-Modified", "Fri, 27 Nov 2026 15:24:52 GMT"),
    ("x-amz-checksum-crc32", "AAAAAA==-2"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[CannedServer]:
    """A running server."""
    with canned_server() as running:
        yield running


@pytest.fixture(scope="module")
def source(server: CannedServer) -> S3Source:
    """The server as a source, without the cost of signing."""
    cancellation = Cancellation()
    session = requests.Session()
    return S3Source("bucket", lambda operation, params: f"{server.url}/bucket/key", session, cancellation)


def _response(status: int, found: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} Reason", *(f"{name}: {value}" for name, value in found)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _result_of(send: Callable[[], object]) -> object:
    try:
        return send()
    except TransferError as error:
        return error


def _check_is_sendable(found: SourceObject) -> None:
    """Make sure that what a blob keeps of an object can be sent to Azure as headers."""
    content = BlobContent.of(found, CopyIdentity("bucket", "key", "blob"))
    for name, value in {**content.headers, **content.metadata}.items():
        assert name.isascii()
        assert not set(value.encode("latin-1")) & {0, 10, 13}


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(
    request_=st.sampled_from(sorted(REQUESTS)),
    changed=headers,
    left_out=st.sets(st.sampled_from([name for name, _ in GOOD]), max_size=2),
    status=st.none() | statuses,
    body=st.none() | bodies,
)
def test_any_response_is_a_result_or_an_error_of_this_package(
    server: CannedServer,
    source: S3Source,
    request_: str,
    changed: list[tuple[str, str]],
    left_out: set[str],
    status: int | None,
    body: bytes | None,
) -> None:
    """A good response of which some headers, the status or the body are replaced, left out or repeated."""
    usual, send = REQUESTS[request_]
    replaced = {name for name, _ in changed} if len(changed) % 2 else set()
    found = [(name, value) for name, value in GOOD if name not in left_out | replaced] + changed
    default = TAGS if request_ == "tags" else BODY
    server.raw = _response(usual if status is None else status, found, default if body is None else body)

    result = _result_of(lambda: send(source))

    event(type(result).__name__)
    if isinstance(result, TransferError):
        assert all(line.isprintable() for line in str(result).split("\n"))
        assert len(str(result)) < 1200
        assert result.key == "s3://bucket/key"
    if isinstance(result, SourceObject):
        _check_is_sendable(result)


@settings(max_examples=EXAMPLES // 4, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=200) | st.text(alphabet="HTP/1. 20\r\n:abc", max_size=80).map(str.encode))
def test_any_bytes_are_an_error_of_this_package(server: CannedServer, source: S3Source, data: bytes) -> None:
    """A port on which something else than HTTP is spoken."""
    server.raw = data

    with pytest.raises(TransferError):
        source.head("key")
