"""The protocol of a block mover: streaming and server-side copy implement it.

:class:`~airflow_s3_azure.engine.copy.ObjectCopy` plans, verifies and commits; a :class:`BlockMover` only gets bytes into
staged blocks. One mover serves all objects of a copy, from many threads; what belongs to one object is in its
:class:`CopyContext`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import Verified
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock
from airflow_s3_azure.engine.retry import RetryPolicy

Returned = TypeVar("Returned")

BLOCKS_PER_RETRY = 10
"""Blocks for which a large object's retry budget grows by one: more requests meet more errors."""


class Buffer:
    """The memory of one block at a time. It grows to the largest block requested and is reused."""

    def __init__(self) -> None:
        self._data = bytearray()

    def view(self, size: int) -> memoryview:
        """Return ``size`` writable bytes. Each call returns the same memory."""
        if len(self._data) < size:
            self._data = bytearray()  # freed first, so that there are never two
            self._data = bytearray(size)
        return memoryview(self._data)[:size]


class CopyContext:
    """Sends the requests of one object's copy, within one retry budget, and counts bytes and retries. Thread-safe.

    :param blob: the blob's name
    :param budget: retries of all requests of the object together, before :meth:`grow_budget`
    """

    def __init__(self, blob: str, retry: RetryPolicy, budget: int, cancellation: Cancellation) -> None:
        self.blob = blob
        self.bytes_read = 0
        self.retries = 0
        self._retry = retry
        self._budget = budget
        self._cancellation = cancellation
        self._lock = threading.Lock()

    def call(self, request: Callable[[], Returned]) -> Returned:
        """Return what ``request`` returns; retry it by the retry policy, within the object's budget.

        :raises TransferError: the last one
        """
        return self._retry.call(request, self._cancellation, self._count_retry)

    def count_read(self, size: int) -> None:
        """Add bytes that were read from S3."""
        with self._lock:
            self.bytes_read += size

    def grow_budget(self, blocks: int) -> None:
        """Allow one more retry for every ten blocks."""
        self._budget += blocks // BLOCKS_PER_RETRY

    def _count_retry(self, error: TransferError) -> None:
        with self._lock:
            self.retries += 1
            is_exhausted = self.retries > self._budget
        if is_exhausted:
            raise type(error)(
                f"retry budget exhausted ({self._budget}); the last error: {error.message}",
                key=error.key,
                blob=error.blob,
                request_id=error.request_id,
            )


class BlockMover(Protocol):
    """Moves blocks from one bucket to one container. Called from several threads.

    ``fills_buffers``: whether blocks pass through this process, so that memory, read-ahead and CPU load matter.
    ``max_whole``: bytes of the largest object that is copied in one GET and one PUT.
    ``reason``: why an object is moved by this mover although another was configured; None if it was not.
    """

    @property
    def fills_buffers(self) -> bool: ...  # noqa: D102 - see the class
    @property
    def max_whole(self) -> int: ...  # noqa: D102
    @property
    def block_size(self) -> int:
        """Preferred bytes per block."""

    @property
    def reason(self) -> str | None: ...  # noqa: D102

    def for_key(self, key: str) -> BlockMover:
        """Return the mover of this key: this one, or another where this one cannot read the key."""

    def usable_checksum(
        self, context: CopyContext, source: SourceObject, *, is_whole: bool
    ) -> tuple[SourceObject, int | None]:
        """Return the source with the stored checksum that can verify it, if any, and its part size if composite.

        :raises IntegrityError: if ``verify="require"`` and there is none
        """

    def copy_block(
        self, context: CopyContext, layout: BlockLayout, block: Block, buffer: Buffer, on_ending: Callable[[], None]
    ) -> KnownBlock:
        """Stage one block.

        :param on_ending: called when the block is nearly read, so that another one may be requested
        :raises TransferError: the blocks already staged stay staged
        """

    def verified_without_checksum(self, context: CopyContext, source: SourceObject) -> Verified:
        """Return what verified an object for which S3 stored no usable checksum.

        :raises TransferError: if the source changed during the copy
        """
