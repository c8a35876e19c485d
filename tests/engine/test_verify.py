"""Comparing what was read with what S3 stored at upload. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.blocks import split
from airflow_s3_azure.engine.checksums import Algorithm, StoredChecksum, checksum_block, combine_parts, compute
from airflow_s3_azure.engine.errors import IntegrityError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.verify import verify_blocks, verify_whole

ALGORITHMS = ["CRC64NVME", "CRC32", "CRC32C"]
bodies = st.binary(max_size=200)


def _source(data: bytes, algorithm: str) -> SourceObject:
    name = cast("Algorithm", algorithm)
    return SourceObject("k", len(data), "e", checksum=StoredChecksum(name, compute(name, memoryview(data))))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=bodies, block_size=st.integers(1, 50))
def test_blocks_combine_to_what_s3_stored(algorithm: str, data: bytes, block_size: int) -> None:
    """However the object is split."""
    source = _source(data, algorithm)
    blocks = [
        checksum_block(memoryview(data)[one.start : one.stop], source.checksum) for one in split(len(data), block_size)
    ]

    assert verify_blocks(source, blocks) == algorithm.lower()
    assert verify_whole(source, memoryview(data)) == algorithm.lower()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.binary(min_size=1, max_size=200), flipped=st.integers(0))
def test_a_flipped_bit_is_named_and_commits_nothing(algorithm: str, data: bytes, flipped: int) -> None:
    """Expected and actual are in the message."""
    source = _source(data, algorithm)
    wrong = bytearray(data)
    wrong[flipped % len(data)] ^= 1

    with pytest.raises(IntegrityError, match=rf"S3 stored {algorithm}:.* gives {algorithm}:.*nothing was committed"):
        verify_blocks(source, [checksum_block(memoryview(wrong), source.checksum)])
    with pytest.raises(IntegrityError) as caught:
        verify_whole(source, memoryview(wrong))

    assert (caught.value.transient, caught.value.attempts, caught.value.retryable) == (True, 2, False)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C"])
@given(data=st.binary(min_size=1, max_size=200), part_size=st.integers(1, 60))
def test_a_composite_checksum_is_compared_over_its_parts(algorithm: str, data: bytes, part_size: int) -> None:
    """Its parts end where blocks end."""
    name = cast("Algorithm", algorithm)
    stored = StoredChecksum(name, 0, parts=-(-len(data) // part_size))
    blocks = [checksum_block(memoryview(data)[one.start : one.stop], stored) for one in split(len(data), 7, part_size)]
    stored = replace(stored, value=combine_parts(name, blocks, part_size))
    source = SourceObject("k", len(data), "e", checksum=stored)

    assert verify_blocks(source, blocks, part_size) == f"composite-{algorithm.lower()}"
    assert verify_whole(source, memoryview(data), part_size) == f"composite-{algorithm.lower()}"


@given(data=bodies)
def test_an_etag_that_is_an_md5_verifies_a_whole_object(data: bytes) -> None:
    """Only where S3 stored no checksum."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    source = SourceObject("k", len(data), md5, md5=md5)

    assert verify_whole(source, memoryview(data)) == "md5"
    with pytest.raises(IntegrityError, match=r"its ETag is MD5 .* but what was read gives"):
        verify_whole(replace(source, md5="0" * 32), memoryview(data))


def test_without_a_stored_checksum_only_the_blocks_are_verified() -> None:
    """The result reports it."""
    source = SourceObject("k", 3, "e")

    assert verify_blocks(source, [checksum_block(memoryview(b"abc"), None)]) == "blocks"
    assert verify_whole(source, memoryview(b"abc")) == "blocks"
