"""One object, from what S3 holds to a verified, committed blob.

:class:`ObjectCopy` is the sequence; it owns no thread. :mod:`airflow_s3_azure.stream.pool` calls its steps from many:
:meth:`~ObjectCopy.begin` once, :meth:`~ObjectCopy.copy_block` for each block, :meth:`~ObjectCopy.commit` once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from airflow_s3_azure.stream.blocks import (
    DEFAULT_BLOCK_SIZE,
    MAX_BLOCKS,
    MIB,
    Block,
    BlockId,
    block_size_for,
    cut,
    fingerprint,
)
from airflow_s3_azure.stream.checksums import (
    BlockChecksums,
    StoredChecksum,
    Verified,
    checksum_block,
    combine,
)
from airflow_s3_azure.stream.errors import (
    IntegrityError,
    SourceChanged,
    TransferError,
)
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import (
    BlobContent,
    BlobState,
    CopyRequest,
    CopyResult,
    Precondition,
    SourceObject,
    StagedBlock,
)
from airflow_s3_azure.stream.retry import RetryPolicy
from airflow_s3_azure.stream.sink import BlobContainer, PreconditionFailed
from airflow_s3_azure.stream.source import S3Source

log = logging.getLogger(__name__)

Returned = TypeVar("Returned")

MAX_PUT_SIZE = 5000 * MIB
"""Bytes that Azure takes in one Put Blob."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How objects are copied.

    :param block_size: bytes; grows by itself where 50,000 blocks would not suffice
    :param overwrite: replace a blob that is not a copy of this version of the object; False: skip it
    :param verify: ``"auto"`` verifies against whatever S3 stored; ``"require"`` fails where it stored nothing usable
    :param retry: for each request
    """

    block_size: int = DEFAULT_BLOCK_SIZE
    overwrite: bool = True
    verify: Literal["auto", "require"] = "auto"
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Buffer:
    """The memory that one worker reads every block into; it grows to the largest block asked for and stays."""

    def __init__(self) -> None:
        self._data = bytearray()

    def view(self, size: int) -> memoryview:
        """Return ``size`` writable bytes. They are the same bytes at every call."""
        if len(self._data) < size:
            self._data = bytearray()  # freed first, so that there are never two
            self._data = bytearray(size)
        return memoryview(self._data)[:size]


class ObjectCopy:
    """The copy of one object. Its steps may run in different threads; only ``copy_block`` runs in several at once."""

    def __init__(
        self,
        request: CopyRequest,
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        *,
        interruption: Interruption,
        on_bytes: Callable[[int], None],
    ) -> None:
        """Take what to copy, from where and to where.

        :param on_bytes: called with the bytes that arrived in Azure, or were there already
        """
        self.request = request
        self._from = source
        self._to = container
        self._options = options
        self._interruption = interruption
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._bytes_read = 0
        self._retries = 0
        self._resumed = 0
        self._source: SourceObject | None = None
        self._precondition = request.precondition
        self._fingerprint = ""
        self._generation = 0
        self._block_size = options.block_size
        self._blocks: list[Block] = []
        self._checksums: dict[int, BlockChecksums] = {}

    @property
    def size(self) -> int:
        """Bytes of the object, 0 while nobody knows."""
        return (self._source.size if self._source else self.request.size) or 0

    def begin(self, buffer: Buffer) -> CopyResult | list[Block]:
        """Find out what is to be done: return the result if that was all, or the blocks to copy.

        An object that fits one block is copied here, in one GET and one PUT. A larger one resumes from the blocks
        that Azure holds of this version, so the list may be short, or empty when only the commit is missing.

        :raises TransferError: nothing was changed
        """
        self._started = time.monotonic()
        return self._step(lambda: self._begin(buffer))

    def copy_block(self, block: Block, buffer: Buffer) -> None:
        """Read one block from S3 and stage it in Azure.

        :raises TransferError: the blocks already staged stay staged
        """
        self._step(lambda: self._copy_block(block, buffer))

    def commit(self) -> CopyResult:
        """Hold the blocks' combined checksum against S3's and make the blob visible, in that order.

        :raises IntegrityError: if they differ; nothing was committed
        :raises TransferError: nothing was committed
        """
        return self._step(self._commit)

    def failed(self, error: TransferError) -> CopyResult:
        """Return the result of a copy that ended in ``error``."""
        return self._result("failed", error=error)

    def _begin(self, buffer: Buffer) -> CopyResult | list[Block]:
        request, options = self.request, self._options
        whole = min(options.block_size, MAX_PUT_SIZE)
        if request.precondition and request.etag and request.size is not None and request.size <= whole:
            # The plan knows both sides: one GET and one PUT are all that is needed.
            return self._copy_whole(request.size, request.etag, request.version_id, request.precondition, buffer)
        source = self._source = self._retrying(lambda: self._from.head(request.key, request.version_id))
        self._check_is_planned(source)
        if self._precondition is None:
            state = self._retrying(lambda: self._to.head(request.blob))
            if state is not None and (done := self._needs_no_copy(state, source)) is not None:
                return done
            self._precondition = Precondition(None if state is None else state.etag)
        self._check_verifiable(source)
        block_size = self._block_size = block_size_for(source.size, options.block_size)
        if source.size <= min(block_size, MAX_PUT_SIZE):
            return self._copy_whole(source.size, source.etag, source.version_id, self._precondition, buffer)
        self._blocks = cut(source.size, block_size)
        staged = self._retrying(lambda: self._to.staged(request.blob))
        self._fingerprint, self._generation = _open_generation(source, block_size, staged)
        return self._without_staged(staged)

    def _copy_whole(
        self, size: int, etag: str, version_id: str | None, precondition: Precondition, buffer: Buffer
    ) -> CopyResult:
        view = buffer.view(size)

        source = self._source = self._retrying(
            lambda: self._from.read_whole(self.request.key, etag, version_id, view, self._count_read)
        )
        self._check_verifiable(source)
        found = checksum_block(view, source.checksum)
        verified = self._verify(source, [found])
        content = BlobContent.of(source)
        try:
            blob_etag = self._retrying(
                lambda: self._to.put(self.request.blob, view, found.crc64, content, precondition)
            )
        except PreconditionFailed as conflict:
            return self._twin_or_conflict(source, conflict)
        self._on_bytes(size)
        return self._result("copied", blob_etag=blob_etag, verified=verified)

    def _copy_block(self, block: Block, buffer: Buffer) -> None:
        source = self._known_source
        view = buffer.view(block.size)

        self._retrying(lambda: self._from.read(source, block, view, self._count_read))
        found = checksum_block(view, source.checksum)
        block_id = BlockId(block.index, self._fingerprint, found.crc64, found.crc32).encode()
        self._retrying(lambda: self._to.stage(self.request.blob, block_id, view, found.crc64))
        with self._lock:
            self._checksums[block.index] = found
        self._on_bytes(block.size)

    def _commit(self) -> CopyResult:
        source, precondition = self._known_source, self._precondition or Precondition(None)
        ordered = [self._checksums[block.index] for block in self._blocks]
        try:
            verified = self._verify(source, ordered)
        except IntegrityError as error:
            error.retryable = self._generation == 0  # once from scratch, then it is S3 that contradicts itself
            self._discard_staged(source)
            raise
        ids = [
            BlockId(block.index, self._fingerprint, found.crc64, found.crc32).encode()
            for block, found in zip(self._blocks, ordered, strict=True)
        ]
        content = BlobContent.of(source)
        try:
            blob_etag = self._retrying(lambda: self._to.commit(self.request.blob, ids, content, precondition))
        except PreconditionFailed as conflict:
            return self._twin_or_conflict(source, conflict)
        return self._result("copied", blob_etag=blob_etag, verified=verified, blocks=len(ids))

    def _without_staged(self, staged: list[StagedBlock]) -> list[Block]:
        """Take over the blocks that are already staged, and return the others."""
        by_index = {block.index: block for block in self._blocks}
        found: dict[int, BlockChecksums] = {}
        doubtful: set[int] = set()
        for one in staged:
            block_id = BlockId.decode(one.name)
            block = by_index.get(block_id.index) if block_id else None
            if not block_id or not block or block_id.fingerprint != self._fingerprint or one.size != block.size:
                continue  # another version, another cut, or another tool's: never used
            if block.index in found:
                doubtful.add(block.index)  # two contents for one block of one version: one of them is wrong
            found[block.index] = BlockChecksums(block.size, block_id.crc64, block_id.crc32)
        for index in doubtful:
            del found[index]
        self._checksums.update(found)
        self._resumed = len(found)
        if found:
            log.info("%r: resuming: %d of %d blocks already staged", self.request.key, len(found), len(self._blocks))
            self._on_bytes(sum(checksums.size for checksums in found.values()))
        return [block for block in self._blocks if block.index not in found]

    def _discard_staged(self, source: SourceObject) -> None:
        """Make every later try start from scratch, by staging a marker that opens the next generation of blocks."""
        mark = BlockId(MAX_BLOCKS + self._generation, _generation_fingerprint(source, self._block_size, 0), 0)
        one = memoryview(b"\0")
        self._retrying(lambda: self._to.stage(self.request.blob, mark.encode(), one, checksum_block(one, None).crc64))

    def _check_is_planned(self, source: SourceObject) -> None:
        planned, found = (self.request.size, self.request.etag), (source.size, source.etag)
        if any(want is not None and want != have for want, have in zip(planned, found, strict=True)):
            raise SourceChanged(
                f"planned with (size, ETag) {planned}, but S3 has {found} now; try again to copy the new version"
            )

    def _check_verifiable(self, source: SourceObject) -> None:
        if self._options.verify == "require" and source.checksum is None:
            raise IntegrityError(
                "verify='require', but S3 stores no full-object CRC64NVME, CRC32 or CRC32C for it; "
                "copy it with verify='auto', or rewrite it in S3 with a checksum"
            )

    def _needs_no_copy(self, state: BlobState, source: SourceObject) -> CopyResult | None:
        if _is_copy_of(state, source):
            return self._result("unchanged", blob_etag=state.etag)
        if not self._options.overwrite:
            return self._result("skipped", blob_etag=state.etag, reason="the blob exists and overwrite is off")
        return None

    def _verify(self, source: SourceObject, blocks: list[BlockChecksums]) -> Verified:
        stored = source.checksum
        if stored is None:
            return "blocks"
        value = combine(stored.algorithm, blocks)
        if value != stored.value:
            found = StoredChecksum(stored.algorithm, value)
            raise IntegrityError(
                f"S3 stored {stored} when it was uploaded, but what was read gives {found}; nothing was committed"
            )
        return _VERIFIED_BY[stored.algorithm]

    def _twin_or_conflict(self, source: SourceObject, conflict: PreconditionFailed) -> CopyResult:
        """Return ``unchanged`` if the blob that got there first is a copy of the same content."""
        state = self._retrying(lambda: self._to.head(self.request.blob))
        if state is not None and _is_copy_of(state, source):
            return self._result("unchanged", blob_etag=state.etag)
        if state is not None and not self._options.overwrite:
            return self._result("skipped", blob_etag=state.etag, reason="the blob exists and overwrite is off")
        raise conflict

    def _retrying(self, function: Callable[[], Returned]) -> Returned:
        return self._options.retry.call(function, self._interruption, self._count_retry)

    def _step(self, function: Callable[[], Returned]) -> Returned:
        try:
            return function()
        except TransferError as error:
            error.key = error.key or self._from.url(self.request.key)
            error.blob = error.blob or self._to.blob_url(self.request.blob)
            raise

    def _count_read(self, size: int) -> None:
        with self._lock:
            self._bytes_read += size

    def _count_retry(self) -> None:
        with self._lock:
            self._retries += 1

    @property
    def _known_source(self) -> SourceObject:
        if self._source is None:
            raise RuntimeError("begin() comes first")
        return self._source

    def _result(
        self,
        status: Literal["copied", "unchanged", "skipped", "failed"],
        *,
        blob_etag: str | None = None,
        verified: Verified | None = None,
        blocks: int = 0,
        reason: str | None = None,
        error: TransferError | None = None,
    ) -> CopyResult:
        source = self._source
        return CopyResult(
            key=self.request.key,
            blob=self.request.blob,
            status=status,
            size=source.size if source else self.request.size,
            blocks=blocks,
            resumed_blocks=self._resumed,
            etag=source.etag if source else self.request.etag,
            version_id=source.version_id if source else self.request.version_id,
            blob_etag=blob_etag,
            verified=verified,
            bytes_read=self._bytes_read,
            retries=self._retries,
            seconds=time.monotonic() - self._started,
            reason=reason,
            error=error,
        )


_VERIFIED_BY: dict[str, Verified] = {"CRC64NVME": "crc64nvme", "CRC32": "crc32", "CRC32C": "crc32c"}


def _is_copy_of(state: BlobState, source: SourceObject) -> bool:
    return (
        state.record is not None
        and state.size == source.size
        and state.record.is_same_content(source.etag, source.size)
    )


def _open_generation(source: SourceObject, block_size: int, staged: list[StagedBlock]) -> tuple[str, int]:
    """Return the fingerprint under which blocks are staged and resumed, and how often they were discarded before."""
    first = _generation_fingerprint(source, block_size, 0)
    ids = (BlockId.decode(one.name) for one in staged)
    generation = sum(1 for one in ids if one and one.fingerprint == first and one.index >= MAX_BLOCKS)
    return _generation_fingerprint(source, block_size, generation), generation


def _generation_fingerprint(source: SourceObject, block_size: int, generation: int) -> str:
    return fingerprint(
        etag=source.etag,
        version_id=source.version_id,
        size=source.size,
        block_size=block_size,
        generation=generation,
    )
