"""Block layout and block IDs. Pure arithmetic and text.

Invariants of a layout: its blocks cover the object in order, without gap or overlap; none is larger than the block size;
none crosses the end of an upload part, if the parts count; and it depends only on the arguments. So every try, on any
worker, splits one version of an object at the same offsets.

Invariants of a block ID: it has 46 characters, because Azure requires one length within a blob; and two blocks have the
same ID only if they have the same index, version, layout and CRCs. So staging a block again is idempotent, and writers of
different versions never replace each other's blocks.

The limits are Azure's:
https://learn.microsoft.com/rest/api/storageservices/understanding-block-blobs--append-blobs--and-page-blobs
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from airflow_s3_azure.engine.errors import ConfigurationError

MIB = 1024 * 1024

MAX_BLOCKS = 50_000
"""Committed blocks in one blob."""
MAX_BLOCK_SIZE = 4000 * MIB
"""Bytes in one block."""
MAX_BLOB_SIZE = MAX_BLOCKS * MAX_BLOCK_SIZE
"""Bytes in one block blob, about 190.7 TiB."""
DEFAULT_BLOCK_SIZE = 8 * MIB
"""Above 4 MiB, Azure treats a standard account's blob as a high-throughput block blob."""

_ID_FORMAT = "s1"
_ID_PATTERN = re.compile(rb"([a-z]1)\.(\d{5})\.([A-Za-z0-9_-]{20})\.([A-Za-z0-9_-]{16})")


@dataclass(frozen=True, slots=True)
class Block:
    """A half-open range ``[start, stop)`` of an object, in bytes, and its place among the blocks."""

    index: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes in the block."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class BlockId:
    """The fields of a block's ID in Azure. The ID is the only checkpoint of a copy.

    :param index: the block's position, from 0
    :param fingerprint: of the source and the layout, see :func:`fingerprint`
    :param crc64: CRC-64/NVME of the block's bytes
    :param crc32: CRC-32 or CRC-32C of the block's bytes if the source's stored checksum is one, else 0
    """

    index: int
    fingerprint: str
    crc64: int
    crc32: int = 0

    def encode(self) -> str:
        """Return the ID as 46 ASCII characters."""
        crcs = self.crc64.to_bytes(8, "big") + self.crc32.to_bytes(4, "big")
        return encode_id(_ID_FORMAT, self.index, self.fingerprint, crcs)

    @classmethod
    def decode(cls, name: bytes) -> BlockId | None:
        """Return the fields of an ID, or None if it is not one of ours."""
        match decode_id(name):
            case (format_, index, fingerprint, crcs) if format_ == _ID_FORMAT:
                crc64, crc32 = int.from_bytes(crcs[:8], "big"), int.from_bytes(crcs[8:], "big")
                return cls(index, fingerprint, crc64, crc32)
        return None


def encode_id(format_: str, index: int, fingerprint: str, payload: bytes) -> str:
    """Return a block ID: its format, the block's index, the layout's fingerprint, and a payload of twelve bytes."""
    return f"{format_}.{index:05d}.{fingerprint}.{_urlsafe(payload)}"


def decode_id(name: bytes) -> tuple[str, int, str, bytes] | None:
    """Return the arguments of :func:`encode_id`, or None if it did not make this ID."""
    match = _ID_PATTERN.fullmatch(name)
    if match is None:
        return None
    format_, index, fingerprint, payload = match.groups()
    return format_.decode("ascii"), int(index), fingerprint.decode("ascii"), base64.urlsafe_b64decode(payload)


def block_size_for(size: int, preferred: int = DEFAULT_BLOCK_SIZE, part_size: int | None = None) -> int:
    """Return the block size in bytes with which 50,000 blocks hold ``size`` bytes.

    It is ``preferred`` unless that is too small; then the smallest sufficient number of whole MiB.

    :param part_size: bytes in each part but the last, if no block may cross the end of a part: then each part is split
        into equal blocks, none larger than ``preferred`` if 50,000 suffice
    :raises ConfigurationError: if Azure accepts no block or no blob of this size
    """
    if not 1 <= preferred <= MAX_BLOCK_SIZE:
        raise ConfigurationError(
            f"block_size is {preferred:,} bytes; Azure takes blocks of 1 to {MAX_BLOCK_SIZE:,} bytes. "
            f"Leave it at the default ({DEFAULT_BLOCK_SIZE:,}) unless you measured better."
        )
    if size > MAX_BLOB_SIZE:
        raise ConfigurationError(f"{size:,} bytes are more than one block blob holds ({MAX_BLOB_SIZE:,} bytes)")
    if part_size is not None:
        # S3 has at most 10,000 parts, so each can be five blocks at least.
        parts = -(-size // part_size)
        return -(-part_size // min(-(-part_size // preferred), MAX_BLOCKS // parts))
    if size <= preferred * MAX_BLOCKS:
        return preferred
    smallest = -(-size // MAX_BLOCKS)
    return -(-smallest // MIB) * MIB


def split(size: int, block_size: int, part_size: int | None = None) -> list[Block]:
    """Return the blocks of an object of ``size`` bytes, in order, without gap or overlap. An empty object has none.

    :param part_size: bytes in each part but the last, if no block may cross the end of a part
    """
    parts = range(0, size, part_size or size or 1)
    ranges = (
        (start, min(start + block_size, part + parts.step, size))
        for part in parts
        for start in range(part, min(part + parts.step, size), block_size)
    )
    return [Block(index, start, stop) for index, (start, stop) in enumerate(ranges)]


def fingerprint(
    *,
    etag: str,
    version_id: str | None,
    size: int,
    block_size: int,
    part_size: int | None = None,
    generation: int = 0,
) -> str:
    """Return 20 characters that identify a version of the source and its layout.

    :param generation: how often the blocks staged for it were found to be wrong and discarded
    """
    layout = (size, block_size, part_size or 0, generation)
    text = "\0".join((etag, version_id or "", *map(str, layout)))
    return _urlsafe(hashlib.blake2b(text.encode(), digest_size=15).digest())


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii")
