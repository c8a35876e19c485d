"""Streaming: one GET and one PUT for each block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.block_mover import Buffer, CopyContext
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import StoredChecksum, checksum_block
from airflow_s3_azure.engine.errors import IntegrityError, SourceReadError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.options import CopyOptions, Verify
from airflow_s3_azure.engine.resume import BlockLayout
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.stream_mover import MAX_PUT_SIZE, StreamMover
from tests.fakes.memory import BLOCK, FakeAzure, FakeS3, checksum_of, content_of, stored

DATA = content_of(3 * BLOCK - 1)
COMPOSITE = StoredChecksum("CRC32", 1, parts=2)
RETRY = RetryPolicy(attempts=3, first_wait=0.0, max_wait=0.0)


def _context() -> CopyContext:
    return CopyContext("b", RETRY, 10, Cancellation())


def _mover(source: Any = None, container: Any = None, **options: Any) -> StreamMover:
    return StreamMover(
        cast("S3Source", source or FakeS3({})),
        cast("BlobContainer", container or FakeAzure()),
        CopyOptions(**{"block_size": BLOCK, **options}),
    )


class _Parts:
    """An S3 of which only the size of an object's parts is requested."""

    def __init__(self, size: int | None) -> None:
        self._size = size

    def part_size(self, source: SourceObject) -> int | None:
        del source
        return self._size


def test_a_block_is_read_and_staged_under_its_own_crc() -> None:
    """The ID records the CRC, bytes are counted, and the end of the block is reported once."""
    source, container, context = FakeS3({"k": stored(DATA)}), FakeAzure(), _context()
    layout = BlockLayout(source.head("k"), BLOCK)
    last = layout.blocks[2]
    endings: list[None] = []

    known = _mover(source, container).copy_block(context, layout, last, Buffer(), lambda: endings.append(None))

    expected = checksum_block(memoryview(DATA)[last.start :], None)
    assert (known.name, known.checksums, known.is_server_side) == (layout.name(last, expected), expected, False)
    assert container.blocks == {"b": {known.name.encode(): DATA[last.start :]}}
    assert (context.bytes_read, context.retries, len(endings)) == (BLOCK - 1, 0, 1)


def test_a_failed_read_is_retried_before_anything_is_staged() -> None:
    """The PUT is sent once, with the bytes of the second GET."""
    failures = [SourceReadError("reset", transient=True)]

    def fail(key: str, start: int) -> None:
        del key, start
        if failures:
            raise failures.pop()

    source, container, context = FakeS3({"k": stored(DATA)}, fail), FakeAzure(), _context()
    layout = BlockLayout(source.head("k"), BLOCK)

    _mover(source, container).copy_block(context, layout, layout.blocks[0], Buffer(), lambda: None)

    assert (len(source.reads), container.writes, context.retries) == (2, [("stage", "b")], 1)


def test_every_key_is_streamed_by_the_same_mover() -> None:
    """It reads even keys that Azure could not."""
    mover = _mover()

    assert mover.for_key("a\\b/.") is mover
    assert (mover.fills_buffers, mover.reason) == (True, None)


@pytest.mark.parametrize(("block_size", "whole"), [(BLOCK, BLOCK), (4000 * MIB, 4000 * MIB)])
def test_an_object_of_one_block_is_copied_whole(block_size: int, whole: int) -> None:
    """Azure takes more in one put than in one block."""
    assert _mover(block_size=block_size).max_whole == whole <= MAX_PUT_SIZE


@pytest.mark.parametrize(
    ("checksum", "part_size", "expected"),
    [
        (checksum_of(DATA), None, (checksum_of(DATA), None)),
        (COMPOSITE, 12, (COMPOSITE, 12)),
        (COMPOSITE, None, (None, None)),
        (None, None, (None, None)),
    ],
    ids=["whole object", "equal parts", "unequal parts", "none"],
)
def test_a_stored_checksum_is_used_if_blocks_can_verify_it(
    checksum: StoredChecksum | None, part_size: int | None, expected: tuple[StoredChecksum | None, int | None]
) -> None:
    """Where parts end is unknown if they have several sizes."""
    source = SourceObject("k", len(DATA), "e", checksum=checksum)

    found = _mover(_Parts(part_size)).usable_checksum(_context(), source, is_whole=False)

    assert found == (replace(source, checksum=expected[0]), expected[1])


@pytest.mark.parametrize(
    ("verify", "md5", "is_whole", "is_refused"),
    [
        ("auto", None, False, False),
        ("require", None, False, True),
        ("require", "0" * 32, False, True),
        ("require", "0" * 32, True, False),
    ],
)
def test_required_verification_needs_a_checksum_or_the_md5_of_a_whole_object(
    verify: Verify, md5: str | None, is_whole: bool, is_refused: bool
) -> None:
    """Refused before a byte is read; a retry cannot help."""
    source = SourceObject("k", len(DATA), "e", md5=md5)
    mover = _mover(verify=verify)

    if not is_refused:
        assert mover.usable_checksum(_context(), source, is_whole=is_whole) == (source, None)
        return
    with pytest.raises(
        IntegrityError, match=r"^verify='require', but S3 stores no checksum that verifies blocks"
    ) as caught:
        mover.usable_checksum(_context(), source, is_whole=is_whole)
    assert not caught.value.retryable


def test_an_object_without_a_checksum_is_verified_by_its_blocks() -> None:
    """Unless more is required."""
    source = SourceObject("k", len(DATA), "e")

    assert _mover().verified_without_checksum(_context(), source) == "blocks"
    with pytest.raises(IntegrityError):
        _mover(verify="require").verified_without_checksum(_context(), source)
