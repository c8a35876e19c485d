"""The block mover with which Azure reads the blocks, between a source and a container in memory."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.source_range import SourceConditionUnsupported, SourceRange
from airflow_s3_azure.engine.block_mover import Buffer, CopyContext
from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import BlockChecksums, StoredChecksum
from airflow_s3_azure.engine.errors import DestinationWriteError, IntegrityError, SourceChanged, SourceNotFound
from airflow_s3_azure.engine.model import SourceObject, StagedBlock
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.server_side.mover import ServerSideMover, is_readable_by_azure
from airflow_s3_azure.engine.stream_mover import StreamMover

BLOCK = 10
MD5 = "00" * 16
UPLOADED = datetime(2026, 11, 1, tzinfo=UTC)
PLAIN = SourceObject("k", 25, "e", last_modified=UPLOADED)
CRC64 = replace(PLAIN, checksum=StoredChecksum("CRC64NVME", 1))


class _Source:
    """An S3 that signs URLs; what a HEAD returns may be changed."""

    def __init__(self) -> None:
        self.current: SourceObject | None = PLAIN
        self.spent: list[int] = []
        self.heads = 0

    def readable_url(self, source: SourceObject) -> str:
        return f"https://bucket/{source.key}"

    def spend_bandwidth(self, size: int) -> None:
        self.spent.append(size)

    def part_size(self, source: SourceObject) -> int | None:
        del source
        return 7

    def head(self, key: str) -> SourceObject:
        self.heads += 1
        if self.current is None:
            raise SourceNotFound("there is no such object", key=key)
        return self.current


class _Container:
    """A container that reads from URLs.

    :param respond: returns the CRC-64 of a range, or raises
    """

    url = "https://account/container"

    def __init__(self, respond: Callable[[SourceRange], int | None] = lambda found: 7) -> None:
        self._respond = respond
        self.staged: list[StagedBlock] = []
        self.ranges: list[SourceRange] = []

    def stage_from_url(self, blob: str, block_id: str, source: SourceRange) -> int | None:
        assert blob == "b"
        self.ranges.append(source)
        crc64 = self._respond(source)
        self.staged.append(StagedBlock(block_id.encode(), source.block.size))
        return crc64

    def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
        del crc64
        assert blob == "b"
        self.staged.append(StagedBlock(block_id.encode(), len(data)))


def _mover(source: _Source | None = None, container: _Container | None = None, **options: Any) -> ServerSideMover:
    return ServerSideMover(
        cast("S3Source", source or _Source()),
        cast("BlobContainer", container or _Container()),
        CopyOptions(**{"mode": "server_side", "block_size": BLOCK, **options}),
    )


def _context() -> CopyContext:
    return CopyContext("b", RetryPolicy(attempts=2, first_wait=0.0, max_wait=0.0), 10, Cancellation())


def _copy(mover: ServerSideMover, source: SourceObject = CRC64, index: int = 0) -> tuple[BlockLayout, KnownBlock]:
    layout = BlockLayout(source, BLOCK)
    return layout, mover.copy_block(_context(), layout, layout.blocks[index], Buffer(), lambda: None)


def test_azure_reads_a_block_and_its_crc_is_recorded_by_a_marker() -> None:
    """So a later try reuses it. The range pins the ETag, and its bytes count for the bandwidth."""
    source, container = _Source(), _Container()

    layout, known = _copy(_mover(source, container), index=2)

    assert container.ranges == [SourceRange("https://bucket/k", "e", layout.blocks[2])]
    assert (known.checksums, known.is_server_side, source.spent) == (BlockChecksums(5, 7), True, [5])
    assert [one.size for one in container.staged] == [5, 1]
    assert layout.reused(container.staged) == {2: known}


def test_an_only_block_has_no_marker() -> None:
    """It is committed at once."""
    container = _Container()

    _copy(_mover(container=container), replace(CRC64, size=5))

    assert [one.size for one in container.staged] == [5]


def test_azure_checks_the_md5_of_an_only_block_if_there_is_no_crc() -> None:
    """Then it may return no CRC-64."""
    container = _Container(lambda found: None)

    _, known = _copy(_mover(container=container), replace(PLAIN, size=5, md5=MD5))

    assert [one.md5 for one in container.ranges] == [base64.b64encode(bytes(16)).decode()]
    assert (known.checksums, known.has_crc64) == (BlockChecksums(5, 0), False)


def test_a_block_without_any_checksum_is_an_error() -> None:
    """Nothing would verify it; a retry cannot help."""
    with pytest.raises(DestinationWriteError, match="Azure returned no CRC-64 of a block that it read") as caught:
        _copy(_mover(container=_Container(lambda found: None)))

    assert not caught.value.retryable


def test_where_azure_supports_no_condition_it_is_left_out_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    """One warning names this and what detects a change instead."""

    def respond(found: SourceRange) -> int:
        if found.etag is not None:
            raise SourceConditionUnsupported("Azure returned 400 UnsupportedHeader for x-ms-source-if-match")
        return 7

    container = _Container(respond)
    mover = _mover(container=container)
    with caplog.at_level(logging.WARNING):
        _copy(mover)
        _copy(mover)

    assert [one.etag for one in container.ranges] == ["e", None, None]
    assert [record.getMessage() for record in caplog.records] == [
        (
            "https://account/container: Azure returned 400 UnsupportedHeader for x-ms-source-if-match; copying without "
            "it: a source that changes is found by its checksum, or by a HEAD before the commit"
        )
    ]


@pytest.mark.parametrize("key", ["a/b", "a..b", ".a", "a%2eb", "\xe9", "a//b"])
def test_azure_reads_ordinary_keys(key: str) -> None:
    """By the mover itself."""
    mover = _mover()

    assert is_readable_by_azure(key)
    assert mover.for_key(key) is mover


@pytest.mark.parametrize("key", ["a\\b", "a%2Fb", "a%2fb", ".", "..", "a./b", "a/.", "a/../b", "a."])
def test_keys_that_azure_rewrites_are_streamed(key: str) -> None:
    """With the reason for the ledger, and with blocks that fit in memory."""
    streamed = _mover(block_size=10 * DEFAULT_BLOCK_SIZE).for_key(key)

    assert not is_readable_by_azure(key)
    assert isinstance(streamed, StreamMover)
    assert (streamed.reason, streamed.block_size) == (
        "streamed: Azure cannot read this key by URL",
        DEFAULT_BLOCK_SIZE,
    )


@pytest.mark.parametrize(
    ("checksum", "kept", "part_size"),
    [
        (StoredChecksum("CRC64NVME", 1), True, None),
        (StoredChecksum("CRC32", 1), False, None),
        (StoredChecksum("CRC32", 1, parts=4), False, 7),
        (None, False, None),
    ],
)
def test_only_a_crc64_verifies(checksum: StoredChecksum | None, kept: bool, part_size: int | None) -> None:
    """The part size stays, so that both modes have one layout and resume each other's blocks."""
    source = replace(PLAIN, checksum=checksum)

    found = _mover().usable_checksum(_context(), source, is_whole=False)

    assert found == (source if kept else replace(source, checksum=None), part_size)


def test_required_verification_needs_a_crc64_or_the_md5_of_an_only_block() -> None:
    """Refused before a byte is read."""
    mover = _mover(verify="require")
    one_block = replace(PLAIN, size=5, md5=MD5)

    assert mover.usable_checksum(_context(), CRC64, is_whole=False) == (CRC64, None)
    assert mover.usable_checksum(_context(), one_block, is_whole=False) == (one_block, None)
    for source in (PLAIN, replace(PLAIN, md5=MD5)):
        with pytest.raises(IntegrityError, match=r"^verify='require', but mode='server_side' verifies only") as caught:
            mover.usable_checksum(_context(), source, is_whole=False)
        assert not caught.value.retryable


@pytest.mark.parametrize(
    ("source", "verified", "heads"),
    [
        (replace(PLAIN, size=0), "blocks", 0),
        (replace(PLAIN, size=5, md5=MD5), "md5", 0),
        (replace(PLAIN, version_id="v"), "blocks", 0),
        (PLAIN, "blocks", 1),
    ],
    ids=["empty", "MD5", "version", "HEAD"],
)
def test_an_object_without_a_crc64_is_compared_again_if_nothing_else_pins_it(
    source: SourceObject, verified: str, heads: int
) -> None:
    """A version never changes, and Azure checked an MD5."""
    bucket = _Source()

    assert _mover(bucket).verified_without_checksum(_context(), source) == verified
    assert bucket.heads == heads


@pytest.mark.parametrize(
    "current",
    [None, replace(PLAIN, etag="f"), replace(PLAIN, size=26), replace(PLAIN, last_modified=UPLOADED.replace(day=2))],
    ids=["deleted", "ETag", "size", "replaced and restored"],
)
def test_an_object_that_changed_during_the_copy_is_an_error(current: SourceObject | None) -> None:
    """A new try copies the current version."""
    bucket = _Source()
    bucket.current = current

    with pytest.raises(SourceChanged, match=r"^it changed while Azure was reading it; try again"):
        _mover(bucket).verified_without_checksum(_context(), PLAIN)
