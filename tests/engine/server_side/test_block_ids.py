"""Which staged blocks of a server-side copy are reused."""

from __future__ import annotations

from airflow_s3_azure.engine.blocks import BlockId
from airflow_s3_azure.engine.checksums import BlockChecksums, StoredChecksum
from airflow_s3_azure.engine.model import SourceObject, StagedBlock
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock, count_conflicting_blocks
from airflow_s3_azure.engine.server_side.block_ids import ServerSideBlockId

LAYOUT = BlockLayout(SourceObject("key", size=25, etag="etag"), block_size=10)


def _staged(*blocks: tuple[str, int]) -> list[StagedBlock]:
    return [StagedBlock(name.encode(), size) for name, size in blocks]


def _id(index: int, number: int = 7, layout: BlockLayout = LAYOUT) -> ServerSideBlockId:
    return ServerSideBlockId(index, layout.fingerprint, number)


def test_the_format_is_a_promise() -> None:
    """Another release resumes what this one staged."""
    name = ServerSideBlockId(7, "nZU9SmWWxeS82Ur2iX44", 0xCBF43926)

    assert name.encode() == "u1.00007.nZU9SmWWxeS82Ur2iX44.AAAAAAAAAADL9Dkm"
    assert name.crc_marker(0xAE8B14860A799888) == "n1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm"
    assert BlockId.decode(name.encode().encode()) is BlockId.decode(name.crc_marker(1).encode()) is None
    assert count_conflicting_blocks(_staged((name.encode(), 10), (name.crc_marker(1), 1))) == 0


def test_a_block_with_its_crc_marker_is_reused() -> None:
    """The CRC comes from the marker; the last block is shorter."""
    one, last = _id(0), _id(2, 8)

    found = LAYOUT.reused(
        _staged((one.encode(), 10), (last.crc_marker(44), 1), (one.crc_marker(33), 1), (last.encode(), 5))
    )

    assert found == {
        0: KnownBlock(one.encode(), BlockChecksums(10, 33), is_server_side=True),
        2: KnownBlock(last.encode(), BlockChecksums(5, 44), is_server_side=True),
    }


def test_what_does_not_fit_is_not_reused() -> None:
    """No marker, another attempt's marker, another size, another version, no such block, two markers that differ."""
    other = BlockLayout(SourceObject("key", size=25, etag="other"), block_size=10)
    twice, late, beyond, foreign = _id(1), _id(2), _id(3), _id(0, 9, other)
    staged = _staged(
        (_id(0, 1).encode(), 10),
        (_id(0, 2).crc_marker(5), 1),
        (twice.encode(), 10),
        (twice.crc_marker(5), 1),
        (twice.crc_marker(6), 1),
        (late.encode(), 6),
        (late.crc_marker(5), 1),
        (beyond.encode(), 10),
        (beyond.crc_marker(5), 1),
        (foreign.encode(), 10),
        (foreign.crc_marker(5), 1),
    )

    assert LAYOUT.reused(staged) == {}


def test_two_attempts_that_agree_are_as_good_as_one() -> None:
    """A streamed block is preferred to a server-side one, because its ID has more checksums."""
    read = LAYOUT.name(LAYOUT.blocks[0], BlockChecksums(10, 33))
    pair = [_id(0, 1), _id(0, 2)]
    staged = _staged(*((one.encode(), 10) for one in pair), *((one.crc_marker(33), 1) for one in pair))

    assert LAYOUT.reused(staged)[0].name == pair[0].encode()
    assert LAYOUT.reused([*staged, *_staged((read, 10))])[0] == KnownBlock(read, BlockChecksums(10, 33))
    assert LAYOUT.reused([*staged, *_staged((_id(0, 3).encode(), 10), (_id(0, 3).crc_marker(34), 1))]) == {}


def test_where_s3_stored_another_crc_only_what_was_read_is_reused() -> None:
    """A CRC-32 of the whole needs a CRC-32 of each block, which Azure does not return."""
    source = SourceObject("key", size=25, etag="etag", checksum=StoredChecksum("CRC32", 1))
    staged = _staged((_id(0).encode(), 10), (_id(0).crc_marker(5), 1))

    assert BlockLayout(source, 10).reused(staged) == {}
    assert list(LAYOUT.reused(staged)) == [0]
