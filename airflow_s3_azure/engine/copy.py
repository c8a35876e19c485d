"""Copies one object to a verified, committed blob.

:class:`ObjectCopy` owns no thread; :mod:`airflow_s3_azure.engine.pool` calls its steps from several::

    begin ──► Finished
      └─────► Blocks ──► copy_block, for each missing block ──► commit

Invariants:

1. The commit is the last request that changes the destination, and it is conditional. Before it, the blob is unchanged;
   only an archived blob may have been deleted, on request (:mod:`airflow_s3_azure.engine.destination`).
2. Nothing is committed that does not have the checksum that S3 stored, if S3 stored a usable one.
3. Every request to S3 names one version of the object; all blocks of a commit are of that version.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import BlobArchived
from airflow_s3_azure.engine.block_mover import BlockMover, Buffer, CopyContext
from airflow_s3_azure.engine.blocks import Block, block_size_for
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import Verified, compute, s3_text
from airflow_s3_azure.engine.destination import REPLACED, Destination
from airflow_s3_azure.engine.errors import ARCHIVED, IntegrityError, SourceArchived, SourceChanged, TransferError
from airflow_s3_azure.engine.foreign_blocks import discard_foreign_blocks
from airflow_s3_azure.engine.model import (
    BlobContent,
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
from airflow_s3_azure.engine.properties import CopyIdentity
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.read_back import read_back
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock, combined_crc64
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.verify import verify_blocks, verify_whole

log = get_logger(__name__)

PROBE_SIZE = 64 * 1024
"""Bytes of a large object that are read before the archived blob that it replaces is deleted."""

Returned = TypeVar("Returned")


class ObjectCopy:
    """The copy of one object. Its steps may run in different threads; only ``copy_block`` runs in several at once."""

    must_finish = False

    def __init__(
        self,
        request: CopyRequest,
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        mover: BlockMover,
        *,
        cancellation: Cancellation,
        on_bytes: ByteCounter,
    ) -> None:
        """Bind a request to its endpoints and its block mover.

        :param on_bytes: called with the bytes of each block and object, once they are in Azure
        """
        self.request = request
        self._identity = CopyIdentity(source.bucket, request.key, request.blob)
        self._from = source
        self._to = container
        self._options = options
        self._mover = mover.for_key(request.key)
        self._context = CopyContext(request.blob, options.retry, options.retry_budget, cancellation)
        self._destination = Destination(
            request, container, self._context, self._identity, options=options, result=self._result
        )
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._resumed: dict[int, KnownBlock] = {}
        self._source: SourceObject | None = None
        self._tags: dict[str, str] = {}
        self._layout: BlockLayout | None = None
        self._staged: dict[int, KnownBlock] = {}

    @property
    def size(self) -> int:
        """Bytes of the object; 0 until the size is known."""
        return (self._source.size if self._source else self.request.size) or 0

    def begin(self, buffer: Buffer) -> Finished | Blocks:
        """Decide what the copy needs, and finish it if it needs no blocks.

        An object that fits one block is copied here, in one GET and one PUT. A larger one resumes from the blocks of
        this version that Azure holds; if none is missing, it is committed here.

        :raises TransferError: the blob is unchanged
        """
        self._started = time.monotonic()
        return self._step(lambda: self._begin(buffer))

    def copy_block(self, block: Block, buffer: Buffer, on_ending: Callable[[], None]) -> None:
        """Read one block from S3 and stage it in Azure.

        :param on_ending: called when the block is nearly read, so that another one may be requested
        :raises TransferError: the blocks already staged stay staged
        """
        self._step(lambda: self._copy_block(block, buffer, on_ending))

    def commit(self) -> CopyResult:
        """Verify the blocks' combined checksum against S3's, then make the blob visible.

        :raises IntegrityError: if they differ; nothing was committed
        :raises TransferError: nothing was committed
        """
        return self._step(self._commit)

    def failed(self, error: TransferError) -> CopyResult:
        """Return the result of a copy that ended in ``error``: failed, or skipped."""
        if isinstance(error, BlobArchived) and (done := self._copied_meanwhile()) is not None:
            return done
        has_replaced = self._destination.has_replaced  # then the copy is missing, and the key is not merely skipped
        if not has_replaced and (reason := self.request.why_skipped(error, archived=self._options.archived)):
            return self._result("skipped", reason=reason, archived=isinstance(error, SourceArchived))
        if has_replaced:
            error.message = f"{REPLACED}, and there is no copy yet; the next try copies the object: {error.message}"
        # Without its traceback, whose frames hold a block's buffer.
        return self._result("failed", error=error.with_traceback(None))

    def _begin(self, buffer: Buffer) -> Finished | Blocks:
        request, destination = self.request, self._destination
        done = destination.recheck_conflict(request.etag, request.size) if request.conflict else None
        done = done or self._copy_as_planned(buffer)
        if done is not None:
            return Finished(done)
        source = self._source = self._context.call(lambda: self._from.head(self.request.key, self.request.version_id))
        if self.request.has_changed(source):
            destination.precondition = None  # the plan compared the blob with an older version
        if destination.precondition is None and (done := destination.check(source)) is not None:
            return Finished(done)
        if source.is_archived:
            raise SourceArchived(ARCHIVED)
        self._read_tags(source.version_id)  # before all else: they need a permission of their own
        is_whole = source.size <= self._mover.max_whole
        source, part_size = self._mover.usable_checksum(self._context, source, is_whole=is_whole)
        if is_whole:
            return Finished(self._copy_whole(source.size, source.etag, source.version_id, buffer))
        if (done := self._delete_archived(source, buffer)) is not None:
            return Finished(done)
        missing = self._resume(source, part_size)
        return Blocks(missing) if missing else Finished(self._commit())

    def _copy_as_planned(self, buffer: Buffer) -> CopyResult | None:
        """Copy a small object, if the plan knows both endpoints: one GET and one PUT, no HEAD. None: not possible."""
        request = self.request
        if request.precondition is None or not request.etag or request.size is None:
            return None
        if request.head_first and not request.conflict:
            done = self._destination.find_existing_copy(request.etag, request.size)
            if done is not None:
                return done
        if request.size > self._mover.max_whole or self._options.verify == "require":
            return None
        self._read_tags(request.version_id)
        try:
            return self._copy_whole(request.size, request.etag, request.version_id, buffer)
        except SourceChanged:
            if request.from_key_list:
                return None
            raise

    def _delete_archived(self, source: SourceObject, buffer: Buffer) -> CopyResult | None:
        """Before the first block is staged, delete the archived blob that is replaced: no block can be staged for it.

        The object is read first, as far as one small range shows that it can be read.
        """
        if not self._destination.replaces_archived:
            return None
        first = Block(0, 0, min(source.size, PROBE_SIZE))
        with buffer.view(first.size) as view:
            self._context.call(lambda: self._from.read(source, first, view, self._context.count_read))
        return self._destination.delete_archived(source)

    def _resume(self, source: SourceObject, part_size: int | None) -> list[Block]:
        """Lay out the blocks and find those that are staged; return the missing ones."""
        staged = self._context.call(lambda: self._to.staged(self.request.blob))
        staged = discard_foreign_blocks(
            self._context,
            self._to,
            staged,
            self._destination.precondition or Precondition(None),
            is_allowed=self._options.discard_foreign_blocks,
        )
        block_size = block_size_for(source.size, self._mover.block_size, part_size)
        layout = self._layout = BlockLayout(source, block_size, part_size).in_generation_of(staged)
        self._context.grow_budget(len(layout.blocks))
        self._resumed = layout.reused(staged)
        self._staged = dict(self._resumed)
        if self._resumed:
            count = len(self._resumed)
            log.info("%r: resuming: %d of %d blocks already staged", self.request.key, count, len(layout.blocks))
            self._on_bytes(sum(known.checksums.size for known in self._resumed.values()), resumed=True)
        return [block for block in layout.blocks if block.index not in self._resumed]

    def _copy_whole(self, size: int, etag: str, version_id: str | None, buffer: Buffer) -> CopyResult:
        def read(view: memoryview) -> tuple[SourceObject, Verified]:
            count = self._context.count_read
            found = self._source = self._from.read_whole(self.request.key, etag, version_id, view, count)
            source, part_size = self._mover.usable_checksum(self._context, found, is_whole=True)
            return source, self._verify(source, part_size, lambda: verify_whole(source, view, part_size))

        # Released on exit: an error's traceback would keep the buffer alive.
        with buffer.view(size) as view:
            source, verified = self._context.call(lambda: read(view))
            # A verified CRC-64 is the one that Azure needs; it is not computed again.
            known = source.checksum.value if source.checksum and verified == "crc64nvme" else None
            crc64 = compute("CRC64NVME", view) if known is None else known
            crc64nvme = s3_text("CRC64NVME", crc64)
            content = self._content(source, crc64nvme)
            if (done := self._destination.delete_archived(source)) is not None:
                return done
            blob_etag = self._destination.make_visible(
                source, lambda precondition: self._to.put(self.request.blob, view, crc64, content, precondition)
            )
        if isinstance(blob_etag, CopyResult):
            return blob_etag
        self._on_bytes(size)
        return self._copied(blob_etag=blob_etag, verified=verified, crc64nvme=crc64nvme)

    def _copy_block(self, block: Block, buffer: Buffer, on_ending: Callable[[], None]) -> None:
        known = self._mover.copy_block(self._context, self._known_layout, block, buffer, on_ending)
        with self._lock:
            self._staged[block.index] = known
        self._on_bytes(block.size)

    def _commit(self) -> CopyResult:
        layout = self._known_layout
        staged = [self._staged[block.index] for block in layout.blocks]
        checksums = [known.checksums for known in staged]
        try:
            verified = self._verify(
                layout.source, layout.part_size, lambda: verify_blocks(layout.source, checksums, layout.part_size)
            )
        except IntegrityError as error:
            error.retryable = layout.generation == 0  # after one copy from scratch, S3's own data is inconsistent
            marker, byte = layout.generation_marker(), memoryview(b"\0")
            self._context.call(lambda: self._to.stage(self.request.blob, marker, byte, compute("CRC64NVME", byte)))
            raise
        if verified == "blocks" and any(known.is_server_side for known in staged):
            verified = "transport"
        names = [known.name for known in staged]
        crc64nvme = combined_crc64(staged)
        content = self._content(layout.source, crc64nvme)
        blob_etag = self._destination.make_visible(
            layout.source, lambda precondition: self._to.commit(self.request.blob, names, content, precondition)
        )
        if isinstance(blob_etag, CopyResult):
            return blob_etag
        if self._options.verify == "read_back":
            read_back(self._context, self._to, blob_etag, layout.blocks, self._resumed)
        return self._copied(blob_etag=blob_etag, verified=verified, blocks=len(names), crc64nvme=crc64nvme)

    def _copied_meanwhile(self) -> CopyResult | None:
        """Return the result if a concurrent writer put its copy into the archive tier, where no block can be staged."""
        source = self._source
        if source is None:
            return None
        with suppress(TransferError):  # then the first error is the one to report
            return self._destination.find_existing_copy(source.etag, source.size)
        return None

    def _read_tags(self, version_id: str | None) -> None:
        if self._options.copy_tags:
            self._tags = self._context.call(lambda: self._from.tags(self.request.key, version_id))

    def _content(self, source: SourceObject, crc64nvme: str | None) -> BlobContent:
        tier = self._options.tier_of(source.storage_class)
        return BlobContent.of(source, self._identity, crc64nvme, tags=self._tags, access_tier=tier)

    def _verify(self, source: SourceObject, part_size: int | None, verify: Callable[[], Verified]) -> Verified:
        """Verify; if a composite checksum differs, check first that the parts have the assumed sizes."""
        try:
            verified = verify()
        except IntegrityError:
            if part_size is None or self._context.call(lambda: self._from.has_equal_parts(source, part_size)):
                raise
            verified = "blocks"
        return self._mover.verified_without_checksum(self._context, source) if verified == "blocks" else verified

    def _step(self, function: Callable[[], Returned]) -> Returned:
        try:
            return function()
        except TransferError as error:
            error.key = error.key or self._from.url(self.request.key)
            error.blob = error.blob or self._to.blob_url(self.request.blob)
            raise

    @property
    def _known_layout(self) -> BlockLayout:
        if self._layout is None:
            raise RuntimeError("begin() comes first")
        return self._layout

    def _copied(self, **outcome: Any) -> CopyResult:
        replaced = REPLACED if self._destination.has_replaced else None
        reason = "; ".join(filter(None, (self.request.reason, replaced, self._mover.reason)))
        return self._result("copied", reason=reason or None, **outcome)

    def _result(self, status: Status, **outcome: Any) -> CopyResult:
        """Return a result, with the fields that belong to this status alone."""
        source = self._source
        return CopyResult(
            key=self.request.key,
            blob=self.request.blob,
            status=status,
            size=source.size if source else self.request.size,
            resumed_blocks=len(self._resumed),
            etag=source.etag if source else self.request.etag,
            version_id=source.version_id if source else self.request.version_id,
            source_checksum=source.stored_checksum if source else None,
            bytes_read=self._context.bytes_read,
            retries=self._context.retries,
            seconds=time.monotonic() - self._started,
            **outcome,
        )
