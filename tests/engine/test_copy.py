"""One object through the engine, against the S3 server and Azurite: bytes, requests, resume, conditions."""

from __future__ import annotations

import random
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_s3_azure.engine.azure.service_errors import BlockListRejected
from airflow_s3_azure.engine.blocks import BlockId
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import compute, s3_text
from airflow_s3_azure.engine.errors import (
    Cancelled,
    DestinationConflict,
    DestinationWriteError,
    IntegrityError,
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
)
from airflow_s3_azure.engine.model import BlobContent, CopyRequest, CopyResult, Precondition
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source
from tests.rig import Rig, wait_until_expired

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = pytest.mark.servers

BLOCK = 64 * 1024
OPTIONS = CopyOptions(block_size=BLOCK, retry=RetryPolicy(attempts=2, first_wait=0.01, max_wait=0.01))
ABSENT = Precondition(None)


class CopyRig(Rig):
    """Copies with the options of these tests."""

    def copy(self, *wanted: CopyRequest, options: CopyOptions = OPTIONS, threads: int = 3) -> list[CopyResult]:
        """Copy objects and return their results."""
        return super().copy(*wanted, options=options, threads=threads)


@pytest.fixture
def rig(bucket: Bucket, container: ContainerClient) -> CopyRig:
    """A rig between an empty bucket and an empty container."""
    return CopyRig(bucket, container)


def _bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize(
    "size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1, 7 * BLOCK + 13]
)
@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C"])
def test_every_size_arrives_byte_for_byte_and_verified(rig: CopyRig, size: int, algorithm: str) -> None:
    """Around each boundary of a block, whichever checksum S3 stored."""
    body = _bytes(size)
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
        rig.bucket.put(other, _bytes(size + number))

    (result,) = rig.copy(CopyRequest(key, "b"))

    assert result.error is None
    assert rig.read("b") == _bytes(size + ODD_KEYS.index(key))


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
    rig.bucket.put("a", _bytes(5 * BLOCK))

    rig.copy(CopyRequest("a", "b"))

    ranges = [given for operation, given in rig.signed if operation == "get_object"]
    assert sorted(ranges) == sorted(f"bytes={n * BLOCK}-{(n + 1) * BLOCK - 1}" for n in range(5))
    assert len(set(rig.urls)) == len(rig.urls)
    assert sorted(rig.sent) == sorted(["HEAD blob", "GET blocklist", *["PUT block"] * 5, "PUT blocklist"])


def test_a_copy_carries_headers_metadata_and_the_record_of_its_source(rig: CopyRig) -> None:
    """The blob has the object's properties, and a record of its version."""
    body = _bytes(BLOCK + 1)
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
    rig.bucket.put("a", _bytes(4 * BLOCK))
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


def test_a_second_try_reads_only_what_is_not_staged(rig: CopyRig) -> None:
    """The staged blocks are the checkpoint, in whatever order they were staged."""
    body = _bytes(6 * BLOCK + 1)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC32C")

    def stop(number: int) -> None:
        if number == 4:
            rig.cancellation.set("killed")

    rig.before_get = stop
    with pytest.raises(Cancelled):
        rig.copy(CopyRequest("a", "b"), threads=2)
    staged = sum(block.size for block in rig.staged("b"))
    again = CopyRig(rig.bucket, rig.container)

    (result,) = again.copy(CopyRequest("a", "b"))

    assert again.read("b") == body
    assert result.verified == "crc32c"
    # A block that was in flight when the connections were aborted may have arrived after the count.
    assert result.resumed_blocks >= staged // BLOCK > 0
    assert result.bytes_read == len(body) - result.resumed_blocks * BLOCK


def test_blocks_of_another_version_are_not_used(rig: CopyRig) -> None:
    """A source that changed between two tries is copied from scratch, whole."""
    rig.bucket.put("a", _bytes(4 * BLOCK))
    rig.before_get = lambda number: rig.cancellation.set("killed") if number == 2 else None
    with pytest.raises(Cancelled):
        rig.copy(CopyRequest("a", "b"), threads=1)
    body = bytes(reversed(_bytes(4 * BLOCK)))
    rig.bucket.put("a", body)
    again = CopyRig(rig.bucket, rig.container)

    (result,) = again.copy(CopyRequest("a", "b"))

    assert again.read("b") == body
    assert (result.resumed_blocks, result.bytes_read) == (0, len(body))


def test_a_source_that_changes_under_the_copy_is_named(rig: CopyRig) -> None:
    """Bytes of two versions never mix: the range of the new one is refused, nothing is committed."""
    rig.bucket.put("a", _bytes(4 * BLOCK))
    rig.before_get = lambda number: _ignore(rig.bucket.put("a", b"new")) if number == 2 else None

    (result,) = rig.copy(CopyRequest("a", "b"), threads=1)

    assert isinstance(result.error, SourceChanged)
    assert result.error.retryable
    assert not rig.container.get_blob_client("b").exists()


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_an_object_that_is_not_the_planned_one_is_not_copied(rig: CopyRig, size: int) -> None:
    """A plan is for one ETag; a later version is for the next plan."""
    etag = rig.bucket.put("a", _bytes(size))
    rig.bucket.put("a", bytes(size))

    (result,) = rig.copy(CopyRequest("a", "b", size=size, etag=etag, precondition=ABSENT))

    assert isinstance(result.error, SourceChanged)
    assert not rig.container.get_blob_client("b").exists()


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_a_blob_that_someone_else_wrote_since_the_plan_is_not_overwritten(rig: CopyRig, size: int) -> None:
    """The commit is conditional on what the plan saw."""
    etag = rig.bucket.put("a", _bytes(size))
    rig.container.upload_blob("b", b"theirs")

    (result,) = rig.copy(CopyRequest("a", "b", size=size, etag=etag, precondition=ABSENT))

    assert isinstance(result.error, DestinationConflict)
    assert rig.read("b") == b"theirs"


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_a_concurrent_writer_that_finished_first_makes_it_unchanged(rig: CopyRig, size: int) -> None:
    """Two tasks with one plan end in the same blob, and neither is an error."""
    etag = rig.bucket.put("a", _bytes(size))
    request = CopyRequest("a", "b", size=size, etag=etag, precondition=ABSENT)

    statuses = [rig.copy(request)[0].status, CopyRig(rig.bucket, rig.container).copy(request)[0].status]

    assert statuses == ["copied", "unchanged"]
    assert rig.read("b") == _bytes(size)


@pytest.mark.parametrize("is_committed", [True, False])
def test_blocks_that_a_concurrent_writer_committed_are_found(rig: CopyRig, *, is_committed: bool) -> None:
    """InvalidBlockList: the blob is checked, and only if it is no copy the next try copies what is not staged."""
    etag = rig.bucket.put("a", _bytes(3 * BLOCK))
    request = CopyRequest("a", "b", size=3 * BLOCK, etag=etag, precondition=ABSENT)

    def reject(*_: object) -> str:
        if is_committed:
            CopyRig(rig.bucket, rig.container).copy(request)
        raise BlockListRejected("Azure returned 400 InvalidBlockList")

    commit, rig.blobs.commit = rig.blobs.commit, reject  # type: ignore[method-assign, assignment]
    (result,) = rig.copy(request)
    rig.blobs.commit = commit  # type: ignore[method-assign]

    if is_committed:
        assert (result.status, result.error) == ("unchanged", None)
    else:
        assert (result.status, result.error and result.error.retryable) == ("failed", True)
        (again,) = rig.copy(request)
        assert (again.status, again.resumed_blocks, again.bytes_read) == ("copied", 3, 0)
    assert rig.read("b") == _bytes(3 * BLOCK)


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_a_leased_blob_is_a_clear_error(rig: CopyRig, size: int) -> None:
    """Someone holds it on purpose."""
    rig.bucket.put("a", _bytes(size))
    rig.container.upload_blob("b", b"theirs")
    lease = rig.container.get_blob_client("b").acquire_lease()

    (result,) = rig.copy(CopyRequest("a", "b"))

    lease.release()
    assert isinstance(result.error, DestinationConflict)
    assert "the blob is leased" in str(result.error)
    assert rig.read("b") == b"theirs"


def test_foreign_blocks_are_named(rig: CopyRig) -> None:
    """Azure wants IDs of one length within a blob; the error says so, and what to do, before a byte is read."""
    rig.bucket.put("a", _bytes(3 * BLOCK))
    rig.container.get_blob_client("b").stage_block("short", b"theirs")

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, DestinationConflict)
    assert "this blob has 1 staged block of another tool" in str(result.error)
    assert "discard_foreign_blocks=True" in str(result.error)
    assert result.bytes_read == 0


def test_foreign_blocks_are_discarded_on_request(rig: CopyRig) -> None:
    """With the option the copy goes on; a blob that exists is still never touched for it."""
    body = _bytes(3 * BLOCK)
    rig.bucket.put("a", body)
    rig.container.get_blob_client("new").stage_block("short", b"theirs")
    rig.container.upload_blob("old", b"old")
    rig.container.get_blob_client("old").stage_block("short", b"theirs")

    options = replace(OPTIONS, discard_foreign_blocks=True)
    results = rig.copy(CopyRequest("a", "new"), CopyRequest("a", "old"), options=options, threads=1)

    new, old = sorted(results, key=lambda result: result.blob)
    assert (new.status, rig.read("new")) == ("copied", body)
    assert isinstance(old.error, DestinationConflict)
    assert rig.read("old") == b"old"


MIN_PART = 5 * 1024 * 1024


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C"])
@pytest.mark.parametrize("block_size", [MIN_PART // 3, MIN_PART, 64 * MIN_PART])
def test_a_composite_checksum_verifies(rig: CopyRig, algorithm: str, block_size: int) -> None:
    """What boto3 stores for a multipart upload is compared with blocks that end where the parts do, or with the whole."""
    body = _bytes(2 * MIN_PART + 12345)
    rig.bucket.put_multipart("a", body, MIN_PART, ChecksumAlgorithm=algorithm)

    (result,) = rig.copy(CopyRequest("a", "b"), options=replace(OPTIONS, block_size=block_size, verify="require"))

    assert result.error is None
    assert result.verified == f"composite-{algorithm.lower()}"
    assert rig.read("b") == body
    assert result.blocks == {MIN_PART // 3: 9, MIN_PART: 3, 64 * MIN_PART: 0}[block_size]


def test_a_composite_checksum_that_differs_commits_nothing(rig: CopyRig) -> None:
    """The comparison is with S3's value, not with our own."""
    rig.bucket.put_multipart("a", _bytes(2 * MIN_PART + 1), MIN_PART)
    source = rig.source.head("a")
    assert source.checksum is not None
    wrong = replace(source, checksum=replace(source.checksum, value=source.checksum.value ^ 1))
    rig.source.head = lambda key, version_id=None: wrong  # type: ignore[method-assign]

    (result,) = rig.copy(CopyRequest("a", "b"), options=replace(OPTIONS, block_size=MIN_PART))

    assert isinstance(result.error, IntegrityError)
    assert f"S3 stored {wrong.checksum}" in str(result.error)
    assert not rig.container.get_blob_client("b").exists()


def _upload_parts(rig: CopyRig, parts: list[bytes]) -> None:
    place: dict[str, Any] = {"Bucket": rig.bucket.name, "Key": "a"}
    place["UploadId"] = rig.bucket.client.create_multipart_upload(**place, ChecksumAlgorithm="CRC32")["UploadId"]
    done = [
        rig.bucket.client.upload_part(**place, PartNumber=number, Body=part, ChecksumAlgorithm="CRC32")
        for number, part in enumerate(parts, 1)
    ]
    names = [
        {"PartNumber": number, "ETag": one["ETag"], "ChecksumCRC32": one["ChecksumCRC32"]}
        for number, one in enumerate(done, 1)
    ]
    rig.bucket.client.complete_multipart_upload(**place, MultipartUpload={"Parts": names})


def test_parts_of_many_sizes_are_verified_by_blocks_alone(rig: CopyRig) -> None:
    """The size of the first part does not give the ends of the others, so the composite value is not used or reported."""
    parts = [_bytes(MIN_PART), _bytes(MIN_PART + 70_000), _bytes(3)]
    _upload_parts(rig, parts)

    (result,) = rig.copy(CopyRequest("a", "b"), options=replace(OPTIONS, block_size=MIN_PART))

    assert (result.error, result.verified) == (None, "blocks")
    assert rig.read("b") == b"".join(parts)


def test_an_old_object_is_verified_by_its_md5(rig: CopyRig) -> None:
    """Objects from before S3 stored checksums have their MD5 as the ETag, which verifies one block."""
    etag = rig.bucket.put("a", _bytes(BLOCK))
    source = replace(rig.source.head("a"), checksum=None)
    assert source.md5 == etag
    wrong = replace(source, md5="0" * 32)
    for blob, found in (("good", source), ("bad", wrong)):
        rig.source.read_whole = lambda *args, found=found: _whole(args[3], found)  # type: ignore[method-assign]
        (result,) = rig.copy(CopyRequest("a", blob))
        assert (result.verified, type(result.error)) == (
            ("md5", type(None)) if blob == "good" else (None, IntegrityError)
        )

    assert rig.container.get_blob_client("good").exists()
    assert not rig.container.get_blob_client("bad").exists()


def _whole(into: memoryview, found: Any) -> Any:
    into[:] = _bytes(len(into))
    return found


def test_tags_and_tier_are_copied_on_request(rig: CopyRig) -> None:
    """S3 tags become blob index tags; the blob is put into the requested tier."""
    for key, size in (("small", 10), ("large", 2 * BLOCK)):
        rig.bucket.put(key, _bytes(size), Tagging="team=etl&cost-centre=4711")

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
    rig.bucket.put("a", _bytes(10), StorageClass="GLACIER")

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, SourceArchived)
    assert "restore it" in str(result.error)


def test_an_object_with_a_customers_key_is_refused_clearly(rig: CopyRig) -> None:
    """SSE-C needs the key in every request; it does not belong in a DAG."""
    rig.bucket.put("a", _bytes(10), SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, SourceAccessDenied)
    assert "SSE-C" in str(result.error)


def test_an_expired_signature_is_signed_again_once(rig: CopyRig) -> None:
    """S3 really checks expiry; the second request has a fresh URL."""
    rig.bucket.put("a", _bytes(10))
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


def test_azure_rejects_a_block_that_was_damaged_in_transit(rig: CopyRig) -> None:
    """The CRC-64 goes with the block."""
    data = memoryview(_bytes(1000))

    with pytest.raises(DestinationWriteError, match="Crc64Mismatch") as caught:
        rig.blobs.stage("b", "one", data, compute("CRC64NVME", data) ^ 1)

    assert caught.value.transient


def test_a_put_replaces_atomically_and_only_on_its_condition(rig: CopyRig) -> None:
    """Put Blob takes the same conditions as the commit."""
    data = memoryview(b"new")
    crc64 = compute("CRC64NVME", data)
    content = BlobContent({}, {})
    first = rig.blobs.put("b", data, crc64, content, ABSENT)

    rig.blobs.put("b", data, crc64, content, Precondition(first))
    for stale in (ABSENT, Precondition(first)):
        with pytest.raises(DestinationConflict, match="the blob changed after planning"):
            rig.blobs.put("b", data, crc64, content, stale)


def test_what_s3_stored_must_be_what_was_read(rig: CopyRig) -> None:
    """A stored checksum that the bytes contradict commits nothing and says both values."""
    rig.bucket.put("a", _bytes(3 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    source = rig.source.head("a")
    assert source.checksum is not None
    wrong = replace(source, checksum=replace(source.checksum, value=source.checksum.value ^ 1))
    rig.source.head = lambda key, version_id=None: wrong  # type: ignore[method-assign]

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, IntegrityError)
    assert str(source.checksum) in str(result.error)
    assert str(wrong.checksum) in str(result.error)
    assert not rig.container.get_blob_client("b").exists()


def test_a_wrong_staged_block_is_not_resumed_again(rig: CopyRig) -> None:
    """After a mismatch the next try reads all blocks again, and succeeds."""
    body = _bytes(4 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")
    rig.before_get = lambda number: rig.cancellation.set("killed") if number == 2 else None
    with pytest.raises(Cancelled):
        rig.copy(CopyRequest("a", "b"), threads=1)
    # Someone staged other bytes under a name that claims to be ours.
    genuine = BlockId.decode(rig.staged("b")[0].id.encode())
    assert genuine is not None
    forged = replace(genuine, index=3, crc64=secrets.randbits(64)).encode()
    rig.container.get_blob_client("b").stage_block(forged, bytes(BLOCK))
    second, third = CopyRig(rig.bucket, rig.container), CopyRig(rig.bucket, rig.container)

    (mismatch,) = second.copy(CopyRequest("a", "b"))
    (result,) = third.copy(CopyRequest("a", "b"))

    assert isinstance(mismatch.error, IntegrityError)
    assert mismatch.error.retryable
    assert (result.status, result.resumed_blocks, result.bytes_read) == ("copied", 0, len(body))
    assert rig.read("b") == body


def _stage_some(rig: CopyRig, blocks: int) -> None:
    """Copy until this many blocks are staged."""
    read = rig.source.read

    def read_some(source: Any, block: Any, *arguments: Any) -> Any:
        if block.index >= blocks:
            raise SourceReadError("it is broken")
        return read(source, block, *arguments)

    rig.source.read = read_some  # type: ignore[method-assign, assignment]
    (result,) = rig.copy(CopyRequest("a", "b"), threads=1)
    assert result.status == "failed"
    assert len(rig.staged("b")) == blocks


@pytest.mark.parametrize("verify", ["auto", "read_back"])
def test_resumed_blocks_that_someone_staged_again_are_found_by_reading_them_back(rig: CopyRig, verify: Any) -> None:
    """Who may stage blocks may put other bytes under an ID that we resume; ``auto`` trusts the ID."""
    body = _bytes(4 * BLOCK)
    rig.bucket.put("a", body)
    _stage_some(rig, 2)
    forged = next(block for block in rig.staged("b") if b".00001." in block.id.encode())
    rig.container.get_blob_client("b").stage_block(forged.id, bytes(BLOCK))
    options = replace(OPTIONS, verify=verify)

    (result,) = CopyRig(rig.bucket, rig.container).copy(CopyRequest("a", "b"), options=options)

    if verify == "auto":
        assert (result.status, rig.read("b") == body) == ("copied", False)
        return
    assert isinstance(result.error, IntegrityError)
    assert result.error.retryable
    assert "block 1 (bytes 65,536 to 131,072), which an earlier try staged, holds other bytes" in str(result.error)
    assert not rig.container.get_blob_client("b").exists()

    (again,) = CopyRig(rig.bucket, rig.container).copy(CopyRequest("a", "b"), options=options)

    assert (again.status, again.resumed_blocks, rig.read("b")) == ("copied", 0, body)


def test_only_resumed_blocks_are_read_back(rig: CopyRig) -> None:
    """What this execution staged was checked by Azure on arrival."""
    rig.bucket.put("a", _bytes(4 * BLOCK))
    _stage_some(rig, 2)
    second = CopyRig(rig.bucket, rig.container)

    (result,) = second.copy(CopyRequest("a", "b"), options=replace(OPTIONS, verify="read_back"))

    assert (result.status, result.resumed_blocks) == ("copied", 2)
    assert second.sent.count("GET blob") == 2


def test_verify_require_refuses_what_s3_holds_no_checksum_for(rig: CopyRig) -> None:
    """Before a byte is read."""
    _upload_parts(rig, [_bytes(MIN_PART), _bytes(2 * MIN_PART), b"end"])

    (result,) = rig.copy(CopyRequest("a", "b"), options=replace(OPTIONS, verify="require"))
    (allowed,) = CopyRig(rig.bucket, rig.container).copy(CopyRequest("a", "b"))

    assert isinstance(result.error, IntegrityError)
    assert "verify='require'" in str(result.error)
    assert {operation for operation, _ in rig.signed} == {"head_object"}
    assert not result.error.retryable
    assert allowed.verified == "blocks"


def test_the_retries_of_one_object_have_a_budget(rig: CopyRig) -> None:
    """However many requests an object takes, it is given up when all of them together were retried too often."""
    rig.bucket.put("a", _bytes(9 * BLOCK))

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
        old[key] = rig.bucket.client.put_object(Bucket=rig.bucket.name, Key=key, Body=_bytes(size))["VersionId"]
        rig.bucket.put(key, b"new")

    results = rig.copy(*(CopyRequest(key, key, version_id=version) for key, version in old.items()))

    assert {result.key: result.version_id for result in results} == old
    assert (rig.read("small"), rig.read("large")) == (_bytes(10), _bytes(2 * BLOCK))


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
    rig.bucket.put("a", _bytes(2 * BLOCK))
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


def _ignore(value: object) -> None:
    del value
