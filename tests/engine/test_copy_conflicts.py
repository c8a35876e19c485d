"""A copy beside other writers, between the S3 server and Azurite: changed sources, conditions, leases, foreign blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from azure.storage.blob import StandardBlobTier

from airflow_s3_azure.engine.azure.service_errors import BlockListRejected
from airflow_s3_azure.engine.checksums import compute
from airflow_s3_azure.engine.errors import DestinationConflict, SourceChanged
from airflow_s3_azure.engine.model import BlobContent, CopyRequest, Precondition
from tests.engine.copy_rig import ABSENT, BLOCK, OPTIONS, CopyRig, random_bytes

pytestmark = pytest.mark.servers


def test_a_source_that_changes_under_the_copy_is_named(rig: CopyRig) -> None:
    """Bytes of two versions never mix: the range of the new one is refused, nothing is committed."""
    rig.bucket.put("a", random_bytes(4 * BLOCK))
    rig.before_get = lambda number: _ignore(rig.bucket.put("a", b"new")) if number == 2 else None

    (result,) = rig.copy(CopyRequest("a", "b"), threads=1)

    assert isinstance(result.error, SourceChanged)
    assert result.error.retryable
    assert not rig.container.get_blob_client("b").exists()


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_an_object_that_is_not_the_planned_one_is_not_copied(rig: CopyRig, size: int) -> None:
    """A plan is for one ETag; a later version is for the next plan."""
    etag = rig.bucket.put("a", random_bytes(size))
    rig.bucket.put("a", bytes(size))

    (result,) = rig.copy(CopyRequest("a", "b", size=size, etag=etag, precondition=ABSENT))

    assert isinstance(result.error, SourceChanged)
    assert not rig.container.get_blob_client("b").exists()


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_a_blob_that_someone_else_wrote_since_the_plan_is_not_overwritten(rig: CopyRig, size: int) -> None:
    """The commit is conditional on what the plan saw."""
    etag = rig.bucket.put("a", random_bytes(size))
    rig.container.upload_blob("b", b"theirs")

    (result,) = rig.copy(CopyRequest("a", "b", size=size, etag=etag, precondition=ABSENT))

    assert isinstance(result.error, DestinationConflict)
    assert rig.read("b") == b"theirs"


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_a_concurrent_writer_that_finished_first_makes_it_unchanged(rig: CopyRig, size: int) -> None:
    """Two tasks with one plan end in the same blob, and neither is an error."""
    etag = rig.bucket.put("a", random_bytes(size))
    request = CopyRequest("a", "b", size=size, etag=etag, precondition=ABSENT)

    statuses = [rig.copy(request)[0].status, CopyRig(rig.bucket, rig.container).copy(request)[0].status]

    assert statuses == ["copied", "unchanged"]
    assert rig.read("b") == random_bytes(size)


@pytest.mark.parametrize("is_committed", [True, False])
def test_blocks_that_a_concurrent_writer_committed_are_found(rig: CopyRig, *, is_committed: bool) -> None:
    """InvalidBlockList: the blob is checked, and only if it is no copy the next try copies what is not staged."""
    etag = rig.bucket.put("a", random_bytes(3 * BLOCK))
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
    assert rig.read("b") == random_bytes(3 * BLOCK)


def test_a_blob_that_is_to_be_replaced_is_no_copy_when_its_blocks_are_gone(rig: CopyRig) -> None:
    """`compare="always"` replaces a blob whose content is wrong, and whose record says that it is right."""
    etag = rig.bucket.put("a", random_bytes(3 * BLOCK))
    rig.copy(CopyRequest("a", "b"))
    planned = Precondition(rig.container.get_blob_client("b").get_blob_properties().etag)

    def reject(*_: object) -> str:
        raise BlockListRejected("Azure returned 400 InvalidBlockList")

    rig.blobs.commit = reject  # type: ignore[method-assign, assignment]
    (result,) = rig.copy(CopyRequest("a", "b", size=3 * BLOCK, etag=etag, precondition=planned))

    assert (result.status, result.error and result.error.retryable) == ("failed", True)


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_a_leased_blob_is_a_clear_error(rig: CopyRig, size: int) -> None:
    """Someone holds it on purpose."""
    rig.bucket.put("a", random_bytes(size))
    rig.container.upload_blob("b", b"theirs")
    lease = rig.container.get_blob_client("b").acquire_lease()

    (result,) = rig.copy(CopyRequest("a", "b"))

    lease.release()
    assert isinstance(result.error, DestinationConflict)
    assert "the blob is leased" in str(result.error)
    assert rig.read("b") == b"theirs"


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
@pytest.mark.parametrize("is_allowed", [True, False])
def test_an_archived_blob_is_replaced_on_request_alone(rig: CopyRig, size: int, *, is_allowed: bool) -> None:
    """Azure refuses to overwrite it, so it is deleted first."""
    body = random_bytes(size)
    rig.bucket.put("a", body)
    blob = rig.container.get_blob_client("b")
    blob.upload_blob(b"old")
    blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    etag = blob.get_blob_properties().etag

    options = replace(OPTIONS, overwrite_archived=is_allowed)
    (result,) = rig.copy(CopyRequest("a", "b", replace_archived=True), options=options)

    if is_allowed:
        assert (result.status, result.reason) == ("copied", "the archived blob was deleted first")
        assert rig.read("b") == body
        writes = [one for one in rig.sent if not one.startswith(("HEAD", "GET"))]
        assert writes[0] == "DELETE blob"
        assert writes.count("DELETE blob") == 1
    else:
        assert isinstance(result.error, DestinationConflict)
        assert "the blob is in the archive tier" in str(result.error)
        assert (blob.get_blob_properties().etag, result.bytes_read) == (etag, 0)


def test_a_leased_archived_blob_is_not_deleted(rig: CopyRig) -> None:
    """Someone holds it on purpose."""
    rig.bucket.put("a", b"new")
    blob = rig.container.get_blob_client("b")
    blob.upload_blob(b"old")
    lease = blob.acquire_lease()
    blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE, lease=lease)

    options = replace(OPTIONS, overwrite_archived=True)
    (result,) = rig.copy(CopyRequest("a", "b", replace_archived=True), options=options)

    lease.release()
    assert isinstance(result.error, DestinationConflict)
    assert "could not be deleted, to replace it: Azure returned 412 LeaseIdMissing: the blob is leased" in str(
        result.error
    )
    assert blob.exists()


def test_foreign_blocks_are_named(rig: CopyRig) -> None:
    """Azure wants IDs of one length within a blob; the error says so, and what to do, before a byte is read."""
    rig.bucket.put("a", random_bytes(3 * BLOCK))
    rig.container.get_blob_client("b").stage_block("short", b"theirs")

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, DestinationConflict)
    assert "this blob has 1 staged block of another tool" in str(result.error)
    assert "discard_foreign_blocks=True" in str(result.error)
    assert result.bytes_read == 0


def test_foreign_blocks_are_discarded_on_request(rig: CopyRig) -> None:
    """With the option the copy goes on; a blob that exists is still never touched for it."""
    body = random_bytes(3 * BLOCK)
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


def _ignore(value: object) -> None:
    del value
