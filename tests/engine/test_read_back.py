"""Reading resumed blocks back after the commit: their CRCs must be those that their IDs record."""

from __future__ import annotations

from typing import cast

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.block_mover import CopyContext
from airflow_s3_azure.engine.blocks import split
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import BlockChecksums
from airflow_s3_azure.engine.errors import DestinationWriteError, IntegrityError
from airflow_s3_azure.engine.read_back import read_back
from airflow_s3_azure.engine.resume import KnownBlock
from airflow_s3_azure.engine.retry import RetryPolicy

BLOCKS = split(25, 10)
CRCS = {0: 100, 10: 101, 20: 102}
"""What the container holds, by the first byte of a block."""


class _Container:
    """A committed blob of which ranges are read.

    :param failures: requests that fail first
    """

    def __init__(self, failures: int = 0) -> None:
        self.reads: list[tuple[str, int, int, str]] = []
        self.deletes: list[tuple[str, str]] = []
        self._failures = failures

    def crc64(self, blob: str, start: int, stop: int, etag: str) -> int:
        self.reads.append((blob, start, stop, etag))
        if self._failures:
            self._failures -= 1
            raise DestinationWriteError("busy", transient=True)
        return CRCS[start]

    def delete(self, blob: str, etag: str) -> None:
        self.deletes.append((blob, etag))


def _read_back(container: _Container, resumed: dict[int, int]) -> CopyContext:
    """Read the resumed blocks back; their IDs record these CRCs."""
    context = CopyContext("b", RetryPolicy(attempts=2, first_wait=0.0, max_wait=0.0), 10, Cancellation())
    known = {index: KnownBlock("id", BlockChecksums(10, crc64)) for index, crc64 in resumed.items()}
    read_back(context, cast("BlobContainer", container), '"etag"', BLOCKS, known)
    return context


def test_only_resumed_blocks_are_read() -> None:
    """Each with the ETag of the commit, so that a later blob is not read instead."""
    container = _Container()

    _read_back(container, {0: 100, 2: 102})

    assert container.reads == [("b", 0, 10, '"etag"'), ("b", 20, 25, '"etag"')]
    assert container.deletes == []


def test_a_copy_without_resumed_blocks_costs_no_request() -> None:
    """Azure checked all of its blocks on arrival."""
    container = _Container()

    _read_back(container, {})

    assert container.reads == []


def test_a_block_that_differs_deletes_the_blob() -> None:
    """Only if the blob still is what was committed. No further block is read."""
    container = _Container()

    with pytest.raises(
        IntegrityError, match=r"^block 1 \(bytes 10 to 20\), which an earlier try staged, holds"
    ) as caught:
        _read_back(container, {0: 100, 1: 7, 2: 102})

    assert caught.value.retryable
    assert [start for _, start, _, _ in container.reads] == [0, 10]
    assert container.deletes == [("b", '"etag"')]


def test_a_failed_read_is_retried() -> None:
    """Within the object's budget."""
    container = _Container(failures=1)

    context = _read_back(container, {0: 100})

    assert (len(container.reads), context.retries) == (2, 1)
