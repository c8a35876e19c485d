"""Resumes a copy: the block layout of one version of an object, and which staged blocks belong to it.

Theory of operation: the staged blocks are the only checkpoint. A block's ID records the fingerprint of the source version
and the layout, the index, and the CRCs; so a later try, on any worker, reuses the staged blocks and still verifies the
whole object. The ID of a server-side block cannot record its CRC; a CRC marker block does
(:mod:`airflow_s3_azure.engine.server_side.block_ids`).

Azure cannot drop single staged blocks. If a verification fails, a generation marker is staged: a block of one byte with an
index beyond all blocks. The number of markers is the generation, and it is part of the fingerprint; so the blocks of
earlier generations no longer match, and the object is copied from scratch.

Invariants of :meth:`BlockLayout.reused`: a reused block has this layout's fingerprint and the size of its index; and no
block is reused whose index is staged with two different CRCs, because one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from airflow_s3_azure.engine.blocks import MAX_BLOCKS, Block, BlockId, fingerprint, split
from airflow_s3_azure.engine.checksums import BlockChecksums, combine, s3_text
from airflow_s3_azure.engine.model import SourceObject, StagedBlock
from airflow_s3_azure.engine.server_side.block_ids import server_side_blocks


@dataclass(frozen=True, slots=True)
class KnownBlock:
    """A staged block.

    :param name: the ID under which it is committed
    :param is_server_side: whether Azure read it from S3, so that no CRC was checked in transit
    :param has_crc64: False: Azure verified it by its MD5 and returned no CRC-64, so that of ``checksums`` is unknown
    """

    name: str
    checksums: BlockChecksums
    is_server_side: bool = False
    has_crc64: bool = True


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """The blocks into which one version of an object is split.

    :param block_size: maximum of bytes in a block
    :param part_size: bytes in a part of its upload, if no block may cross the end of one
    :param generation: how often the blocks staged for it were discarded
    """

    source: SourceObject
    block_size: int
    part_size: int | None = None
    generation: int = 0
    blocks: list[Block] = field(init=False, repr=False)
    fingerprint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", split(self.source.size, self.block_size, self.part_size))
        identity = fingerprint(
            etag=self.source.etag,
            version_id=self.source.version_id,
            size=self.source.size,
            block_size=self.block_size,
            part_size=self.part_size,
            generation=self.generation,
        )
        object.__setattr__(self, "fingerprint", identity)

    def name(self, block: Block, checksums: BlockChecksums) -> str:
        """Return the ID under which a block is staged and committed."""
        return BlockId(block.index, self.fingerprint, checksums.crc64, checksums.crc32).encode()

    def in_generation_of(self, staged: Iterable[StagedBlock]) -> BlockLayout:
        """Return this layout in the generation of the markers among the staged blocks."""
        first = replace(self, generation=0)
        ids = (BlockId.decode(one.name) for one in staged)
        markers = sum(1 for id_ in ids if id_ and id_.fingerprint == first.fingerprint and id_.index >= MAX_BLOCKS)
        return replace(self, generation=markers)

    def generation_marker(self) -> str:
        """Return the ID of the marker that starts the next generation."""
        first = replace(self, generation=0)
        return BlockId(MAX_BLOCKS + self.generation, first.fingerprint, 0).encode()

    def reused(self, staged: Iterable[StagedBlock]) -> dict[int, KnownBlock]:
        """Return the staged blocks of this layout, by index.

        A server-side block is reused only if its CRC-64 suffices: a stored CRC-32 would need its CRC-32, which is unknown.
        """
        listed = list(staged)
        found = self._streamed(listed)
        contradictory = {index for index, blocks in found.items() if len(blocks) > 1}
        if self.source.checksum is None or self.source.checksum.algorithm == "CRC64NVME":
            for index, blocks in self._server_side(listed).items():
                found.setdefault(index, []).extend(blocks)
        for index, blocks in found.items():
            if len({block.checksums.crc64 for block in blocks}) > 1:
                contradictory.add(index)
        return {index: blocks[0] for index, blocks in found.items() if index not in contradictory}

    def _streamed(self, staged: Iterable[StagedBlock]) -> dict[int, list[KnownBlock]]:
        found: dict[int, list[KnownBlock]] = {}
        for one in staged:
            name = BlockId.decode(one.name)
            if name and name.fingerprint == self.fingerprint and self._has_size(name.index, one.size):
                checksums = BlockChecksums(one.size, name.crc64, name.crc32)
                found.setdefault(name.index, []).append(KnownBlock(name.encode(), checksums))
        return found

    def _server_side(self, staged: Iterable[StagedBlock]) -> dict[int, list[KnownBlock]]:
        found: dict[int, list[KnownBlock]] = {}
        for name, size, crc64 in server_side_blocks(staged, self.fingerprint):
            if self._has_size(name.index, size):
                known = KnownBlock(name.encode(), BlockChecksums(size, crc64), is_server_side=True)
                found.setdefault(name.index, []).append(known)
        return found

    def _has_size(self, index: int, size: int) -> bool:
        return index < len(self.blocks) and self.blocks[index].size == size


def combined_crc64(blocks: Sequence[KnownBlock]) -> str | None:
    """Return the CRC-64/NVME of all blocks together, base64 as S3 writes it; None if that of any block is unknown."""
    if not all(block.has_crc64 for block in blocks):
        return None
    return s3_text("CRC64NVME", combine("CRC64NVME", (block.checksums for block in blocks)))


def count_conflicting_blocks(staged: Iterable[StagedBlock]) -> int:
    """Return how many staged blocks have IDs of another length than ours. Azure requires one length within a blob."""
    ours = len(BlockId(0, "x" * 20, 0).encode())
    return sum(1 for one in staged if len(one.name) != ours)
