"""How a copy is verified, between the S3 server and Azurite: composite checksums, MD5, damaged bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_s3_azure.engine.checksums import compute
from airflow_s3_azure.engine.errors import DestinationWriteError, IntegrityError
from airflow_s3_azure.engine.model import CopyRequest
from tests.engine.copy_rig import BLOCK, OPTIONS, CopyRig, random_bytes

pytestmark = pytest.mark.servers

MIN_PART = 5 * 1024 * 1024


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C"])
@pytest.mark.parametrize("block_size", [MIN_PART // 3, MIN_PART, 64 * MIN_PART])
def test_a_composite_checksum_verifies(rig: CopyRig, algorithm: str, block_size: int) -> None:
    """What boto3 stores for a multipart upload is compared with blocks that end where the parts do, or with the whole."""
    body = random_bytes(2 * MIN_PART + 12345)
    rig.bucket.put_multipart("a", body, MIN_PART, ChecksumAlgorithm=algorithm)

    (result,) = rig.copy(CopyRequest("a", "b"), options=replace(OPTIONS, block_size=block_size, verify="require"))

    assert result.error is None
    assert result.verified == f"composite-{algorithm.lower()}"
    assert rig.read("b") == body
    assert result.blocks == {MIN_PART // 3: 9, MIN_PART: 3, 64 * MIN_PART: 0}[block_size]


def test_a_composite_checksum_that_differs_commits_nothing(rig: CopyRig) -> None:
    """The comparison is with S3's value, not with our own."""
    rig.bucket.put_multipart("a", random_bytes(2 * MIN_PART + 1), MIN_PART)
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
    parts = [random_bytes(MIN_PART), random_bytes(MIN_PART + 70_000), random_bytes(3)]
    _upload_parts(rig, parts)

    (result,) = rig.copy(CopyRequest("a", "b"), options=replace(OPTIONS, block_size=MIN_PART))

    assert (result.error, result.verified) == (None, "blocks")
    assert rig.read("b") == b"".join(parts)


def test_an_old_object_is_verified_by_its_md5(rig: CopyRig) -> None:
    """Objects from before S3 stored checksums have their MD5 as the ETag, which verifies one block."""
    etag = rig.bucket.put("a", random_bytes(BLOCK))
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
    into[:] = random_bytes(len(into))
    return found


def test_azure_rejects_a_block_that_was_damaged_in_transit(rig: CopyRig) -> None:
    """The CRC-64 goes with the block."""
    data = memoryview(random_bytes(1000))

    with pytest.raises(DestinationWriteError, match="Crc64Mismatch") as caught:
        rig.blobs.stage("b", "one", data, compute("CRC64NVME", data) ^ 1)

    assert caught.value.transient


def test_what_s3_stored_must_be_what_was_read(rig: CopyRig) -> None:
    """A stored checksum that the bytes contradict commits nothing and says both values."""
    rig.bucket.put("a", random_bytes(3 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    source = rig.source.head("a")
    assert source.checksum is not None
    wrong = replace(source, checksum=replace(source.checksum, value=source.checksum.value ^ 1))
    rig.source.head = lambda key, version_id=None: wrong  # type: ignore[method-assign]

    (result,) = rig.copy(CopyRequest("a", "b"))

    assert isinstance(result.error, IntegrityError)
    assert str(source.checksum) in str(result.error)
    assert str(wrong.checksum) in str(result.error)
    assert not rig.container.get_blob_client("b").exists()


def test_verify_require_refuses_an_object_without_a_checksum(rig: CopyRig) -> None:
    """Before a byte is read."""
    _upload_parts(rig, [random_bytes(MIN_PART), random_bytes(2 * MIN_PART), b"end"])

    (result,) = rig.copy(CopyRequest("a", "b"), options=replace(OPTIONS, verify="require"))
    (allowed,) = CopyRig(rig.bucket, rig.container).copy(CopyRequest("a", "b"))

    assert isinstance(result.error, IntegrityError)
    assert "verify='require'" in str(result.error)
    assert {operation for operation, _ in rig.signed} == {"head_object"}
    assert not result.error.retryable
    assert allowed.verified == "blocks"
