"""Which staged blocks a later try reuses."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.checksums import Algorithm
from airflow_s3_azure.engine.errors import IntegrityError
from tests.fakes.memory import (
    BLOCK,
    DATA,
    SIZE,
    FakeAzure,
    FakeS3,
    break_off_at,
    checksum_of,
    content_of,
    copy_one,
    id_of,
    stored,
)


def test_a_block_is_staged_under_its_own_id() -> None:
    """The ID is the checkpoint, which these tests build themselves."""
    source, container = FakeS3({"key": stored(DATA)}, break_off_at(2)), FakeAzure()

    copy_one(source, container)

    assert container.blocks == {"key": {id_of(0): DATA[:8], id_of(1): DATA[8:16]}}


def test_a_next_try_reads_only_what_is_not_staged() -> None:
    """A copy that broke off goes on where it was."""
    container = FakeAzure()
    copy_one(FakeS3({"key": stored(DATA)}, break_off_at(4)), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert source.reads == [("key", 4), ("key", 5)]
    assert (result.status, result.verified, result.blocks, result.resumed_blocks, result.bytes_read) == (
        "copied",
        "crc64nvme",
        6,
        4,
        11,
    )
    assert container.blobs["key"].data == DATA


def test_a_next_try_may_have_nothing_to_do_but_commit() -> None:
    """Where all blocks are staged, no byte is read again."""
    container = FakeAzure()
    container.blocks["key"] = {id_of(index): DATA[index * BLOCK : (index + 1) * BLOCK] for index in range(6)}
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert (source.reads, result.status, result.resumed_blocks) == ([], "copied", 6)
    assert container.blobs["key"].data == DATA


def test_staged_blocks_are_part_of_the_verification() -> None:
    """A staged block whose CRC does not fit the object's is found before the commit, not believed."""
    container = FakeAzure()
    wrong = b"!" * SIZE
    container.blocks["key"] = {id_of(1, wrong): wrong[8:16]}

    result = copy_one(FakeS3({"key": stored(DATA)}), container)

    assert isinstance(result.error, IntegrityError)
    assert container.blobs == {}


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C"])
def test_a_resumed_copy_is_verified_by_32_bits_too(algorithm: Algorithm) -> None:
    """The IDs keep what the object's stored checksum needs."""
    container = FakeAzure()
    found = stored(DATA, checksum=checksum_of(DATA, algorithm))
    copy_one(FakeS3({"key": found}, break_off_at(4)), container)

    result = copy_one(FakeS3({"key": found}), container)

    assert (result.status, result.verified, result.resumed_blocks) == ("copied", algorithm.lower(), 4)


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param({id_of(1, etag="other"): DATA[8:16]}, id="another ETag"),
        pytest.param({id_of(1, version_id="v2"): DATA[8:16]}, id="another version"),
        pytest.param({id_of(1, size=SIZE + 1): DATA[8:16]}, id="another size"),
        pytest.param({id_of(1, block_size=16): DATA[8:16]}, id="another block size"),
        pytest.param({id_of(1, generation=1): DATA[8:16]}, id="another generation"),
        pytest.param({id_of(1): DATA[8:15]}, id="a shorter block"),
        pytest.param({id_of(1): DATA[8:17]}, id="a longer block"),
        pytest.param({id_of(6): b""}, id="a block behind the end"),
        pytest.param({bytes(46): DATA[8:16], b"s2" + id_of(1)[2:]: DATA[8:16]}, id="other tools' names"),
    ],
)
def test_staged_blocks_of_something_else_are_not_used(blocks: dict[bytes, bytes]) -> None:
    """Only a block of this version, this layout and the right size is reused."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()
    container.blocks["key"] = dict(blocks)

    result = copy_one(source, container)

    assert source.reads == [("key", index) for index in range(6)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 0, DATA)


@pytest.mark.parametrize("wrongs", [1, 2])
def test_contradicting_staged_blocks_are_all_ignored(wrongs: int) -> None:
    """Of several contents for one block at most one is right, so it is read again; the other blocks are not."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()
    container.blocks["key"] = {id_of(index): DATA[index * BLOCK : (index + 1) * BLOCK] for index in range(6)}
    for number in range(wrongs):
        wrong = b"%d" % number * SIZE
        container.blocks["key"][id_of(1, wrong)] = wrong[8:16]

    result = copy_one(source, container)

    assert source.reads == [("key", 1)]
    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 5, DATA)


def test_a_changed_object_is_copied_from_its_beginning() -> None:
    """Blocks of the old version are of no use to the new one, and none of them is mixed in."""
    container = FakeAzure()
    copy_one(FakeS3({"key": stored(DATA)}, break_off_at(4)), container)
    new = content_of(SIZE, seed=1)

    result = copy_one(FakeS3({"key": stored(new)}), container)

    assert (result.status, result.resumed_blocks, container.blobs["key"].data) == ("copied", 0, new)
