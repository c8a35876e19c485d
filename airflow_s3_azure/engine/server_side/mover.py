"""The copy of one object whose bytes Azure reads from S3 by itself, block by block.

The sequence is that of :class:`~airflow_s3_azure.engine.copy.ObjectCopy`, and so are the cut, the resume, the
verification and the commit; what differs is how a block gets to Azure: by a URL that is presigned for it, with Put
Block From URL. Azure answers with the CRC-64 of what it read, and those of all blocks combine to the value that S3
stored for the object, if that is a CRC-64.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.checksums import BlockChecksums, Verified, compute
from airflow_s3_azure.engine.copy import Buffer, ObjectCopy
from airflow_s3_azure.engine.errors import DestinationWriteError, IntegrityError, SourceChanged, SourceNotFound
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock
from airflow_s3_azure.engine.server_side.block_ids import PulledId
from airflow_s3_azure.engine.server_side.request import INSTEAD, Pull

MAX_STAGED = 100_000
"""Uncommitted blocks that Azure keeps for one blob."""
_RESERVED = 2_000
"""Of these, for markers and for blocks whose answer was lost."""
_NOTE = memoryview(b"\0")


class ServerSideCopy(ObjectCopy):
    """The copy of one object that Azure reads by itself. No byte of it comes here, so the buffers stay empty."""

    @property
    def _largest_whole(self) -> int:
        # One request could do for more, but what it copies is visible before anybody has seen its checksum.
        return 0

    def _copy_block(self, block: Block, buffer: Buffer, on_ending: Callable[[], None]) -> None:
        del buffer, on_ending  # Azure does not say when it has nearly read it
        layout = self._known_layout
        name, checksums = self._retrying(lambda: self._pull(layout, block))
        if _has_note(layout, block):
            note = name.note(checksums.crc64)
            self._retrying(lambda: self._to.stage(self.request.blob, note, _NOTE, compute("CRC64NVME", _NOTE)))
        self._has_staged(block, KnownBlock(name.encode(), checksums, is_pulled=True))

    def _pull(self, layout: BlockLayout, block: Block) -> tuple[PulledId, BlockChecksums]:
        """Have Azure read a block, once, under an ID of this attempt's own."""
        name = PulledId.new(block.index, layout.fingerprint)
        md5 = self._md5_to_check(layout.source)
        self._from.spend_bandwidth(block.size)  # before the URL is signed: it may be a long wait
        pull = Pull(self._from.readable_url(layout.source), layout.source.etag, block, md5)
        crc64 = self._to.stage_from(self.request.blob, name.encode(), pull)
        if crc64 is None and md5 is None:
            raise DestinationWriteError(
                f"mode='server_side': Azure did not say the CRC-64 of a block that it read; {INSTEAD}", retryable=False
            )
        return name, BlockChecksums(block.size, crc64 or 0)

    def _md5_to_check(self, source: SourceObject) -> str | None:
        """Return the MD5 that Azure can check an object's only block against, where there is nothing better."""
        if source.md5 is None or source.checksum is not None or source.size > self._options.block_size:
            return None
        return base64.b64encode(bytes.fromhex(source.md5)).decode("ascii")

    def _with_usable_checksum(self, source: SourceObject, *, is_whole: bool) -> tuple[SourceObject, int | None]:
        if is_whole:
            return super()._with_usable_checksum(source, is_whole=True)
        stored, part_size = source.checksum, None
        if stored is not None and stored.parts:
            # Not to verify it: the other mode cuts it at the ends of its parts, and this one must cut where that does.
            part_size = self._retrying(lambda: self._from.part_size(source))
        if stored is None or stored.algorithm != "CRC64NVME":
            source = replace(source, checksum=None)
            if self._md5_to_check(source) is None:
                self._check_not_required()
        return source, part_size

    def _check_not_required(self) -> None:
        if self._options.verify == "require":
            raise IntegrityError(
                "verify='require', but mode='server_side' can hold only a CRC64NVME of the whole object against what "
                f"Azure read (or, of one block, an MD5), and S3 stores none for it; {INSTEAD}, or rewrite it with one",
                retryable=False,
            )

    def _verify(self, source: SourceObject, part_size: int | None, verify: Callable[[], Verified]) -> Verified:
        verified = super()._verify(source, part_size, verify)
        if verified != "blocks" or not source.size:
            return verified
        if self._md5_to_check(source) is not None:
            return "md5"
        self._check_unchanged(source)
        return verified

    def _check_unchanged(self, source: SourceObject) -> None:
        """Make sure that nobody wrote the object meanwhile, where no checksum would tell.

        Azure is asked to read this ETag only; this does not rely on it.
        """
        if source.version_id is not None:
            return
        try:
            found = self._retrying(lambda: self._from.head(source.key))
        except SourceNotFound:
            found = None
        if found is None or (found.etag, found.size) != (source.etag, source.size):
            raise SourceChanged("it changed while Azure was reading it; try again to copy what there is")


def _has_note(layout: BlockLayout, block: Block) -> bool:
    """Tell whether a block's CRC is noted: an only block is committed at once, and there is not room for every note."""
    blocks = len(layout.blocks)
    return blocks > 1 and block.index < MAX_STAGED - _RESERVED - blocks
