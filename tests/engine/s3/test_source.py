"""What is requested of S3, and what is made of its responses, against a server that responds as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.s3.source import S3Source
from tests.fakes.canned_server import CannedServer, canned_server, error_document, source_at

OBJECT = SourceObject("key", 100, "etag", version_id="v1")
PINNED: dict[str, str | None] = {"ETag": '"etag"', "x-amz-version-id": "v1"}
RANGE: dict[str, str | None] = {**PINNED, "Content-Range": "bytes 20-29/100"}


@pytest.fixture
def server() -> Iterator[CannedServer]:
    """A running server."""
    with canned_server() as running:
        yield running


def _read(source: S3Source, size: int = 10) -> bytes:
    into = bytearray(size)
    source.read(OBJECT, Block(1, 20, 20 + size), memoryview(into), lambda count: None)
    return bytes(into)


def _read_whole(source: S3Source, size: int = 10) -> bytes:
    into = bytearray(size)
    source.read_whole("key", "etag", "v1", memoryview(into), lambda count: None)
    return bytes(into)


def test_a_range_is_pinned_and_everything_that_is_sent_is_signed(server: CannedServer) -> None:
    """The range, the ETag and the payer are headers that the signature covers; the version is in the query."""
    server.headers, server.body = RANGE, b"0123456789"

    assert _read(source_at(server.url, requester_pays=True)) == b"0123456789"

    (headers,), (target,) = server.seen, server.targets
    assert headers["range"] == "bytes=20-29"
    assert headers["if-match"] == '"etag"'
    assert headers["x-amz-request-payer"] == "requester"
    assert headers["accept-encoding"] == "identity"
    query = parse_qs(urlsplit(target).query)
    assert query["versionId"] == ["v1"]
    assert query["X-Amz-SignedHeaders"] == ["host;if-match;range;x-amz-request-payer"]


@pytest.mark.parametrize("key", ["/lead", "//two", "a/../b", "./a", "a//b", "%2F", "+ &?#", "\n"])
def test_a_key_is_on_the_request_line_as_it_was_signed(server: CannedServer, key: str) -> None:
    """No library normalizes the path."""
    server.status, server.headers = 200, {"ETag": '"e"'}

    source_at(server.url).head(key)

    expected = {
        "/lead": "/bucket//lead",
        "//two": "/bucket///two",
        "a/../b": "/bucket/a/../b",
        "./a": "/bucket/./a",
        "a//b": "/bucket/a//b",
        "%2F": "/bucket/%252F",
        "+ &?#": "/bucket/%2B%20%26%3F%23",
        "\n": "/bucket/%0A",
    }[key]
    assert server.targets[0].partition("?")[0] == expected


@pytest.mark.parametrize(
    ("status", "content_range"),
    [(200, None), (206, None), (206, "bytes 0-9/100"), (206, "bytes 20-29/101"), (206, "bytes 20-29/*")],
)
def test_a_response_with_another_range_is_refused(server: CannedServer, status: int, content_range: str | None) -> None:
    """An endpoint or a proxy that ignores Range would give the wrong bytes: it is named, not retried."""
    server.status, server.body = status, b"0123456789"
    server.headers = {**PINNED, "Content-Range": content_range}

    with pytest.raises(SourceReadError, match="does not honor Range") as caught:
        _read(source_at(server.url))

    assert not caught.value.transient


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (
            {"ETag": '"other"'},
            r"its ETag was 'etag' and is 'other' now; try again to copy the new version \('s3://bucket/key'\)$",
        ),
        ({"ETag": "other"}, "its ETag was 'etag' and is 'other' now"),
        (
            {"x-amz-version-id": "v2"},
            r"version 'v1' was requested, and S3 returned version 'v2' \('s3://bucket/key'\)$",
        ),
        (
            {"x-amz-version-id": "null"},
            r"version 'v1' was requested, and S3 returned version 'null' \('s3://bucket/key'\)$",
        ),
    ],
)
@pytest.mark.parametrize("request_", ["range", "whole", "part"])
def test_a_response_with_another_version_is_a_changed_source(
    server: CannedServer, request_: str, headers: dict[str, str | None], message: str
) -> None:
    """An endpoint that ignores If-Match still returns its ETag: no byte of another version is used."""
    server.status = 200 if request_ == "whole" else 206
    server.headers, server.body = {**RANGE, **headers}, b"0123456789"
    source = source_at(server.url)
    requests: dict[str, Callable[[S3Source], object]] = {
        "range": _read,
        "whole": _read_whole,
        "part": lambda source: source.part_size(OBJECT),
    }

    with pytest.raises(SourceChanged, match=message) as caught:
        requests[request_](source)

    assert caught.value.retryable
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("etag", "named"),
    [
        (None, "no ETag"),
        ("", "the ETag ''"),
        ('""', "the ETag '\"\"'"),
        ('W/"etag"', "the ETag 'W/\"etag\"'"),
        ('"et"ag"', 'the ETag \'"et"ag"\''),
        ('"et ag"', "the ETag '\"et ag\"'"),
        ("\xe9tag", "the ETag 'étag'"),
        ("e" * 2000, "the ETag 'e+…'"),
    ],
)
@pytest.mark.parametrize("request_", ["range", "whole", "head", "part"])
def test_a_response_without_a_usable_etag_is_an_error(
    server: CannedServer, request_: str, etag: str | None, named: str
) -> None:
    """Nothing that cannot be pinned is copied. A weak ETag pins no bytes."""
    server.status = 200 if request_ in ("whole", "head") else 206
    server.headers, server.body = {**RANGE, "ETag": etag}, b"0123456789"
    source = source_at(server.url)
    requests: dict[str, Callable[[S3Source], object]] = {
        "range": _read,
        "whole": _read_whole,
        "head": lambda source: source.head("key"),
        "part": lambda source: source.part_size(OBJECT),
    }

    with pytest.raises(SourceReadError, match=rf"the endpoint returns {named}, so a version of the object cannot"):
        requests[request_](source)


@pytest.mark.parametrize("request_", ["range", "whole", "head"])
def test_a_response_that_does_not_name_its_version_is_an_error(server: CannedServer, request_: str) -> None:
    """Where a version was requested, an endpoint without versions would return the current one."""
    server.status = 206 if request_ == "range" else 200
    server.headers, server.body = {**RANGE, "x-amz-version-id": None}, b"0123456789"
    source = source_at(server.url)
    requests: dict[str, Callable[[S3Source], object]] = {
        "range": _read,
        "whole": _read_whole,
        "head": lambda source: source.head("key", "v1"),
    }

    with pytest.raises(SourceReadError, match="version 'v1' was requested, and the response has no x-amz-version-id"):
        requests[request_](source)


def test_the_version_of_an_object_from_before_versioning_stays_pinned(server: CannedServer) -> None:
    """It is named "null", and may have a newer version by now; without a version, the bucket need not have any."""
    server.status, server.headers = 200, {"ETag": '"etag"', "x-amz-version-id": "null"}
    source = source_at(server.url)

    assert source.head("key", "null").version_id == "null"
    assert source.head("key").version_id is None


def test_a_head_of_another_version_is_a_changed_source(server: CannedServer) -> None:
    """For any ETag."""
    server.status, server.headers = 200, {"ETag": '"etag"', "x-amz-version-id": "v2"}

    with pytest.raises(SourceChanged, match="version 'v1' was requested, and S3 returned version 'v2'"):
        source_at(server.url).head("key", "v1")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Length": None}, "the response has no Content-Length, so the size of the object is unknown"),
        (
            {"Content-Length": None, "Transfer-Encoding": "chunked"},
            "the response has no Content-Length: it is chunked, so the size of the object is unknown",
        ),
    ],
)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_response_without_a_length_is_an_error(
    server: CannedServer, method: str, headers: dict[str, str | None], message: str
) -> None:
    """It is no empty object."""
    chunks = b"0\r\n\r\n" if headers.get("Transfer-Encoding") and method == "GET" else b""
    lines = [f"{name}: {value}" for name, value in {**PINNED, **headers}.items() if value is not None]
    server.raw = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + chunks
    source = source_at(server.url)

    with pytest.raises(SourceReadError, match=message):
        source.head("key") if method == "HEAD" else _read_whole(source, 0)


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "0x10", "\xb2", "", "9" * 5000, "5, 6"])
def test_a_malformed_length_is_an_error(server: CannedServer, length: str) -> None:
    """Python's own parser would accept it."""
    server.status, server.headers = 200, {**PINNED, "Content-Length": length}

    with pytest.raises(SourceReadError) as caught:
        source_at(server.url).head("key")

    assert caught.value.transient


def test_an_object_larger_than_a_blob_is_an_error_of_that_object(server: CannedServer) -> None:
    """It ends its own copy and not the batch."""
    server.status, server.headers = 200, {**PINNED, "Content-Length": str(10**17)}

    with pytest.raises(SourceReadError, match="more than a blob holds") as caught:
        source_at(server.url).head("key")

    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("length", "parts", "expected"),
    [
        ("30", "4", 30),
        ("30", "3", None),
        ("100", "1", 100),
        ("101", "1", None),
        ("0", "0", None),
        ("30", None, None),
        ("1", "100", 1),
    ],
)
def test_the_size_of_the_parts_is_used_where_it_is_possible(
    server: CannedServer, length: str, parts: str | None, expected: int | None
) -> None:
    """Equal parts but the last, of an object of a hundred bytes."""
    server.headers = {**PINNED, "Content-Length": length, "x-amz-mp-parts-count": parts}

    assert source_at(server.url).part_size(OBJECT) == expected


def test_more_parts_than_an_upload_can_have_are_not_used(server: CannedServer) -> None:
    """A billion parts would be a billion blocks."""
    server.headers = {**PINNED, "Content-Length": "1", "x-amz-mp-parts-count": "99999"}

    assert source_at(server.url).part_size(SourceObject("key", 99_999, "etag", version_id="v1")) is None


@pytest.mark.parametrize("parts", ["x", "-1", "", "\xb2", "9" * 5000])
def test_a_malformed_number_of_parts_is_an_error(server: CannedServer, parts: str) -> None:
    """It names the header."""
    server.headers = {**PINNED, "Content-Length": "1", "x-amz-mp-parts-count": parts}

    with pytest.raises(SourceReadError, match="x-amz-mp-parts-count is "):
        source_at(server.url).part_size(OBJECT)


@pytest.mark.parametrize("length", ["0", "5"])
def test_a_body_that_is_too_short_is_worth_another_try(server: CannedServer, length: str) -> None:
    """All bytes of the block must arrive, regardless of the headers."""
    server.headers, server.body = {**RANGE, "Content-Length": length}, b"01234"[: int(length)]

    with pytest.raises(SourceReadError, match=rf"ended after {length} of 10 bytes") as caught:
        _read(source_at(server.url))

    assert caught.value.transient


@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationQueryParametersError")])
def test_a_bucket_in_another_region_is_named(server: CannedServer, status: int, code: str) -> None:
    """The response to a HEAD has no body, so a GET of one byte reads the cause."""
    server.status, server.headers = status, {"x-amz-bucket-region": "us-west-2"}
    server.body = error_document(code)

    with pytest.raises(SourceReadError, match="is in region us-west-2; set region_name") as caught:
        source_at(server.url).head("a")

    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "code", "error", "transient"),
    [
        (403, "AccessDenied", SourceAccessDenied, True),
        (403, "InvalidObjectState", SourceArchived, False),
        (403, "InvalidAccessKeyId", SourceAccessDenied, False),
        (404, "NoSuchKey", SourceChanged, False),
        (301, "PermanentRedirect", SourceReadError, False),
        (400, "AuthorizationHeaderMalformed", SourceReadError, False),
        (400, "ExpiredToken", SourceAccessDenied, True),
        (400, "InvalidRequest", SourceAccessDenied, False),
        (412, "PreconditionFailed", SourceChanged, False),
        (416, "InvalidRange", SourceChanged, False),
        (500, "InternalError", SourceReadError, True),
        (503, "SlowDown", SourceReadError, True),
    ],
)
def test_every_refusal_of_a_range_is_one_of_ours(
    server: CannedServer, status: int, code: str, error: type[TransferError], transient: bool
) -> None:
    """Each error quotes S3, and only a transient one is tried again."""
    server.status, server.body = status, error_document(code)

    with pytest.raises(error, match=f"S3 returned {status} {code}") as caught:
        _read(source_at(server.url))

    assert type(caught.value) is error
    assert caught.value.transient == transient
    assert "X-Amz" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "InvalidRequest", SourceAccessDenied),
        (403, "SignatureDoesNotMatch", SourceAccessDenied),
        (403, "InvalidObjectState", SourceArchived),
        (404, "NoSuchBucket", SourceNotFound),
        (404, "NoSuchKey", SourceNotFound),
        (404, "NoSuchVersion", SourceNotFound),
    ],
)
def test_a_refused_head_is_explained_by_a_get(
    server: CannedServer, status: int, code: str, error: type[TransferError]
) -> None:
    """The response to a HEAD has no body that could explain it."""
    server.status, server.get = status, (status, error_document(code))

    with pytest.raises(error, match=f"S3 returned {status} {code}: "):
        source_at(server.url).head("key", "v1")

    assert server.methods == ["HEAD", "GET"]
    assert server.seen[1]["range"] == "bytes=0-0"


@pytest.mark.parametrize("get", [200, 206, 412, 416])
def test_a_refused_head_stands_where_a_get_is_not_refused(server: CannedServer, get: int) -> None:
    """A GET of the first byte of an empty object is 416, which is no reason."""
    server.status, server.get = 403, (get, b"")

    with pytest.raises(SourceAccessDenied, match="S3 returned 403 Forbidden"):
        source_at(server.url).head("key")


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 11", b"0123456789x"),
        ("Transfer-Encoding: chunked", b"b\r\n0123456789x\r\n0\r\n\r\n"),
        ("Connection: close", b"0123456789x"),
    ],
)
def test_a_body_that_is_longer_than_the_range_is_an_error(server: CannedServer, framing: str, body: bytes) -> None:
    """The range that its header names is not what was sent, so it is unknown which bytes these are."""
    head = "\r\n".join(["HTTP/1.1 206 OK", *(f"{name}: {value}" for name, value in RANGE.items()), framing, "", ""])
    server.raw = head.encode() + body

    with pytest.raises(SourceReadError, match="the body is longer than the 10 bytes that were requested"):
        _read(source_at(server.url))


@pytest.mark.parametrize(
    ("framing", "body"),
    [("Transfer-Encoding: chunked", b"a\r\n0123456789\r\n0\r\n\r\n"), ("Connection: close", b"0123456789")],
)
def test_a_range_may_come_without_a_length(server: CannedServer, framing: str, body: bytes) -> None:
    """Its header names the range, and the body must end where the range does."""
    head = "\r\n".join(["HTTP/1.1 206 OK", *(f"{name}: {value}" for name, value in RANGE.items()), framing, "", ""])
    server.raw = head.encode() + body

    assert _read(source_at(server.url)) == b"0123456789"


@pytest.mark.parametrize("request_", ["head", "whole", "tags"])
def test_a_part_in_response_to_a_request_for_the_whole_is_an_error(server: CannedServer, request_: str) -> None:
    """It responds to something else than was requested."""
    server.status, server.headers, server.body = 206, {"ETag": '"etag"'}, b"<Tagging/>"
    source = source_at(server.url)
    send: dict[str, Callable[[], object]] = {
        "head": lambda: source.head("key"),
        "whole": lambda: source.read_whole("key", "etag", None, memoryview(bytearray(10)), lambda count: None),
        "tags": lambda: source.tags("key"),
    }

    with pytest.raises(SourceReadError, match="S3 returned 206 Partial Content"):
        send[request_]()


@pytest.mark.parametrize("request_", ["refused", "another version", "short body"])
def test_an_error_has_the_request_ids_of_s3(server: CannedServer, request_: str) -> None:
    """AWS support needs both."""
    ids: dict[str, str | None] = {"x-amz-request-id": "4442587FB7D0A2F9", "x-amz-id-2": "vlR7PnpV2Ce81l0PRw6j="}
    server.headers, server.body = {**RANGE, **ids}, b"01234"
    if request_ == "refused":
        server.status = 403
    elif request_ == "another version":
        server.headers["ETag"] = '"other"'

    with pytest.raises(TransferError) as caught:
        _read(source_at(server.url))

    assert str(caught.value).endswith("('s3://bucket/key'; request 4442587FB7D0A2F9, id2 vlR7PnpV2Ce81l0PRw6j=)")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", r"not well-formed \(ParseError\)"),
        (b"<html><body>Please log in</body></html>", "its root is not 'Tagging'"),
        (b"<Tagging><TagSet>", r"not well-formed \(ParseError\)"),
        (b"<Tagging>" + b" " * 2**20 + b"</Tagging>", "it has more than 1,048,576 bytes"),
        (b'<!DOCTYPE Tagging [<!ENTITY a "b">]><Tagging>&a;</Tagging>', "it has a document type"),
    ],
)
def test_tags_that_cannot_be_read_are_an_error(server: CannedServer, document: bytes, why: str) -> None:
    """They are not left out."""
    server.status, server.body = 200, document

    with pytest.raises(SourceReadError, match=f"the tags from S3 cannot be read: {why}"):
        source_at(server.url).tags("key")


def test_tags_are_read(server: CannedServer) -> None:
    """With or without the namespace of S3, for keys of any characters."""
    server.status = 200
    for namespace in ("", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'):
        tags = "<Tag><Key>a</Key><Value>&lt;b&gt;</Value></Tag><Tag><Key>c</Key><Value/></Tag>"
        server.body = f"<Tagging{namespace}><TagSet>{tags}</TagSet></Tagging>".encode()

        assert source_at(server.url).tags("key") == {"a": "<b>", "c": ""}


@pytest.mark.parametrize("bucket", ["bucket--usw2-az1--x-s3", "alias--usw2-az1--xa-s3", "bucket"])
def test_an_etag_is_an_md5_only_outside_directory_buckets(server: CannedServer, bucket: str) -> None:
    """In a directory bucket an ETag of 32 hexadecimal digits is random."""
    server.status, server.headers = 200, {"ETag": '"0123456789abcdef0123456789abcdef"'}

    found = source_at(server.url, bucket).head("key").md5

    assert found == ("0123456789abcdef0123456789abcdef" if bucket == "bucket" else None)


class _RecordingBandwidth(Bandwidth):
    """A limit that records what is spent, and never waits."""

    def __init__(self) -> None:
        super().__init__(1, Cancellation())
        self.spent = 0

    def spend(self, size: int) -> None:
        self.spent += size


def test_every_byte_that_is_read_is_spent_of_the_bandwidth(server: CannedServer) -> None:
    """Of whole objects and of blocks alike."""
    bandwidth = _RecordingBandwidth()
    source = source_at(server.url, bandwidth=bandwidth)

    server.status, server.headers, server.body = 200, PINNED, bytes(60_000)
    assert len(_read_whole(source, 60_000)) == bandwidth.spent == 60_000
    server.status, server.headers, server.body = 206, RANGE, bytes(10)
    _read(source)

    assert bandwidth.spent == 60_010
