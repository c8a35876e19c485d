"""Listings are untrusted: an entry that is not complete ends the plan, with an error of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import SourceAccessDenied, SourceNotFound, SourceReadError, TransferError
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.listing import list_objects
from tests.examples import examples
from tests.fakes.canned_server import CannedServer, canned_server, error_document, source_at

ONCE = RetryPolicy(attempts=1)
GOOD = {"Key": "a", "LastModified": "2026-11-27T15:24:52.000Z", "ETag": "&quot;e&quot;", "Size": "5"}


@pytest.fixture(scope="module")
def server() -> Iterator[CannedServer]:
    """A running server."""
    with canned_server() as running:
        running.status = 200
        yield running


@pytest.fixture(scope="module")
def source(server: CannedServer) -> S3Source:
    """A bucket of it."""
    return source_at(server.url, connection="AWS connection 'night'")


def _document(*entries: Mapping[str, str | None], more: str = "") -> bytes:
    contents = (
        "".join(f"<{name}>{value}</{name}>" for name, value in entry.items() if value is not None) for entry in entries
    )
    listed = "".join(f"<Contents>{one}</Contents>" for one in contents)
    return f"<ListBucketResult><Name>bucket</Name>{listed}{more}</ListBucketResult>".encode()


def test_a_listing_is_read(server: CannedServer, source: S3Source) -> None:
    """With or without a storage class."""
    server.status, server.body = 200, _document(GOOD, {**GOOD, "Key": "b", "StorageClass": "GLACIER"})

    when = datetime(2026, 11, 27, 15, 24, 52, tzinfo=UTC)
    assert list(list_objects(source, retry=ONCE)) == [
        ListedObject("a", 5, "e", when),
        ListedObject("b", 5, "e", when, "GLACIER"),
    ]


@pytest.mark.parametrize(("bucket", "attributes"), [("bucket", "RestoreStatus"), ("bucket--use1-az4--x-s3", None)])
def test_a_listing_asks_for_the_status_of_restores(server: CannedServer, bucket: str, attributes: str | None) -> None:
    """With the page, in a signed header; directory buckets, which have no archive classes, refuse it."""
    server.status, server.body = 200, _document(GOOD)

    list(list_objects(source_at(server.url, bucket=bucket), retry=ONCE))

    assert server.seen[-1].get("x-amz-optional-object-attributes") == attributes
    assert ("x-amz-optional-object-attributes" in server.targets[-1]) == (attributes is not None)


@pytest.mark.parametrize(
    "entry",
    [
        {"Key": None},
        {"Key": ""},
        {"Size": None},
        {"Size": "x"},
        {"Size": "-5"},
        {"Size": "9" * 5000},
        {"Size": ""},
        {"ETag": None},
        {"ETag": ""},
        {"ETag": 'W/"e"'},
        {"ETag": "a b"},
        {"LastModified": None},
        {"LastModified": "yesterday"},
        {"LastModified": "2026-11-27"},
        {"LastModified": "99999-99-99T99:99:99Z"},
        {"LastModified": ""},
    ],
    ids=str,
)
def test_an_entry_that_is_not_complete_ends_the_listing(
    server: CannedServer, source: S3Source, entry: dict[str, str | None]
) -> None:
    """It is not left out: its key would be in no ledger."""
    server.status, server.body = 200, _document(GOOD, {**GOOD, **entry})

    with pytest.raises(SourceReadError, match="S3 sent a listing that cannot be read") as caught:
        list(list_objects(source, "a/"))

    assert caught.value.key == "s3://bucket/a/"


@pytest.mark.parametrize(
    ("status", "code", "error", "message"),
    [
        (403, "SignatureDoesNotMatch", SourceAccessDenied, "the secret access key of AWS connection 'night' is wrong"),
        (403, "AccessDenied", SourceAccessDenied, "AWS connection 'night' needs s3:ListBucket here"),
        (404, "NoSuchBucket", SourceNotFound, "there is no bucket 'bucket'"),
        (400, "ExpiredToken", SourceAccessDenied, "the session token of AWS connection 'night' has expired"),
    ],
)
def test_a_refused_listing_has_the_remedies_of_a_refused_read(
    server: CannedServer, source: S3Source, status: int, code: str, error: type[TransferError], message: str
) -> None:
    """And the request ID of S3."""
    server.status, server.body, server.headers = status, error_document(code), {"x-amz-request-id": "R1"}

    with pytest.raises(
        error, match=rf"S3 returned {status} {code}: {message}(?s:.*)\s+\('s3://bucket/'; request R1\)$"
    ):
        list(list_objects(source, retry=ONCE))


@settings(max_examples=examples(3), suppress_health_check=list(HealthCheck))
@given(
    entry=st.dictionaries(
        st.sampled_from([*GOOD, "StorageClass", "Contents"]),
        st.none() | st.text(alphabet='0123456789-:TZ.WxeE+"/ ', max_size=30) | st.just("<a/>"),
    ),
    more=st.sampled_from(["", "<IsTruncated>x</IsTruncated>", "<EncodingType>url</EncodingType>", "<Contents/>", "<"]),
    body=st.none() | st.binary(max_size=30),
)
@example(entry={"LastModified": "1E100"}, more="", body=None)
def test_any_listing_is_read_or_an_error_of_this_package(
    server: CannedServer, source: S3Source, entry: dict[str, str | None], more: str, body: bytes | None
) -> None:
    """Whatever it holds."""
    server.status = 200
    server.body = _document({**GOOD, **entry}, more=more) if body is None else body

    try:
        found = list(list_objects(source, retry=ONCE))
    except TransferError:
        return
    assert all(one.key and one.etag and one.last_modified and one.last_modified.tzinfo for one in found)
