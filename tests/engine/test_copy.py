"""One object through the engine, against the S3 server and Azurite: bytes, requests, properties, clear errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import compute, s3_text
from airflow_s3_azure.engine.errors import (
    Cancelled,
    SourceAccessDenied,
    SourceArchived,
    SourceNotFound,
    SourceReadError,
)
from airflow_s3_azure.engine.model import CopyRequest
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source
from tests.engine.copy_rig import ABSENT, BLOCK, OPTIONS, CopyRig, random_bytes
from tests.rig import wait_until_expired

pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    "size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1, 7 * BLOCK + 13]
)
@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C"])
def test_every_size_arrives_byte_for_byte_and_verified(rig: CopyRig, size: int, algorithm: str) -> None:
    """Around each boundary of a block, with each checksum that S3 stores."""
    body = random_bytes(size)
    etag = rig.bucket.put("a", body, ChecksumAlgorithm=algorithm)

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert rig.read("b") == body
    assert (result.status, result.verified, result.size, result.etag) == ("copied", algorithm.lower(), size, etag)
    assert result.bytes_read == size
    assert result.blocks == (0 if size <= BLOCK else -(-size // BLOCK))


ODD_KEYS = [
    "dot/../x",
    "./dot",
    "a//b",
    "//lead",
    "/lead",
    "trail/",
    "plus+and space",
    "per%25cent%2F",
    "new\nline\r\ttab",
    "emoji 🦆 ☃",
    "caf\u00e9",
    "cafe\u0301",
    "{{ conn.x.password }}",
    "?query=1&b#frag",
    "'quote\"\\",
    "~!*()",
    "x" * 1024,
]


@pytest.mark.parametrize("key", ODD_KEYS)
@pytest.mark.parametrize("size", [10, BLOCK + 1])
def test_odd_keys_are_read_from_the_right_object(rig: CopyRig, key: str, size: int) -> None:
    """A key is bytes: no part of it is resolved, decoded or rendered in transit, whole or in ranges."""
    for number, other in enumerate(ODD_KEYS):
        rig.bucket.put(other, random_bytes(size + number))

    (result,) = rig.copy(CopyRequest(key, "b"))

    assert result.error is None
    assert rig.read("b") == random_bytes(size + ODD_KEYS.index(key))


def test_a_planned_small_object_costs_one_get_and_one_put(rig: CopyRig) -> None:
    """What the two listings returned is not requested again."""
    etag = rig.bucket.put("a", b"x" * 100, ContentType="text/x-a", Metadata={"my-key": "v"})

    (result,) = rig.copy(CopyRequest("a", "b", size=100, etag=etag, precondition=ABSENT))

    assert result.verified == "crc32"
    assert (rig.signed, rig.sent) == ([("get_object", "")], ["PUT blob"])
    properties = rig.container.get_blob_client("b").get_blob_properties()
    assert properties.content_settings.content_type == "text/x-a"
    assert properties.metadata["my_key"] == "v"


def test_each_range_is_signed_afresh_and_read_once(rig: CopyRig) -> None:
    """Five blocks are five ranges with five URLs, none of them twice."""
    rig.bucket.put("a", random_bytes(5 * BLOCK))

    rig.copy(CopyRequest("a", "b"))

    ranges = [given for operation, given in rig.signed if operation == "get_object"]
    assert sorted(ranges) == sorted(f"bytes={n * BLOCK}-{(n + 1) * BLOCK - 1}" for n in range(5))
    assert len(set(rig.urls)) == len(rig.urls)
    assert sorted(rig.sent) == sorted(["HEAD blob", "GET blocklist", *["PUT block"] * 5, "PUT blocklist"])


def test_a_copy_carries_headers_metadata_and_the_record_of_its_source(rig: CopyRig) -> None:
    """The blob has the object's properties, and a record of its version."""
    body = random_bytes(BLOCK + 1)
    etag = rig.bucket.put(
        "a",
        body,
        ContentType="text/csv; charset=utf-8",
        ContentEncoding="gzip",
        ContentLanguage="de",
        ContentDisposition='attachment; filename="a.csv"',
        CacheControl="max-age=60",
        Metadata={"team-name": "etl", "plain": "1"},
        ChecksumAlgorithm="CRC64NVME",
    )

    rig.copy(CopyRequest("a", "b"))

    found = rig.container.get_blob_client("b").get_blob_properties()
    settings = found.content_settings
    assert settings.content_type == "text/csv; charset=utf-8"
    assert settings.content_encoding == "gzip"
    assert settings.content_language == "de"
    assert settings.content_disposition == 'attachment; filename="a.csv"'
    assert settings.cache_control == "max-age=60"
    assert (found.metadata["team_name"], found.metadata["plain"]) == ("etl", "1")
    assert (found.metadata["s3_source_etag"], found.metadata["s3_source_size"]) == (etag, str(len(body)))
    crc64nvme = s3_text("CRC64NVME", compute("CRC64NVME", memoryview(body)))
    assert found.metadata["s3_source_checksum"] == f"CRC64NVME:{crc64nvme}"
    assert found.metadata["s3_source_crc64nvme"] == crc64nvme


def test_nothing_is_visible_before_the_commit(rig: CopyRig) -> None:
    """A copy that fails at its last block leaves what was there, and its staged blocks for the next try."""
    rig.bucket.put("a", random_bytes(4 * BLOCK))
    rig.container.upload_blob("b", b"old")

    def fail_last(number: int) -> None:
        if number == 3:
            rig.cancellation.set("test")

    rig.before_get = fail_last
    with pytest.raises(Cancelled):
        rig.copy(CopyRequest("a", "b"), threads=1)

    assert rig.read("b") == b"old"
    # The third may have been in flight when the connections were aborted.
    assert len(rig.staged("b")) in (2, 3)


def test_tags_and_tier_are_copied_on_request(rig: CopyRig) -> None:
    """S3 tags become blob index tags; the blob is put into the requested tier."""
    for key, size in (("small", 10), ("large", 2 * BLOCK)):
        rig.bucket.put(key, random_bytes(size), Tagging="team=etl&cost-centre=4711")

    rig.copy(
        *(CopyRequest(key, key) for key in ("small", "large")),
        options=replace(OPTIONS, copy_tags=True, access_tier="Cool"),
    )

    for key in ("small", "large"):
        blob = rig.container.get_blob_client(key)
        assert blob.get_blob_tags() == {"team": "etl", "cost-centre": "4711"}
        assert blob.get_blob_properties().blob_tier == "Cool"


def test_an_archived_object_is_named_before_it_is_read(rig: CopyRig) -> None:
    """Its storage class says that a GET would be refused."""
    rig.bucket.put("a", random_bytes(10), StorageClass="GLACIER")

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, SourceArchived)
    assert "restore it" in str(result.error)


@pytest.mark.parametrize("is_planned", [True, False])
def test_an_archived_object_is_skipped_on_request(rig: CopyRig, *, is_planned: bool) -> None:
    """Whether the refused GET shows it, as for the archive tiers of Intelligent-Tiering, or the HEAD."""
    rig.bucket.put("a", random_bytes(10), StorageClass="DEEP_ARCHIVE")
    etag = rig.bucket.client.head_object(Bucket=rig.bucket.name, Key="a")["ETag"].strip('"')
    planned: dict[str, Any] = {"size": 10, "etag": etag, "precondition": ABSENT} if is_planned else {}

    (result,) = rig.copy(CopyRequest("a", "b", **planned), options=replace(OPTIONS, archived="skip"))

    assert (result.status, result.archived, result.error) == ("skipped", True, None)
    assert result.reason == "archived: it must be restored before it can be read"
    assert list(rig.container.list_blobs()) == []


def test_an_object_with_a_customers_key_is_refused_clearly(rig: CopyRig) -> None:
    """SSE-C needs the key in every request; it does not belong in a DAG."""
    rig.bucket.put("a", random_bytes(10), SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, SourceAccessDenied)
    assert "SSE-C" in str(result.error)


def test_an_expired_signature_is_signed_again_once(rig: CopyRig) -> None:
    """S3 really checks expiry; the second request has a fresh URL."""
    rig.bucket.put("a", random_bytes(10))
    fresh = rig.presign
    old = rig.bucket.client.generate_presigned_url(
        "get_object",
        {
            "Bucket": rig.bucket.name,
            "Key": "a",
            "IfMatch": f'"{rig.source.head("a").etag}"',
            "ChecksumMode": "ENABLED",
        },
        ExpiresIn=1,
    )
    wait_until_expired(old, {"If-Match": f'"{rig.source.head("a").etag}"', "x-amz-checksum-mode": "ENABLED"})
    stale = [old]
    source = S3Source(
        rig.bucket.name,
        lambda operation, params: stale.pop() if stale and operation == "get_object" else fresh(operation, params),
        requests.Session(),
        Cancellation(),
    )
    rig.source = source

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert (result.error, result.retries, stale) == (None, 1, [])


def test_the_retries_of_one_object_have_a_budget(rig: CopyRig) -> None:
    """However many requests an object takes, it is given up when all of them together were retried too often."""
    rig.bucket.put("a", random_bytes(9 * BLOCK))

    def fail(*_: object) -> None:
        raise SourceReadError("it is broken", transient=True)

    rig.source.read = fail  # type: ignore[assignment]
    options = replace(OPTIONS, retry=RetryPolicy(attempts=100, first_wait=0, max_wait=0), retry_budget=7)

    (result,) = rig.copy(CopyRequest("a", "b"), options=options, threads=1)

    assert isinstance(result.error, SourceReadError)
    assert "retry budget exhausted (7); the last error: it is broken" in str(result.error)
    assert result.retries == 8


def test_a_version_can_be_copied(rig: CopyRig) -> None:
    """An old version of a versioned bucket's object, whole and in ranges."""
    rig.bucket.client.put_bucket_versioning(Bucket=rig.bucket.name, VersioningConfiguration={"Status": "Enabled"})
    old = {}
    for key, size in (("small", 10), ("large", 2 * BLOCK)):
        old[key] = rig.bucket.client.put_object(Bucket=rig.bucket.name, Key=key, Body=random_bytes(size))["VersionId"]
        rig.bucket.put(key, b"new")

    results = rig.copy(*(CopyRequest(key, key, version_id=version) for key, version in old.items()))

    assert {result.key: result.version_id for result in results} == old
    assert (rig.read("small"), rig.read("large")) == (random_bytes(10), random_bytes(2 * BLOCK))


@pytest.mark.parametrize(("bucket_there", "message"), [(True, "there is no such object"), (False, "no bucket")])
def test_a_missing_key_and_a_missing_bucket_are_two_errors(rig: CopyRig, bucket_there: bool, message: str) -> None:
    """HEAD returns 404 for both; one more request distinguishes them."""
    if not bucket_there:
        rig.bucket.client.delete_bucket(Bucket=rig.bucket.name)

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, SourceNotFound)
    assert message in str(result.error)


def test_s3_refuses_a_url_that_was_not_signed_for_this_range(rig: CopyRig) -> None:
    """The signature covers the range and the ETag, so a URL that leaks is good for one range of one version."""
    rig.bucket.put("a", random_bytes(2 * BLOCK))
    source = rig.source.head("a")
    sign = rig.bucket.client.generate_presigned_url
    other = {"Bucket": rig.bucket.name, "Key": "a", "Range": "bytes=0-1", "IfMatch": f'"{source.etag}"'}
    stolen = S3Source(
        rig.bucket.name,
        lambda operation, params: str(sign(operation, other)),
        requests.Session(),
        Cancellation(),
    )

    with pytest.raises(SourceAccessDenied, match="S3 returned 403"):
        stolen.read_whole("a", source.etag, None, memoryview(bytearray(10)), lambda count: None)
