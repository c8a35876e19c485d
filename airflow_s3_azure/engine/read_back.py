"""Reads resumed blocks back after the commit: a block ID records a CRC, but does not prove that the bytes have it.

Anyone who can stage blocks in the container can stage other bytes under the ID of a block that an earlier try staged.
Uncommitted blocks cannot be read, so they are read from the committed blob.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.block_mover import CopyContext
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import IntegrityError
from airflow_s3_azure.engine.resume import KnownBlock


def read_back(
    context: CopyContext,
    container: BlobContainer,
    etag: str,
    blocks: Iterable[Block],
    resumed: Mapping[int, KnownBlock],
) -> None:
    """Compare the CRC of each resumed block of a committed blob with that of its ID.

    :param etag: of the committed blob
    :raises IntegrityError: if one differs; the blob is deleted, so that the next try copies it from scratch
    """
    for block in blocks:
        known = resumed.get(block.index)
        if known is None:
            continue
        crc64 = context.call(lambda block=block: container.crc64(context.blob, block.start, block.stop, etag))  # type: ignore[misc]
        if crc64 == known.checksums.crc64:
            continue
        context.call(lambda: container.delete(context.blob, etag))
        raise IntegrityError(
            f"block {block.index} (bytes {block.start:,} to {block.stop:,}), which an earlier try staged, holds other bytes "
            "than it did: another writer of the container staged it again; the blob was deleted, and the next try "
            "copies it from scratch"
        )
