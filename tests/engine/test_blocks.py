"""How objects are split into blocks, and the block IDs."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_s3_azure.engine.blocks import (
    DEFAULT_BLOCK_SIZE,
    MAX_BLOB_SIZE,
    MAX_BLOCK_SIZE,
    MAX_BLOCKS,
    MIB,
    Block,
    BlockId,
    block_size_for,
    fingerprint,
    split,
)
from airflow_s3_azure.engine.errors import ConfigurationError

GIB = 1024 * MIB
TIB = 1024 * GIB

preferred_sizes = st.integers(1, MAX_BLOCK_SIZE)
blob_sizes = st.integers(0, MAX_BLOB_SIZE)
fingerprints = st.binary(min_size=15, max_size=15).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
block_ids = st.builds(
    BlockId,
    index=st.integers(0, 99_999),
    fingerprint=fingerprints,
    crc64=st.integers(0, 2**64 - 1),
    crc32=st.integers(0, 2**32 - 1),
)


@given(block_size=st.integers(1, 1000), blocks=st.integers(0, 200), more=st.integers(0, 999))
def test_split_covers_the_object_exactly(block_size: int, blocks: int, more: int) -> None:
    """The blocks begin at 0, end at the size, and each begins where the one before ends."""
    size = block_size * blocks + more % block_size

    found = split(size, block_size)

    edges = [0, *(block.stop for block in found)]
    assert [(block.start, block.stop) for block in found] == list(pairwise(edges))
    assert edges[-1] == size


@given(block_size=st.integers(1, 1000), size=st.integers(0, 50_000))
def test_split_yields_full_blocks_and_a_rest(block_size: int, size: int) -> None:
    """All blocks have the block size, but for the last, which has what remains; none is empty."""
    whole, rest = divmod(size, block_size)

    found = split(size, block_size)

    assert [block.size for block in found] == [block_size] * whole + [rest] * bool(rest)


@given(block_size=st.integers(1, 1000), size=st.integers(0, 50_000))
def test_split_numbers_blocks_from_zero(block_size: int, size: int) -> None:
    """A block's index is its place in the list."""
    found = split(size, block_size)

    assert [block.index for block in found] == list(range(len(found)))


def test_split_ranges_are_half_open() -> None:
    """Ten bytes in blocks of four are [0, 4), [4, 8) and [8, 10)."""
    assert split(10, 4) == [Block(0, 0, 4), Block(1, 4, 8), Block(2, 8, 10)]


def test_an_empty_object_has_no_blocks() -> None:
    """There is nothing to stage for zero bytes."""
    assert split(0, 8) == []


@given(size=blob_sizes, preferred=preferred_sizes)
@example(size=MAX_BLOB_SIZE, preferred=1)
@example(size=MAX_BLOB_SIZE, preferred=MAX_BLOCK_SIZE - 1)
@example(size=MAX_BLOB_SIZE - 1, preferred=MAX_BLOCK_SIZE)
def test_a_block_size_needs_at_most_50000_blocks(size: int, preferred: int) -> None:
    """Any size that one blob holds fits 50,000 blocks of the chosen size."""
    assert -(-size // block_size_for(size, preferred)) <= 50_000


@given(size=blob_sizes, preferred=preferred_sizes)
@example(size=MAX_BLOB_SIZE, preferred=1)
@example(size=MAX_BLOB_SIZE, preferred=MAX_BLOCK_SIZE - 1)
def test_a_block_size_is_one_that_azure_accepts(size: int, preferred: int) -> None:
    """No block is larger than 4000 MiB."""
    assert 1 <= block_size_for(size, preferred) <= 4000 * MIB


@given(preferred=preferred_sizes, share=st.floats(0, 1))
def test_the_preferred_block_size_is_kept_if_it_suffices(preferred: int, share: float) -> None:
    """An object that fits 50,000 blocks of the preferred size is split into blocks of that size."""
    size = int(preferred * MAX_BLOCKS * share)

    assert block_size_for(size, preferred) == preferred


@given(preferred=st.integers(1, MAX_BLOCK_SIZE - 1), data=st.data())
def test_a_grown_block_size_is_the_smallest_whole_mib(preferred: int, data: st.DataObject) -> None:
    """Above 50,000 preferred blocks, it is a whole number of MiB, and one MiB less would not suffice."""
    size = data.draw(st.integers(preferred * MAX_BLOCKS + 1, MAX_BLOB_SIZE))

    found = block_size_for(size, preferred)

    assert found % MIB == 0
    assert (found - MIB) * MAX_BLOCKS < size <= found * MAX_BLOCKS


@pytest.mark.parametrize(
    ("size", "mib"),
    [
        pytest.param(195 * GIB, 4, id="195 GiB"),
        pytest.param(1 * TIB, 21, id="1 TiB"),
        pytest.param(5 * TIB, 105, id="5 TiB"),
        pytest.param(10 * TIB, 210, id="10 TiB"),
        pytest.param(50 * 10**12, 954, id="50 TB"),
        pytest.param(MAX_BLOB_SIZE, 4000, id="the largest blob"),
    ],
)
def test_known_sizes_have_known_blocks(size: int, mib: int) -> None:
    """With 4 MiB preferred, the smallest sufficient blocks are those of Azure's own table."""
    assert block_size_for(size, preferred=4 * MIB) == mib * MIB


def test_the_default_block_size_makes_high_throughput_blobs() -> None:
    """Azure's high-throughput blobs need blocks above 4 MiB."""
    assert block_size_for(1) == DEFAULT_BLOCK_SIZE == 8 * MIB


@pytest.mark.slow
def test_exactly_50000_blocks_are_taken() -> None:
    """The largest size for the preferred block size is split into exactly 50,000 blocks."""
    size = 50_000 * 8 * MIB

    assert len(split(size, block_size_for(size, 8 * MIB))) == 50_000


def test_one_byte_more_than_50000_blocks_grows_them() -> None:
    """One byte above 50,000 blocks of 8 MiB needs blocks of 9 MiB."""
    assert block_size_for(50_000 * 8 * MIB + 1, 8 * MIB) == 9 * MIB


@given(excess=st.integers(1, 2**60), preferred=preferred_sizes)
def test_a_size_above_that_of_one_blob_is_refused(excess: int, preferred: int) -> None:
    """Above 50,000 blocks of 4000 MiB there is no block size."""
    with pytest.raises(ConfigurationError, match="more than one block blob holds"):
        block_size_for(MAX_BLOB_SIZE + excess, preferred)


@pytest.mark.parametrize("preferred", [0, -1, MAX_BLOCK_SIZE + 1])
def test_a_block_size_that_azure_lacks_is_refused(preferred: int) -> None:
    """A preferred block size outside 1 byte to 4000 MiB is a configuration error."""
    with pytest.raises(ConfigurationError, match="Azure takes blocks of 1 to 4,194,304,000 bytes"):
        block_size_for(1, preferred)


@given(block_id=block_ids)
def test_a_decoded_block_id_equals_the_encoded_one(block_id: BlockId) -> None:
    """Decoding an encoded ID gives the same index, fingerprint and CRCs."""
    assert BlockId.decode(block_id.encode().encode("ascii")) == block_id


@given(block_id=block_ids)
def test_all_block_ids_have_one_length(block_id: BlockId) -> None:
    """Azure wants IDs of one length within a blob, of at most 64 bytes."""
    assert len(block_id.encode().encode("ascii")) == 46


def test_the_format_of_a_block_id_is_pinned() -> None:
    """Another format would make the blocks that an older release staged useless."""
    block_id = BlockId(7, "nZU9SmWWxeS82Ur2iX44", crc64=0xAE8B14860A799888, crc32=0xCBF43926)

    assert block_id.encode() == "s1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm"


@given(name=st.binary(max_size=64))
def test_random_bytes_are_not_our_block_id(name: bytes) -> None:
    """IDs of other tools, of any length, decode to None."""
    assert BlockId.decode(name) is None


@given(name=st.binary(min_size=46, max_size=46))
def test_random_bytes_of_the_right_length_are_not_our_block_id(name: bytes) -> None:
    """An ID is ours by its form, not by its length."""
    assert BlockId.decode(name) is None


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"s1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dk", id="one character short"),
        pytest.param(b"s1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkmm", id="one character long"),
        pytest.param(b"s1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm\n", id="a newline at the end"),
        pytest.param(b"\ns1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm", id="a newline in front"),
        pytest.param(b"s2.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm", id="another format"),
        pytest.param(b"S1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm", id="upper case"),
        pytest.param(b"s1.0000a.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm", id="no number"),
        pytest.param(b"s1.-0007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm", id="a negative number"),
        pytest.param(b"s1.0007.nZU9SmWWxeS82Ur2iX44x.rosUhgp5mIjL9Dkm", id="dots elsewhere"),
        pytest.param(b"s1-00007-nZU9SmWWxeS82Ur2iX44-rosUhgp5mIjL9Dkm", id="no dots"),
        pytest.param(b"s1.00007.nZU9SmWWxeS82Ur2iX4+.rosUhgp5mIjL9Dkm", id="base64 of the other alphabet"),
        pytest.param(b"s1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dk=", id="padded base64"),
        pytest.param(
            "s1.0000\N{ARABIC-INDIC DIGIT SEVEN}.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm".encode(),
            id="another script's digit",
        ),
        pytest.param(base64.b64encode(b"s1.00007.nZU9SmWWxeS82Ur2iX44.rosUhgp5mIjL9Dkm"), id="still encoded"),
    ],
)
def test_a_near_miss_is_not_our_block_id(name: bytes) -> None:
    """A slightly different ID is not one of ours."""
    assert BlockId.decode(name) is None


versions = st.fixed_dictionaries(
    {
        "etag": st.text("0123456789abcdef-", min_size=1, max_size=40),
        "version_id": st.none() | st.text("ABCabc012._-", min_size=1, max_size=40),
        "size": st.integers(0, MAX_BLOB_SIZE),
        "block_size": st.integers(1, MAX_BLOCK_SIZE),
        "generation": st.integers(0, 99),
    }
)


@given(one=versions, other=versions, name=st.sampled_from(["etag", "version_id", "size", "block_size", "generation"]))
def test_a_fingerprint_differs_whenever_one_input_differs(
    one: dict[str, object], other: dict[str, object], name: str
) -> None:
    """Another value of any single input gives another fingerprint, and the same value the same."""
    changed = {**one, name: other[name]}

    found = fingerprint(**changed)  # type: ignore[arg-type]

    assert (found == fingerprint(**one)) == (changed == one)  # type: ignore[arg-type]


@given(one=versions, other=versions)
def test_a_fingerprint_differs_whenever_any_inputs_differ(one: dict[str, object], other: dict[str, object]) -> None:
    """Two versions, or two layouts of one version, share a fingerprint only if they are the same."""
    assert (fingerprint(**one) == fingerprint(**other)) == (one == other)  # type: ignore[arg-type]


@given(version=versions)
def test_a_fingerprint_fits_a_block_id(version: dict[str, object]) -> None:
    """An ID that holds the fingerprint can be decoded again."""
    found = fingerprint(**version)  # type: ignore[arg-type]

    decoded = BlockId.decode(BlockId(0, found, 0).encode().encode())

    assert decoded is not None
    assert decoded.fingerprint == found


@pytest.mark.parametrize(
    ("generation", "expected"), [(0, "lNshP21nZsQY-rj8r-pp"), (1, "EL2KuLnfIPbobaUKXZrg")], ids=["first", "second"]
)
def test_the_fingerprint_of_one_version_is_pinned(generation: int, expected: str) -> None:
    """Another algorithm would break the resume of what an older release staged."""
    found = fingerprint(
        etag="9bb58f26192e4ba00f01e2e7b136bbd8-2",
        version_id="v1",
        size=10 * MIB,
        block_size=8 * MIB,
        generation=generation,
    )

    assert found == expected
