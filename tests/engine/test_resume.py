"""Which staged blocks a layout takes for its own. Pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.blocks import BlockId
from airflow_s3_azure.engine.checksums import BlockChecksums, StoredChecksum
from airflow_s3_azure.engine.model import SourceObject, StagedBlock
from airflow_s3_azure.engine.resume import BlockLayout, count_conflicting_blocks
from airflow_s3_azure.engine.server_side.block_ids import ServerSideBlockId

SOURCE = SourceObject("k", size=25, etag="e", version_id="v")
LAYOUT = BlockLayout(SOURCE, 10)
CRCS = [BlockChecksums(block.size, 7 + block.index) for block in LAYOUT.blocks]


def _staged(layout: BlockLayout = LAYOUT, crcs: list[BlockChecksums] = CRCS) -> list[StagedBlock]:
    return [
        StagedBlock(layout.name(block, found).encode(), block.size)
        for block, found in zip(layout.blocks, crcs, strict=True)
    ]


@given(st.permutations(_staged()), st.integers(0, 3))
def test_blocks_are_reused_in_any_order_of_the_list(staged: list[StagedBlock], count: int) -> None:
    """Their CRCs are those of their IDs."""
    kept = staged[:count]

    reused = LAYOUT.reused(kept)

    assert {known.name.encode() for known in reused.values()} == {one.name for one in kept}
    assert all(known.checksums == CRCS[index] for index, known in reused.items())


@pytest.mark.parametrize(
    "other",
    [
        BlockLayout(replace(SOURCE, etag="f"), 10),
        BlockLayout(replace(SOURCE, version_id="w"), 10),
        BlockLayout(replace(SOURCE, version_id=None), 10),
        BlockLayout(SOURCE, 10, part_size=25),
        BlockLayout(SOURCE, 10, generation=1),
    ],
)
def test_blocks_of_another_version_or_layout_are_not_reused(other: BlockLayout) -> None:
    """Every difference is in the fingerprint."""
    assert LAYOUT.reused(_staged(other)) == {}


@pytest.mark.parametrize(
    "foreign",
    [
        StagedBlock(b"", 10),
        StagedBlock(b"\xff" * 46, 10),
        StagedBlock(b"another tool's", 10),
        StagedBlock(BlockId(3, LAYOUT.fingerprint, 1).encode().encode(), 10),
        StagedBlock(BlockId(50_000, LAYOUT.fingerprint, 1).encode().encode(), 10),
        StagedBlock(BlockId(0, LAYOUT.fingerprint, 1).encode().encode(), 9),
    ],
)
def test_blocks_that_cannot_be_ours_are_ignored(foreign: StagedBlock) -> None:
    """Of other tools, of an index or a size that the layout does not have."""
    assert LAYOUT.reused([foreign]) == {}


def test_a_block_that_is_staged_with_two_contents_is_copied_again() -> None:
    """One of them is wrong."""
    wrong = StagedBlock(BlockId(1, LAYOUT.fingerprint, 99).encode().encode(), 10)

    assert sorted(LAYOUT.reused([*_staged(), wrong])) == [0, 2]


def test_a_marker_opens_a_new_generation() -> None:
    """Blocks of an earlier generation were found to be wrong."""
    marker = StagedBlock(LAYOUT.generation_marker().encode(), 1)

    second = LAYOUT.in_generation_of([*_staged(), marker])

    assert (second.generation, second.reused(_staged())) == (1, {})
    assert second.in_generation_of([marker, StagedBlock(second.generation_marker().encode(), 1)]).generation == 2


@pytest.mark.parametrize(("stored", "is_reused"), [(None, True), ("CRC64NVME", True), ("CRC32", False)])
def test_a_block_that_azure_read_is_reused_where_its_crc64_suffices(stored: str | None, *, is_reused: bool) -> None:
    """S3's CRC-32 needs a CRC that Azure does not return."""
    checksum = None if stored is None else StoredChecksum(stored, 1)  # type: ignore[arg-type]
    layout = BlockLayout(replace(SOURCE, checksum=checksum), 10)
    name = ServerSideBlockId(0, layout.fingerprint, 5)
    staged = [StagedBlock(name.encode().encode(), 10), StagedBlock(name.crc_marker(7).encode(), 1)]

    found = layout.reused(staged)

    assert [(known.is_server_side, known.checksums.crc64) for known in found.values()] == (
        [(True, 7)] if is_reused else []
    )


@given(st.lists(st.binary(max_size=64)))
def test_blocks_conflict_if_their_ids_have_another_length(names: list[bytes]) -> None:
    """Azure takes only IDs of one length for a blob."""
    staged = [StagedBlock(name, 1) for name in names]

    assert count_conflicting_blocks(staged) == sum(len(name) != 46 for name in names)
    assert count_conflicting_blocks(_staged()) == 0


@given(st.lists(st.tuples(st.binary(max_size=64), st.integers(0, 10**10)), max_size=20))
def test_only_our_blocks_are_reused(blocks: list[tuple[bytes, int]]) -> None:
    """Block IDs are untrusted."""
    assert LAYOUT.reused(StagedBlock(name, size) for name, size in blocks) == {}
