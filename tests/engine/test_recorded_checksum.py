"""The checksum that a copy records on its blob and in its result, for anyone who reads the blob when the source is gone."""

from __future__ import annotations

import base64
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.blocks import block_size_for, split
from airflow_s3_azure.engine.checksums import BlockChecksums, StoredChecksum, compute
from airflow_s3_azure.engine.model import CopyResult, Precondition, SourceObject, StagedBlock
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.engine.resume import BlockLayout, KnownBlock, combined_crc64
from airflow_s3_azure.engine.server_side.block_ids import ServerSideBlockId
from tests.fakes.memory import (
    BLOCK,
    DATA,
    OPTIONS,
    SIZE,
    FakeAzure,
    FakeS3,
    break_off_at,
    checksum_of,
    content_of,
    copy_one,
    id_of,
    request_for,
    stored,
)


def crc64_of(data: bytes) -> str:
    """Return the CRC-64/NVME of these bytes as S3 writes it: base64, big-endian."""
    return base64.b64encode(compute("CRC64NVME", memoryview(data)).to_bytes(8, "big")).decode("ascii")


def recorded(container: FakeAzure) -> SourceRecord:
    """Return the record of the only blob."""
    record = SourceRecord.from_metadata(container.blobs["key"].content.metadata)
    assert record is not None
    return record


def assert_recorded(container: FakeAzure, result: CopyResult) -> None:
    """Check that the record and the result have the CRC of the blob's bytes."""
    expected = crc64_of(container.blobs["key"].data)
    assert (recorded(container).crc64nvme, result.crc64nvme) == (expected, expected)


checksums = st.sampled_from(["CRC64NVME", "CRC32", "CRC32C", None])


@given(data=st.binary(max_size=200), block_size=st.integers(1, 64), algorithm=checksums, stop=st.integers(0, 30))
def test_the_recorded_crc_is_that_of_the_bytes(data: bytes, block_size: int, algorithm: object, stop: int) -> None:
    """Of any size in blocks of any size, whatever S3 stored, also where a first try ended at any block."""
    checksum = algorithm and checksum_of(data, algorithm)  # type: ignore[arg-type]
    found = stored(data, checksum=checksum)
    options, container = replace(OPTIONS, block_size=block_size), FakeAzure()
    reads = itertools.count()
    fail = break_off_at(0)

    def break_off(key: str, _: int) -> None:
        if next(reads) == stop:
            fail(key, 0)

    first = copy_one(FakeS3({"key": found}, break_off), container, options=options)
    result = copy_one(FakeS3({"key": found}), container, options=options)

    assert container.blobs["key"].data == data
    assert_recorded(container, result)
    assert first.crc64nvme == (result.crc64nvme if first.status == "copied" else None)
    assert result.source_checksum == recorded(container).checksum == (checksum and str(checksum))


@given(
    data=st.binary(min_size=1, max_size=300), block_size=st.integers(1, 64), part_size=st.none() | st.integers(1, 90)
)
def test_server_side_blocks_combine_to_the_crc_of_the_bytes(
    data: bytes, block_size: int, part_size: int | None
) -> None:
    """From Azure's CRCs, and from the CRC marker blocks of an earlier try; with any parts of the upload."""
    source = SourceObject("key", len(data), "etag")
    layout = BlockLayout(source, block_size_for(len(data), block_size, part_size), part_size)
    staged: list[StagedBlock] = []
    for block in layout.blocks:
        name = ServerSideBlockId.new(block.index, layout.fingerprint)
        crc64 = compute("CRC64NVME", memoryview(data)[block.start : block.stop])
        staged.append(StagedBlock(name.encode().encode("ascii"), block.size))
        staged.append(StagedBlock(name.crc_marker(crc64).encode("ascii"), 1))

    reused = layout.reused(staged)

    assert combined_crc64([reused[block.index] for block in layout.blocks]) == crc64_of(data)


def test_a_block_of_unknown_crc_makes_the_whole_unknown() -> None:
    """Azure returns no CRC-64 of a block that it verified by MD5; a wrong value would be worse than none."""
    known = KnownBlock("id", BlockChecksums(3, 7))

    assert combined_crc64([known]) == "AAAAAAAAAAc="
    assert combined_crc64([known, KnownBlock("id", BlockChecksums(3, 0), has_crc64=False)]) is None


def test_blocks_staged_by_an_earlier_try_are_enough() -> None:
    """Where nothing is read again, the CRC is combined from the block IDs alone."""
    container = FakeAzure()
    container.blocks["key"] = {id_of(block.index): DATA[block.start : block.stop] for block in split(SIZE, BLOCK)}

    result = copy_one(FakeS3({"key": stored(DATA)}), container)

    assert result.bytes_read == 0
    assert_recorded(container, result)


@pytest.mark.parametrize("size", [0, 1, BLOCK])
def test_a_small_object_of_a_plan_has_its_checksums_recorded(size: int) -> None:
    """One GET and one PUT, no HEAD: the GET's headers say what S3 stored."""
    found, container = stored(content_of(size)), FakeAzure()
    source = FakeS3({"key": found})

    result = copy_one(source, container, requests=[request_for("key", found, Precondition(None))])

    assert source.heads == []
    assert_recorded(container, result)
    assert result.source_checksum == str(found.checksum)


@pytest.mark.parametrize("size", [BLOCK, SIZE])
def test_an_unchanged_blob_has_the_checksums_of_its_record(size: int) -> None:
    """Nothing is read again to know them."""
    found, container = stored(content_of(size)), FakeAzure()
    copied = copy_one(FakeS3({"key": found}), container)

    result = copy_one(FakeS3({"key": found}), container)

    assert (result.status, result.crc64nvme, result.source_checksum) == (
        "unchanged",
        copied.crc64nvme,
        str(found.checksum),
    )


def test_an_unchanged_blob_of_an_earlier_version_has_no_crc() -> None:
    """Its record has none; the source's checksum is known from the HEAD of the object."""
    found, container = stored(DATA), FakeAzure()
    container.add("key", DATA, SourceRecord(found.etag, SIZE).as_metadata())

    result = copy_one(FakeS3({"key": found}), container)

    assert (result.status, result.crc64nvme, result.source_checksum) == ("unchanged", None, str(found.checksum))


def test_a_failed_copy_has_no_crc() -> None:
    """There is no blob that could have it."""
    wrong = StoredChecksum("CRC64NVME", 1)

    result = copy_one(FakeS3({"key": stored(DATA, checksum=wrong)}), FakeAzure())

    assert (result.status, result.crc64nvme, result.source_checksum) == ("failed", None, "CRC64NVME:AAAAAAAAAAE=")
