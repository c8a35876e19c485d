"""What a later try makes of the staged blocks in Azurite: reused, or read back, or not."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from airflow_s3_azure.engine.blocks import BlockId
from airflow_s3_azure.engine.errors import Cancelled, IntegrityError, SourceReadError
from airflow_s3_azure.engine.model import CopyRequest
from tests.engine.copy_rig import BLOCK, OPTIONS, CopyRig, random_bytes

pytestmark = pytest.mark.servers


def test_a_second_try_reads_only_what_is_not_staged(rig: CopyRig) -> None:
    """The staged blocks are the checkpoint, in any order."""
    body = random_bytes(6 * BLOCK + 1)
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
    rig.bucket.put("a", random_bytes(4 * BLOCK))
    rig.before_get = lambda number: rig.cancellation.set("killed") if number == 2 else None
    with pytest.raises(Cancelled):
        rig.copy(CopyRequest("a", "b"), threads=1)
    body = bytes(reversed(random_bytes(4 * BLOCK)))
    rig.bucket.put("a", body)
    again = CopyRig(rig.bucket, rig.container)

    (result,) = again.copy(CopyRequest("a", "b"))

    assert again.read("b") == body
    assert (result.resumed_blocks, result.bytes_read) == (0, len(body))


def test_a_wrong_staged_block_is_not_resumed_again(rig: CopyRig) -> None:
    """After a mismatch the next try reads all blocks again, and succeeds."""
    body = random_bytes(4 * BLOCK)
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
    body = random_bytes(4 * BLOCK)
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
    rig.bucket.put("a", random_bytes(4 * BLOCK))
    _stage_some(rig, 2)
    second = CopyRig(rig.bucket, rig.container)

    (result,) = second.copy(CopyRequest("a", "b"), options=replace(OPTIONS, verify="read_back"))

    assert (result.status, result.resumed_blocks) == ("copied", 2)
    assert second.sent.count("GET blob") == 2
