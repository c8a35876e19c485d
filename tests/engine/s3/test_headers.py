"""The headers of an S3 response, and the version that they identify. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_s3_azure.engine.blocks import MAX_BLOB_SIZE
from airflow_s3_azure.engine.checksums import StoredChecksum
from airflow_s3_azure.engine.errors import SourceChanged, SourceReadError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.properties import PreservedProperties
from airflow_s3_azure.engine.s3.headers import check_version, content_length, describe_object, parts_count

MD5 = "0123456789abcdef0123456789abcdef"
ETAG = {"etag": '"e"'}


def test_a_length_is_at_most_that_of_a_blob() -> None:
    """A larger object is an error of that object, which no retry fixes."""
    assert content_length({"content-length": str(MAX_BLOB_SIZE)}) == MAX_BLOB_SIZE
    with pytest.raises(SourceReadError, match="more than a blob holds") as caught:
        content_length({"content-length": str(MAX_BLOB_SIZE + 1)})

    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("headers", "message", "transient"),
    [
        ({}, "^the response has no Content-Length, so", False),
        ({"transfer-encoding": "chunked"}, "^the response has no Content-Length: it is chunked, so", False),
        ({"content-length": "-1"}, "^the Content-Length is '-1', which is no size", True),
        ({"content-length": "\xb2"}, "^the Content-Length is ", True),
        ({"content-length": "1" * 19}, "^the Content-Length is ", True),
    ],
)
def test_a_missing_or_malformed_length_is_an_error(headers: dict[str, str], message: str, transient: bool) -> None:
    """A malformed one may be a damaged response; a missing one is how the endpoint works."""
    with pytest.raises(SourceReadError, match=message) as caught:
        content_length(headers)

    assert caught.value.transient == transient


def test_the_number_of_parts_may_be_missing() -> None:
    """Not every endpoint returns it; a malformed one is an error."""
    assert (parts_count({}), parts_count({"x-amz-mp-parts-count": "10000"})) == (0, 10_000)
    with pytest.raises(SourceReadError, match=r"^the header x-amz-mp-parts-count is 'x', which is no number of parts$"):
        parts_count({"x-amz-mp-parts-count": "x"})


@pytest.mark.parametrize(("etag", "version_id"), [(None, None), ("e", None), ("e", "v"), (None, "v")])
def test_the_requested_version_is_recognized(etag: str | None, version_id: str | None) -> None:
    """By what was requested of it; the rest may be anything."""
    assert check_version({**ETAG, "x-amz-version-id": "v"}, etag, version_id) == "e"


@pytest.mark.parametrize(
    ("headers", "error", "message"),
    [
        ({}, SourceReadError, "^the endpoint returns no ETag, so"),
        ({"etag": "W/a"}, SourceReadError, "^the endpoint returns the ETag 'W/a', so"),
        ({"etag": "new"}, SourceChanged, "^it changed: its ETag was 'e' and is 'new' now; try again"),
        (ETAG, SourceReadError, "^version 'v' was requested, and the response has no x-amz-version-id"),
        ({**ETAG, "x-amz-version-id": "w"}, SourceChanged, "^version 'v' was requested, and S3 returned version 'w'$"),
    ],
)
def test_another_version_is_an_error(headers: dict[str, str], error: type[Exception], message: str) -> None:
    """Some endpoints ignore If-Match, so the response is checked."""
    with pytest.raises(error, match=message):
        check_version(headers, "e", "v")


def test_an_object_is_described_by_its_headers() -> None:
    """Everything that is copied, compared or recorded."""
    headers = {
        "etag": f'"{MD5}"',
        "content-length": "5",
        "content-type": "text/csv",
        "last-modified": "Sun, 01 Nov 2026 00:00:00 GMT",
        "x-amz-version-id": "v1",
        "x-amz-checksum-crc64nvme": "AAAAAAAAAAE=",
        "x-amz-meta-colour": "red",
    }

    assert describe_object("k", headers, etag=None, version_id=None, may_be_md5=True) == SourceObject(
        key="k",
        size=5,
        etag=MD5,
        version_id="v1",
        last_modified=datetime(2026, 11, 1, tzinfo=UTC),
        checksum=StoredChecksum("CRC64NVME", 1),
        md5=MD5,
        is_archived=False,
        preserved=PreservedProperties.from_s3(headers),
        stored_checksum="CRC64NVME:AAAAAAAAAAE=",
    )


def _describe(headers: dict[str, str], *, etag: str = "e", may_be_md5: bool = True) -> SourceObject:
    found = {"etag": etag, "content-length": "5", **headers}
    return describe_object("k", found, etag=None, version_id=None, may_be_md5=may_be_md5)


def test_an_object_of_a_bucket_without_versioning_has_no_version() -> None:
    """S3 leaves the header out, or sends ``null``. A malformed one is an error."""
    assert _describe({}).version_id is None
    assert _describe({"x-amz-version-id": "null"}).version_id is None
    with pytest.raises(SourceReadError, match=r"^the header x-amz-version-id is 'a b', which is no version ID$"):
        _describe({"x-amz-version-id": "a b"})


@pytest.mark.parametrize(
    ("headers", "etag", "may_be_md5", "is_md5"),
    [
        ({}, MD5, True, True),
        ({"x-amz-server-side-encryption": "AES256"}, MD5, True, True),
        ({"x-amz-storage-class": "STANDARD_IA"}, MD5, True, True),
        ({}, MD5, False, False),
        ({}, f"{MD5}-2", True, False),
        ({}, MD5.upper(), True, False),
        ({"x-amz-server-side-encryption": "aws:kms"}, MD5, True, False),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, MD5, True, False),
        ({"x-amz-storage-class": "EXPRESS_ONEZONE"}, MD5, True, False),
    ],
)
def test_an_etag_is_an_md5_only_of_a_plain_upload(
    headers: dict[str, str], etag: str, may_be_md5: bool, is_md5: bool
) -> None:
    """In one request, without KMS or customer keys, in a general purpose bucket."""
    assert _describe(headers, etag=etag, may_be_md5=may_be_md5).md5 == (MD5 if is_md5 else None)


@pytest.mark.parametrize(
    ("headers", "is_archived"),
    [
        ({}, False),
        ({"x-amz-storage-class": "GLACIER_IR"}, False),
        ({"x-amz-storage-class": "GLACIER"}, True),
        ({"x-amz-storage-class": "DEEP_ARCHIVE", "x-amz-restore": 'ongoing-request="true"'}, True),
        ({"x-amz-storage-class": "DEEP_ARCHIVE", "x-amz-restore": 'ongoing-request="false", expiry-date="x"'}, False),
        ({"x-amz-storage-class": "INTELLIGENT_TIERING", "x-amz-archive-status": "ARCHIVE_ACCESS"}, True),
    ],
)
def test_an_archived_object_must_be_restored_first(headers: dict[str, str], is_archived: bool) -> None:
    """Instant retrieval and a finished restore can be read."""
    assert _describe(headers).is_archived == is_archived
