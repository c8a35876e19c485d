"""The IDs of server-side blocks and of their CRC marker blocks. Pure.

Theory of operation: the ID of a server-side block is chosen before Azure reads its bytes, so it cannot record their CRC, as
the ID of a streamed block does. It has a random number instead. When Azure has returned the block's CRC, a *CRC marker
block* is staged: one byte that is never committed, under an ID with the same number and the CRC.

Invariants: a number belongs to one attempt, so no other attempt stages other bytes under the ID that this one verified. A
block without a marker is never reused, because its CRC is unknown.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from airflow_s3_azure.engine.blocks import decode_id, encode_id
from airflow_s3_azure.engine.model import StagedBlock

_BLOCK_FORMAT = "u1"
_MARKER_FORMAT = "n1"


@dataclass(frozen=True, slots=True)
class ServerSideBlockId:
    """The ID of a block that Azure reads from S3.

    :param index: the block's position, from 0
    :param fingerprint: of the source and the layout
    :param number: of the attempt to stage it
    """

    index: int
    fingerprint: str
    number: int

    @classmethod
    def new(cls, index: int, fingerprint: str) -> Self:
        """Return an ID for a new attempt."""
        return cls(index, fingerprint, secrets.randbits(32))

    def encode(self) -> str:
        """Return the ID; it has the length of every other ID of this package."""
        return encode_id(_BLOCK_FORMAT, self.index, self.fingerprint, bytes(8) + self.number.to_bytes(4, "big"))

    def crc_marker(self, crc64: int) -> str:
        """Return the ID of the marker block that records the block's CRC-64/NVME."""
        payload = crc64.to_bytes(8, "big") + self.number.to_bytes(4, "big")
        return encode_id(_MARKER_FORMAT, self.index, self.fingerprint, payload)


def server_side_blocks(staged: Iterable[StagedBlock], fingerprint: str) -> Iterator[tuple[ServerSideBlockId, int, int]]:
    """Yield ID, size in bytes and CRC-64/NVME of the server-side blocks of a layout that have a CRC marker.

    A block with several markers is yielded with each, so that the caller can compare them.
    """
    blocks: list[tuple[ServerSideBlockId, int]] = []
    markers: dict[tuple[int, int], list[int]] = {}
    for one in staged:
        match decode_id(one.name):
            case (format_, index, found, payload) if found == fingerprint:
                number = int.from_bytes(payload[8:], "big")
                if format_ == _BLOCK_FORMAT:
                    blocks.append((ServerSideBlockId(index, found, number), one.size))
                elif format_ == _MARKER_FORMAT:
                    markers.setdefault((index, number), []).append(int.from_bytes(payload[:8], "big"))
    for block, size in blocks:
        for crc64 in markers.get((block.index, block.number), []):
            yield block, size, crc64
