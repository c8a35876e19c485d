"""Verifies what was read against the checksum that S3 stored at upload."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from airflow_s3_azure.engine.blocks import split
from airflow_s3_azure.engine.checksums import (
    BlockChecksums,
    StoredChecksum,
    Verified,
    checksum_block,
    combine,
    combine_parts,
    compute,
)
from airflow_s3_azure.engine.errors import IntegrityError
from airflow_s3_azure.engine.model import SourceObject

_READ_ONCE_MORE: dict[str, Any] = {"transient": True, "attempts": 2, "retryable": False}


def verify_blocks(source: SourceObject, blocks: Sequence[BlockChecksums], part_size: int | None = None) -> Verified:
    """Verify an object by the checksums of its blocks, in order; return what verified it.

    :param part_size: bytes in a part of its upload, where the stored checksum is composite
    :raises IntegrityError: if the checksums differ
    """
    stored = source.checksum
    if stored is None:
        return "blocks"
    if part_size is None:
        value = combine(stored.algorithm, blocks)
    else:
        value = combine_parts(stored.algorithm, blocks, part_size)
    return _verified_by(stored, value)


def _verified_by(stored: StoredChecksum, value: int) -> Verified:
    """Compare a stored checksum with the value that was computed.

    :raises IntegrityError: if they differ
    """
    if value != stored.value:
        found = StoredChecksum(stored.algorithm, value, stored.parts)
        raise IntegrityError(
            f"S3 stored {stored} when it was uploaded, but what was read gives {found}; nothing was committed"
        )
    return stored.verifies


def verify_whole(source: SourceObject, data: memoryview, part_size: int | None = None) -> Verified:
    """Verify an object by all of its bytes; return what verified it. After a mismatch, it is read once more.

    :param part_size: bytes in a part of its upload, where the stored checksum is composite
    :raises IntegrityError: if the checksums differ
    """
    if source.checksum is None and source.md5 is not None:
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if found != source.md5:
            message = f"its ETag is MD5 {source.md5}, but what was read gives {found}; nothing was committed"
            raise IntegrityError(message, **_READ_ONCE_MORE)
        return "md5"
    stored = source.checksum
    if stored is None:
        return "blocks"
    try:
        if part_size is None:
            return _verified_by(stored, compute(stored.algorithm, data))
        blocks = [checksum_block(data[one.start : one.stop], stored) for one in split(len(data), part_size)]
        return verify_blocks(source, blocks, part_size)
    except IntegrityError as error:
        raise IntegrityError(error.message, **_READ_ONCE_MORE) from None
