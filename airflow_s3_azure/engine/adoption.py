"""Adopts a blob that another tool copied: compares its content with the checksum that S3 stored, and records the source.

:class:`Adoption` has the steps of :class:`~airflow_s3_azure.engine.copy.ObjectCopy`, but its blocks are read from Azure::

    begin ──► Finished, or the request to copy instead
      └─────► Blocks ──► copy_block, for each block ──► commit ──► the result, or the request to copy instead

Invariants:

1. Every range is pinned to the ETag that the plan listed, and so is the request that writes the record. A blob that
   another client writes in between is not adopted.
2. Only the metadata of the blob changes: the record is added. Content, headers, tags, tier and user metadata stay.
3. Nothing is staged or recorded before all blocks are verified, so an adoption that is interrupted begins again.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.block_mover import Buffer, CopyContext
from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE, Block, block_size_for, split
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import BlockChecksums, RunningChecksums, combine, s3_text
from airflow_s3_azure.engine.errors import IntegrityError, TransferError
from airflow_s3_azure.engine.model import (
    BlobState,
    Blocks,
    CopyRequest,
    CopyResult,
    Finished,
    Precondition,
    SourceObject,
    Status,
)
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.progress import ByteCounter
from airflow_s3_azure.engine.properties import CopyIdentity, metadata_with_record, without_record
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.verify import verify_blocks

Returned = TypeVar("Returned")

NO_CHECKSUM = "another tool's blob, and S3 stores no checksum that its content can be compared with"
OTHER_CONTENT = "another tool's blob, whose content is not the object's"


class Adoption:
    """The comparison of one blob with its object. Its steps may run in different threads."""

    must_finish = True

    def __init__(
        self,
        request: CopyRequest,
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        *,
        cancellation: Cancellation,
        on_bytes: ByteCounter,
    ) -> None:
        """Bind a request to its endpoints.

        :param on_bytes: called with the bytes of each block that was read back; with a negative number if the object is
            to be copied instead
        """
        self.request = request
        self._identity = CopyIdentity(source.bucket, request.key, request.blob)
        self._from = source
        self._to = container
        self._options = options
        self._block_size = min(options.block_size, DEFAULT_BLOCK_SIZE)  # server-side blocks may be huge
        self._context = CopyContext(request.blob, options.retry, options.retry_budget, cancellation)
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._source: SourceObject | None = None
        self._part_size: int | None = None
        self._blob = BlobState("", 0)
        self._metadata: dict[str, str] = {}
        self._blocks: list[Block] = []
        self._read: dict[int, BlockChecksums] = {}

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return (self._source.size if self._source else self.request.size) or 0

    def begin(self, buffer: Buffer) -> Finished | Blocks | CopyRequest:
        """Decide what can be compared; adopt a small blob at once.

        :raises TransferError: the blob is unchanged
        """
        self._started = time.monotonic()
        return self._step(lambda: self._begin(buffer))

    def copy_block(self, block: Block, buffer: Buffer, on_ending: Callable[[], None]) -> None:
        """Read one block back from Azure.

        :raises TransferError: the blob is unchanged
        """
        del buffer, on_ending
        self._step(lambda: self._read_block(block))

    def commit(self) -> CopyResult | CopyRequest:
        """Compare the blocks' combined checksum with S3's, and record the source on the blob if they are equal.

        :raises TransferError: the blob is unchanged
        """
        return self._step(self._commit)

    def failed(self, error: TransferError) -> CopyResult:
        """Return the result of an adoption that ended in ``error``."""
        if reason := self.request.why_skipped(error, archived="fail"):
            return self._result("skipped", reason)
        return replace(self._result("failed", None), error=error.with_traceback(None))

    def _begin(self, buffer: Buffer) -> Finished | Blocks | CopyRequest:
        request = self.request
        found = self._context.call(lambda: self._to.head_with_metadata(request.blob))
        source = self._context.call(lambda: self._from.head(request.key, request.version_id))
        if found is None or Precondition(found[0].etag) != request.precondition or found[0].size != source.size:
            return self._ended(self._instead(request.reason))  # the copy finds out what became of both
        self._blob, self._metadata = found
        self._source, self._part_size = self._with_usable_checksum(source)
        if self._source.checksum is None and self._source.md5 is None:
            return self._ended(self._instead(NO_CHECKSUM))
        if self._source.checksum is None:
            return self._ended(self._compare_md5(self._source, buffer))
        block_size = block_size_for(source.size, self._block_size, self._part_size)
        self._blocks = split(source.size, block_size, self._part_size)
        self._context.grow_budget(len(self._blocks))
        if len(self._blocks) > 1:
            return Blocks(self._blocks)
        for block in self._blocks:
            self._read_block(block)
        return self._ended(self._commit())

    def _with_usable_checksum(self, source: SourceObject) -> tuple[SourceObject, int | None]:
        """Return the object with the checksum that can verify it, if any, and its part size if that is composite."""
        if source.checksum is None or not source.checksum.parts:
            return source, None
        part_size = self._context.call(lambda: self._from.part_size(source))
        return (source, part_size) if part_size is not None else (replace(source, checksum=None), None)

    def _read_block(self, block: Block) -> None:
        self._from.spend_bandwidth(block.size)
        stored = self._known_source.checksum
        checksums = self._context.call(
            lambda: self._to.checksums(self.request.blob, block.start, block.stop, self._blob.etag, stored=stored)
        )
        with self._lock:
            self._read[block.index] = checksums
        self._on_bytes(block.size)

    def _commit(self) -> CopyResult | CopyRequest:
        source = self._known_source
        checksums = [self._read[block.index] for block in self._blocks]
        try:
            verified = verify_blocks(source, checksums, self._part_size)
        except IntegrityError:
            part_size = self._part_size
            is_judged = part_size is None or self._context.call(lambda: self._from.has_equal_parts(source, part_size))
            return self._instead(OTHER_CONTENT if is_judged else NO_CHECKSUM)
        return self._adopt(combine("CRC64NVME", checksums), f"the {verified} that S3 stored")

    def _compare_md5(self, source: SourceObject, buffer: Buffer) -> CopyResult | CopyRequest:
        """Compare by the MD5 that the ETag is: a digest of all bytes in order, so one worker reads them all."""
        md5, running = hashlib.md5(usedforsecurity=False), RunningChecksums(None)
        for block in split(source.size, self._block_size):
            self._from.spend_bandwidth(block.size)
            with buffer.view(block.size) as view:
                self._context.call(lambda block=block, view=view: self._read_into(block, view))  # type: ignore[misc]
                md5.update(view)
                running.add(view)
            self._read[block.index] = BlockChecksums(block.size, 0)
            self._on_bytes(block.size)
        if md5.hexdigest() != source.md5:
            return self._instead(OTHER_CONTENT)
        return self._adopt(running.of_block().crc64, "the MD5 that the object's ETag is")

    def _read_into(self, block: Block, view: memoryview) -> None:
        position = 0

        def put(piece: memoryview) -> None:
            nonlocal position
            view[position : position + len(piece)] = piece
            position += len(piece)

        self._to.read(self.request.blob, block.start, block.stop, self._blob.etag, put)

    def _adopt(self, crc64: int, by: str) -> CopyResult:
        """Add the record to the blob's metadata, if the blob is still the one that was read."""
        crc64nvme = s3_text("CRC64NVME", crc64)
        record = self._known_source.record(self._identity, crc64nvme)
        metadata = metadata_with_record(without_record(self._metadata), record)
        try:
            etag = self._context.call(lambda: self._to.set_metadata(self.request.blob, metadata, self._blob.etag))
        except PreconditionFailed:
            state = self._context.call(lambda: self._to.head(self.request.blob))
            if state is None or state.record != record:
                raise
            etag = state.etag  # written by a request whose response was lost, or by a concurrent writer
        result = self._result("unchanged", f"adopted: another tool's blob, whose content has {by}")
        return replace(result, blob_etag=etag, crc64nvme=crc64nvme)

    def _instead(self, reason: str | None) -> CopyResult | CopyRequest:
        """Return the request to copy the object instead; without ``overwrite``, the result that the key is skipped."""
        with self._lock:
            self._on_bytes(-sum(one.size for one in self._read.values()))
        if not self._options.overwrite:
            return self._result("skipped", f"{reason}, but overwrite is off")
        return replace(self.request, adopt=False, head_first=True, reason=reason)

    def _ended(self, end: CopyResult | CopyRequest) -> Finished | CopyRequest:
        return Finished(end) if isinstance(end, CopyResult) else end

    @property
    def _known_source(self) -> SourceObject:
        if self._source is None:
            raise RuntimeError("begin() comes first")
        return self._source

    def _step(self, function: Callable[[], Returned]) -> Returned:
        try:
            return function()
        except TransferError as error:
            error.key = error.key or self._from.url(self.request.key)
            error.blob = error.blob or self._to.blob_url(self.request.blob)
            raise

    def _result(self, status: Status, reason: str | None) -> CopyResult:
        source = self._source
        return CopyResult(
            key=self.request.key,
            blob=self.request.blob,
            status=status,
            size=source.size if source else self.request.size,
            etag=source.etag if source else self.request.etag,
            version_id=source.version_id if source else self.request.version_id,
            blob_etag=self._blob.etag or None,
            source_checksum=source.stored_checksum if source else None,
            retries=self._context.retries,
            seconds=time.monotonic() - self._started,
            reason=reason,
        )
