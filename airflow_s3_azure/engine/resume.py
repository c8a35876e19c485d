"""One version of an object, cut into blocks, and which of the blocks that Azure holds are its own.

The staged blocks are the only checkpoint. A block's ID says which version of the source it is of, where that was
cut, and what its CRCs are; so a later try, on whatever worker, takes over what is there and still proves the whole
object. Blocks that turned out to be wrong cannot be removed one by one in Azure: a marker block is staged instead,
and every marker opens a new generation of IDs.

A block that Azure read by itself has an ID that cannot say its CRC; a note beside it does
(:mod:`airflow_s3_azure.engine.server_side.block_ids`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from airflow_s3_azure.engine.blocks import MAX_BLOCKS, Block, BlockId, fingerprint, split
from airflow_s3_azure.engine.checksums import BlockChecksums
from airflow_s3_azure.engine.model import SourceObject, StagedBlock
from airflow_s3_azure.engine.server_side.block_ids import server_side_blocks


@dataclass(frozen=True, slots=True)
class KnownBlock:
    """A block that is staged, and what is known of it.

    :param name: the ID under which it is to be committed
    :param is_server_side: whether Azure read it by itself, so that no CRC was checked on its way
    """

    name: str
    checksums: BlockChecksums
    is_server_side: bool = False


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """An object and the places where it is cut.

    :param block_size: bytes in a block, at most
    :param part_size: bytes in a part of its upload, if no block may cross the end of one
    :param generation: how often the blocks staged for it were discarded before
    """

    source: SourceObject
    block_size: int
    part_size: int | None = None
    generation: int = 0
    blocks: list[Block] = field(init=False, repr=False)
    fingerprint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", split(self.source.size, self.block_size, self.part_size))
        marks = fingerprint(
            etag=self.source.etag,
            version_id=self.source.version_id,
            size=self.source.size,
            block_size=self.block_size,
            part_size=self.part_size,
            generation=self.generation,
        )
        object.__setattr__(self, "fingerprint", marks)

    def name(self, block: Block, checksums: BlockChecksums) -> str:
        """Return the ID under which a block is staged and committed."""
        return BlockId(block.index, self.fingerprint, checksums.crc64, checksums.crc32).encode()

    def in_generation_of(self, staged: Iterable[StagedBlock]) -> BlockLayout:
        """Return the same cut in the generation that the markers among the staged blocks opened."""
        first = replace(self, generation=0)
        names = (BlockId.decode(one.name) for one in staged)
        marks = sum(1 for name in names if name and name.fingerprint == first.fingerprint and name.index >= MAX_BLOCKS)
        return replace(self, generation=marks)

    def generation_marker(self) -> str:
        """Return the ID of the marker that opens the next generation."""
        first = replace(self, generation=0)
        return BlockId(MAX_BLOCKS + self.generation, first.fingerprint, 0).encode()

    def reused(self, staged: Iterable[StagedBlock]) -> dict[int, KnownBlock]:
        """Return the staged blocks that are this cut's, by index.

        Blocks of another version, another cut or another tool are never used, nor is a block that is there with two
        different contents: one of them is wrong. A block that Azure pulled is used unless the checksum that S3 stored
        needs a CRC of it that only reading it tells.
        """
        listed = list(staged)
        found = self._read(listed)
        doubtful = {index for index, blocks in found.items() if len(blocks) > 1}
        if self.source.checksum is None or self.source.checksum.algorithm == "CRC64NVME":
            for index, blocks in self._pulled(listed).items():
                found.setdefault(index, []).extend(blocks)
        for index, blocks in found.items():
            if len({block.checksums.crc64 for block in blocks}) > 1:
                doubtful.add(index)
        return {index: blocks[0] for index, blocks in found.items() if index not in doubtful}

    def _read(self, staged: Iterable[StagedBlock]) -> dict[int, list[KnownBlock]]:
        found: dict[int, list[KnownBlock]] = {}
        for one in staged:
            name = BlockId.decode(one.name)
            if name and name.fingerprint == self.fingerprint and self._has_size(name.index, one.size):
                checksums = BlockChecksums(one.size, name.crc64, name.crc32)
                found.setdefault(name.index, []).append(KnownBlock(name.encode(), checksums))
        return found

    def _pulled(self, staged: Iterable[StagedBlock]) -> dict[int, list[KnownBlock]]:
        found: dict[int, list[KnownBlock]] = {}
        for name, size, crc64 in server_side_blocks(staged, self.fingerprint):
            if self._has_size(name.index, size):
                known = KnownBlock(name.encode(), BlockChecksums(size, crc64), is_server_side=True)
                found.setdefault(name.index, []).append(known)
        return found

    def _has_size(self, index: int, size: int) -> bool:
        return index < len(self.blocks) and self.blocks[index].size == size


def count_conflicting_blocks(staged: Iterable[StagedBlock]) -> int:
    """Return how many staged blocks have IDs of another length than ours, which Azure takes no others beside."""
    ours = len(BlockId(0, "x" * 20, 0).encode())
    return sum(1 for one in staged if len(one.name) != ours)
