"""What the blocks are called that Azure reads from S3 by itself.

The ID of a block is chosen before its bytes are known, so it cannot say their CRC, as the ID of a block that went
through a worker does. It has a random number instead; and once Azure has told the block's CRC, a *note* is staged
beside it: a block of one byte that is never committed, whose ID says that number and the CRC. A block whose note is
missing is pulled again.

The number is of one attempt: no other attempt can put other bytes under the ID that this one verified. Pure.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from airflow_s3_azure.engine.blocks import decode_id, encode_id
from airflow_s3_azure.engine.model import StagedBlock

_BLOCK_FORMAT = "u1"
_NOTE_FORMAT = "n1"


@dataclass(frozen=True, slots=True)
class ServerSideBlockId:
    """The ID of a block that Azure reads by itself.

    :param index: the block's place, from 0
    :param fingerprint: of the source and the cut
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
        """Return the ID of the note that says the block's CRC-64/NVME."""
        said = crc64.to_bytes(8, "big") + self.number.to_bytes(4, "big")
        return encode_id(_NOTE_FORMAT, self.index, self.fingerprint, said)


def server_side_blocks(staged: Iterable[StagedBlock], fingerprint: str) -> Iterator[tuple[ServerSideBlockId, int, int]]:
    """Yield ID, size in bytes and CRC-64/NVME of the pulled blocks of a cut that have a note.

    A block with several notes is yielded with each: whoever asks sees whether they agree.
    """
    blocks: list[tuple[ServerSideBlockId, int]] = []
    notes: dict[tuple[int, int], list[int]] = {}
    for one in staged:
        match decode_id(one.name):
            case (format_, index, marks, said) if marks == fingerprint:
                number = int.from_bytes(said[8:], "big")
                if format_ == _BLOCK_FORMAT:
                    blocks.append((ServerSideBlockId(index, marks, number), one.size))
                elif format_ == _NOTE_FORMAT:
                    notes.setdefault((index, number), []).append(int.from_bytes(said[:8], "big"))
    for block, size in blocks:
        for crc64 in notes.get((block.index, block.number), []):
            yield block, size, crc64
