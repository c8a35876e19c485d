"""Server-side copy: the block mover with which Azure reads the blocks from S3.

Each block is staged with Put Block From URL, from a URL that is presigned for it. Azure returns the CRC-64 of what it
read, and the CRCs of all blocks combine to the value that S3 stored for the object, if that is a CRC-64.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

from airflow_s3_azure.engine.azure.block_list import MAX_STAGED
from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.source_range import STREAM_INSTEAD, SourceConditionUnsupported, SourceRange
from airflow_s3_azure.engine.block_mover import BlockMover, Buffer, CopyContext
from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE, Block
from airflow_s3_azure.engine.checksums import BlockChecksums, Verified, compute
from airflow_s3_azure.engine.errors import DestinationWriteError, IntegrityError, SourceChanged, SourceNotFound
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.server_side.block_ids import ServerSideBlockId
from airflow_s3_azure.engine.stream_mover import StreamMover

log = get_logger(__name__)

_RESERVED = 2_000
"""Of the blocks that Azure keeps staged for one blob: for generation markers and for blocks whose response was lost."""
_MARKER_BYTE = memoryview(b"\0")


class ServerSideMover:
    """Has Azure read the blocks. No byte passes through this process, so the buffers stay empty."""

    fills_buffers = False
    max_whole = 0
    """One request could copy more, but it would be visible before its checksum is known."""
    reason = None

    def __init__(self, source: S3Source, container: BlobContainer, options: CopyOptions) -> None:
        self._from = source
        self._to = container
        self._options = options
        self._pins_etag = True
        # Server-side blocks may be huge; those of streamed keys are in memory.
        streamed = replace(options, block_size=min(options.block_size, DEFAULT_BLOCK_SIZE))
        self._stream = StreamMover(source, container, streamed, reason="streamed: Azure cannot read this key by URL")

    @property
    def block_size(self) -> int:
        """Preferred bytes per block."""
        return self._options.block_size

    def for_key(self, key: str) -> BlockMover:
        """Return this mover, or a streaming one for a key that Azure rewrites in a source URL."""
        if is_readable_by_azure(key):
            return self
        log.info("%r: streamed, because Azure rewrites such a key in a source URL", key)
        return self._stream

    def usable_checksum(
        self, context: CopyContext, source: SourceObject, *, is_whole: bool
    ) -> tuple[SourceObject, int | None]:
        """Return the source with its CRC-64 of the whole object, if S3 stored one; see :class:`BlockMover`."""
        del is_whole
        stored, part_size = source.checksum, None
        if stored is not None and stored.parts:
            # Not for verification: both movers need the same layout, so that each resumes the other's blocks.
            part_size = context.call(lambda: self._from.part_size(source))
        if stored is None or stored.algorithm != "CRC64NVME":
            source = replace(source, checksum=None)
            if self._md5_to_check(source) is None:
                self._check_not_required()
        return source, part_size

    def copy_block(
        self, context: CopyContext, layout: BlockLayout, block: Block, buffer: Buffer, on_ending: Callable[[], None]
    ) -> KnownBlock:
        """Have Azure read and stage one block; see :class:`BlockMover`."""
        del buffer, on_ending  # Azure does not report when it has nearly read the block
        name, crc64 = context.call(lambda: self._stage_from_url(context, layout, block))
        if crc64 is not None and _has_marker(layout, block):
            marker, crc64_of_marker = name.crc_marker(crc64), compute("CRC64NVME", _MARKER_BYTE)
            context.call(lambda: self._to.stage(context.blob, marker, _MARKER_BYTE, crc64_of_marker))
        checksums = BlockChecksums(block.size, crc64 or 0)
        return KnownBlock(name.encode(), checksums, is_server_side=True, has_crc64=crc64 is not None)

    def verified_without_checksum(self, context: CopyContext, source: SourceObject) -> Verified:
        """Return what verified an object without a stored CRC-64; check that the source did not change."""
        if not source.size:
            return "blocks"
        if self._md5_to_check(source) is not None:
            return "md5"
        self._check_unchanged(context, source)
        return "blocks"

    def _stage_from_url(
        self, context: CopyContext, layout: BlockLayout, block: Block
    ) -> tuple[ServerSideBlockId, int | None]:
        """Have Azure read a block, once, under an ID of this attempt; return the ID and Azure's CRC-64, if it returned one."""
        name = ServerSideBlockId.new(block.index, layout.fingerprint)
        md5 = self._md5_to_check(layout.source)
        self._from.spend_bandwidth(block.size)  # before the URL is signed, because it expires
        url, etag = self._from.readable_url(layout.source), layout.source.etag if self._pins_etag else None
        try:
            crc64 = self._to.stage_from_url(context.blob, name.encode(), SourceRange(url, etag, block, md5))
        except SourceConditionUnsupported as error:
            self._stop_pinning(error)
            crc64 = self._to.stage_from_url(context.blob, name.encode(), SourceRange(url, None, block, md5))
        if crc64 is None and md5 is None:
            raise DestinationWriteError(
                f"mode='server_side': Azure returned no CRC-64 of a block that it read; {STREAM_INSTEAD}",
                retryable=False,
            )
        return name, crc64

    def _stop_pinning(self, error: SourceConditionUnsupported) -> None:
        if self._pins_etag:
            self._pins_etag = False
            log.warning(
                "%s: %s; copying without it: a source that changes is found by its checksum, or by a HEAD before the "
                "commit",
                self._to.url,
                error.message,
            )

    def _md5_to_check(self, source: SourceObject) -> str | None:
        """Return the MD5 against which Azure verifies an object's only block, if there is no CRC-64."""
        if source.md5 is None or source.checksum is not None or source.size > self._options.block_size:
            return None
        return base64.b64encode(bytes.fromhex(source.md5)).decode("ascii")

    def _check_not_required(self) -> None:
        if self._options.verify == "require":
            raise IntegrityError(
                "verify='require', but mode='server_side' verifies only against a CRC64NVME of the whole object (or, "
                f"for one block, an MD5), and S3 stores none for it; {STREAM_INSTEAD}, or rewrite the object with one",
                retryable=False,
            )

    def _check_unchanged(self, context: CopyContext, source: SourceObject) -> None:
        """Check that the object was not overwritten during the copy, if no checksum would detect it.

        The pinned ETag of each request should prevent it; whether Azure honors it for S3 is not known.
        """
        if source.version_id is not None:
            return
        try:
            found = context.call(lambda: self._from.head(source.key))
        except SourceNotFound:
            found = None
        # With LastModified: an object that was replaced and restored has its old ETag again.
        if found is None or _version(found) != _version(source):
            raise SourceChanged("it changed while Azure was reading it; try again to copy the current version")


def is_readable_by_azure(key: str) -> bool:
    """Return whether Azure reads a source URL of this key unchanged.

    Put Block From URL fails with 403 for keys with a backslash or a segment that ends in a dot, and is reported to turn
    ``%2F`` into ``/`` (https://github.com/Azure/azure-storage-azcopy/issues/957, …/1696).
    """
    is_rewritten = "\\" in key or "%2f" in key.lower()
    return not is_rewritten and not any(segment.endswith(".") for segment in key.split("/"))


def _version(source: SourceObject) -> tuple[object, ...]:
    return source.etag, source.size, source.last_modified


def _has_marker(layout: BlockLayout, block: Block) -> bool:
    """Return whether a CRC marker is staged for a block.

    An only block needs none, because it is committed at once. Azure's limit allows none for the last of many blocks.
    """
    blocks = len(layout.blocks)
    return blocks > 1 and block.index < MAX_STAGED - _RESERVED - blocks
