"""What a copy is verified against, and what follows a mismatch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_s3_azure.engine.checksums import Algorithm, Verified
from airflow_s3_azure.engine.errors import IntegrityError
from tests.fakes.memory import (
    BLOCK,
    DATA,
    OPTIONS,
    SIZE,
    FakeAzure,
    FakeS3,
    break_off_at,
    checksum_of,
    content_of,
    copy_one,
    etag_of,
    stored,
)


@pytest.mark.parametrize("size", [0, BLOCK, SIZE], ids=["empty", "one block", "blocks"])
@pytest.mark.parametrize(
    ("algorithm", "verified"),
    [("CRC64NVME", "crc64nvme"), ("CRC32", "crc32"), ("CRC32C", "crc32c"), (None, "blocks")],
)
def test_a_result_names_what_verified_it(size: int, algorithm: Algorithm | None, verified: Verified) -> None:
    """It is the checksum that S3 stored, or else only that of each block."""
    data = content_of(size)
    found = stored(data, checksum=algorithm and checksum_of(data, algorithm))

    assert copy_one(FakeS3({"key": found}), FakeAzure()).verified == verified


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C"])
@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["whole", "blocks"])
def test_a_mismatch_commits_nothing(algorithm: Algorithm, size: int) -> None:
    """Bytes that are not those S3 once received never become a blob; a small object was already read twice."""
    data = content_of(size)
    source = FakeS3({"key": stored(data, checksum=checksum_of(b"other", algorithm))})
    container = FakeAzure()

    result = copy_one(source, container)

    assert isinstance(result.error, IntegrityError)
    assert result.error.retryable == (size == SIZE)
    assert container.blobs == {}
    assert [how for how, _ in container.writes if how != "stage"] == []


def test_a_mismatch_leaves_an_existing_blob_as_it_is() -> None:
    """What was there before is still there."""
    container = FakeAzure()
    existing = container.add("key", b"before")

    copy_one(FakeS3({"key": stored(DATA, checksum=checksum_of(b"other"))}), container)

    assert container.blobs == {"key": existing}


def test_the_try_after_a_mismatch_starts_from_scratch() -> None:
    """Blocks that were found to be wrong are not resumed: all are read again, and a good read is committed."""
    container = FakeAzure()
    damaged = stored(DATA[:-1] + b"!", etag=etag_of(DATA), checksum=checksum_of(DATA))
    copy_one(FakeS3({"key": damaged}), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert source.reads == [("key", index) for index in range(6)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 0, DATA)


def test_the_try_after_a_mismatch_can_be_resumed_itself() -> None:
    """The second generation's blocks are as good a checkpoint as the first one's."""
    container = FakeAzure()
    damaged = stored(DATA[:-1] + b"!", etag=etag_of(DATA), checksum=checksum_of(DATA))
    copy_one(FakeS3({"key": damaged}), container)
    copy_one(FakeS3({"key": stored(DATA)}, break_off_at(4)), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert source.reads == [("key", 4), ("key", 5)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 4, DATA)


def test_a_second_mismatch_is_final() -> None:
    """Twice the same contradiction is S3's own, and no further try helps."""
    container = FakeAzure()
    source = FakeS3({"key": stored(DATA, checksum=checksum_of(b"other"))})
    copy_one(source, container)

    result = copy_one(source, container)

    assert isinstance(result.error, IntegrityError)
    assert not result.error.retryable
    assert source.reads == [("key", index) for index in range(6)] * 2


@pytest.mark.parametrize("size", [0, BLOCK, SIZE], ids=["empty", "one block", "blocks"])
def test_required_verification_refuses_an_object_without_a_checksum(size: int) -> None:
    """Nothing is read or written that could not be verified."""
    source, container = FakeS3({"key": stored(content_of(size), checksum=None)}), FakeAzure()

    result = copy_one(source, container, options=replace(OPTIONS, verify="require"))

    assert isinstance(result.error, IntegrityError)
    assert (source.reads, container.writes) == ([], [])


def test_required_verification_is_not_tried_again_without_a_checksum() -> None:
    """No later try can find what S3 does not store."""
    source = FakeS3({"key": stored(DATA, checksum=None)})

    result = copy_one(source, FakeAzure(), options=replace(OPTIONS, verify="require"))

    assert result.error is not None
    assert not result.error.retryable
