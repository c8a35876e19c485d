"""What S3 lists is untrusted: an entry that is not complete ends the plan, with an error of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import SourceAccessDenied, SourceNotFound, SourceReadError, TransferError
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.listing import list_objects
from tests.examples import examples
from tests.fakes.canned_server import CannedServer, canned_server, error_document

GOOD = {"Key": "a", "LastModified": "2026-11-27T15:24:52.000Z", "ETag": "&quot;e&quot;", "Size": "5"}


@pytest.fixture(scope="module")
def server() -> Iterator[CannedServer]:
    """A running server."""
    with canned_server() as running:
        running.status = 200
        yield running


@pytest.fixture(scope="module")
def client(server: CannedServer) -> Any:
    """A client of it, without retries."""
    return boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        endpoint_url=server.url,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def _document(*entries: Mapping[str, str | None], more: str = "") -> bytes:
    contents = (
        "".join(f"<{name}>{value}</{name}>" for name, value in entry.items() if value is not None) for entry in entries
    )
    listed = "".join(f"<Contents>{one}</Contents>" for one in contents)
    return f"<ListBucketResult><Name>bucket</Name>{listed}{more}</ListBucketResult>".encode()


def test_a_listing_is_read(server: CannedServer, client: Any) -> None:
    """With or without a storage class."""
    server.status, server.body = 200, _document(GOOD, {**GOOD, "Key": "b", "StorageClass": "GLACIER"})

    when = datetime(2026, 11, 27, 15, 24, 52, tzinfo=UTC)
    assert list(list_objects(client, "bucket")) == [
        ListedObject("a", 5, "e", when),
        ListedObject("b", 5, "e", when, "GLACIER"),
    ]


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
    server: CannedServer, client: Any, entry: dict[str, str | None]
) -> None:
    """It is not left out: its key would be in no ledger."""
    server.status, server.body = 200, _document(GOOD, {**GOOD, **entry})

    with pytest.raises(SourceReadError, match="S3 sent a listing that cannot be read") as caught:
        list(list_objects(client, "bucket", "a/"))

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
    server: CannedServer, client: Any, status: int, code: str, error: type[TransferError], message: str
) -> None:
    """And the request ID of S3."""
    server.status, server.body, server.headers = status, error_document(code), {"x-amz-request-id": "R1"}

    with pytest.raises(
        error, match=rf"S3 returned {status} {code}: {message}(?s:.*)\s+\('s3://bucket/'; request R1\)$"
    ):
        list(list_objects(client, "bucket", connection="AWS connection 'night'"))


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
    server: CannedServer, client: Any, entry: dict[str, str | None], more: str, body: bytes | None
) -> None:
    """For anything that botocore's parsers return."""
    server.status = 200
    server.body = _document({**GOOD, **entry}, more=more) if body is None else body

    try:
        found = list(list_objects(client, "bucket"))
    except TransferError:
        return
    assert all(one.key and one.etag and one.last_modified.tzinfo for one in found)
