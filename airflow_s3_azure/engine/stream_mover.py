"""Streaming: the block mover that reads each block from S3 into a buffer and stages it in Azure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.block_mover import BlockMover, Buffer, CopyContext
from airflow_s3_azure.engine.blocks import MIB, Block
from airflow_s3_azure.engine.checksums import Verified
from airflow_s3_azure.engine.errors import IntegrityError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock
from airflow_s3_azure.engine.s3.source import S3Source

MAX_PUT_SIZE = 5000 * MIB
"""Bytes that Azure takes in one Put Blob."""


class StreamMover:
    """Moves blocks through this process: one GET and one PUT each.

    :param reason: why objects are streamed although server-side copy was configured; None: it was not
    """

    fills_buffers = True

    def __init__(
        self, source: S3Source, container: BlobContainer, options: CopyOptions, *, reason: str | None = None
    ) -> None:
        self._from = source
        self._to = container
        self._options = options
        self.reason = reason

    @property
    def block_size(self) -> int:
        """Preferred bytes per block."""
        return self._options.block_size

    @property
    def max_whole(self) -> int:
        """Bytes of the largest object that is copied in one GET and one PUT."""
        return min(self._options.block_size, MAX_PUT_SIZE)

    def for_key(self, key: str) -> BlockMover:
        """Return this mover: it reads every key."""
        del key
        return self

    def usable_checksum(
        self, context: CopyContext, source: SourceObject, *, is_whole: bool
    ) -> tuple[SourceObject, int | None]:
        """Return the source with a stored checksum of the whole object or over equal parts; see :class:`BlockMover`."""
        part_size = None
        if source.checksum is not None and source.checksum.parts:
            part_size = context.call(lambda: self._from.part_size(source))
            if part_size is None:  # parts of unequal sizes, whose ends are unknown
                source = replace(source, checksum=None)
        if source.checksum is None and not (is_whole and source.md5):
            self._check_not_required()
        return source, part_size

    def copy_block(
        self, context: CopyContext, layout: BlockLayout, block: Block, buffer: Buffer, on_ending: Callable[[], None]
    ) -> KnownBlock:
        """Read one block from S3 and stage it in Azure; see :class:`BlockMover`."""
        with buffer.view(block.size) as view:
            checksums = context.call(lambda: self._from.read(layout.source, block, view, context.count_read, on_ending))
            name = layout.name(block, checksums)
            context.call(lambda: self._to.stage(context.blob, name, view, checksums.crc64))
        return KnownBlock(name, checksums)

    def verified_without_checksum(self, context: CopyContext, source: SourceObject) -> Verified:
        """Return ``"blocks"``: each block's CRC was checked by Azure on arrival."""
        del context, source
        self._check_not_required()
        return "blocks"

    def _check_not_required(self) -> None:
        if self._options.verify == "require":
            raise IntegrityError(
                "verify='require', but S3 stores no checksum that verifies blocks (CRC64NVME, CRC32 or CRC32C of the "
                "whole object, or composite over equal parts); use verify='auto', or rewrite the object with one",
                retryable=False,
            )
