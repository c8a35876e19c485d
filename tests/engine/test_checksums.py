"""The checksum bridge between S3's stored values and Azure's per-block values."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.checksums import (
    Algorithm,
    BlockChecksums,
    StoredChecksum,
    azure_text,
    checksum_block,
    checksum_type,
    combine,
    compute,
    read_source_checksum,
    s3_text,
    source_checksum,
    stored_checksum,
)

CHECK_TEXT = b"123456789"
CHECK_VALUES: dict[Algorithm, int] = {
    "CRC64NVME": 0xAE8B14860A799888,
    "CRC32": 0xCBF43926,
    "CRC32C": 0xE3069283,
}
S3_TEXTS: dict[Algorithm, str] = {"CRC64NVME": "rosUhgp5mIg=", "CRC32": "y/Q5Jg==", "CRC32C": "4waSgw=="}

every_algorithm = pytest.mark.parametrize("algorithm", get_args(Algorithm))


def crc64_bit_by_bit(data: bytes) -> int:
    """Return CRC-64/NVME by its definition: reflected, initial value and final XOR all ones."""
    value = 2**64 - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)
    return value ^ 2**64 - 1


def describe_block(algorithm: Algorithm, data: bytes) -> BlockChecksums:
    """Return the CRCs of a block that belongs to an object whose stored checksum is of this algorithm."""
    return checksum_block(memoryview(data), StoredChecksum(algorithm, 0))


@every_algorithm
def test_the_check_value_is_the_published_one(algorithm: Algorithm) -> None:
    """Each algorithm gives its catalogue value for ``123456789``."""
    assert compute(algorithm, memoryview(CHECK_TEXT)) == CHECK_VALUES[algorithm]


@every_algorithm
def test_no_bytes_have_checksum_zero(algorithm: Algorithm) -> None:
    """The combination begins with 0, so nothing must have the value 0."""
    assert compute(algorithm, memoryview(b"")) == 0


@given(data=st.binary(max_size=300))
def test_crc64_agrees_with_another_implementation(data: bytes) -> None:
    """The value is the one that the definition gives bit by bit."""
    assert compute("CRC64NVME", memoryview(data)) == crc64_bit_by_bit(data)


@every_algorithm
@given(data=st.binary(max_size=200), edges=st.lists(st.integers(0, 200), max_size=8))
def test_combined_pieces_give_the_value_of_the_whole(algorithm: Algorithm, data: bytes, edges: list[int]) -> None:
    """For any split, also into empty pieces, the pieces' values combine to the object's."""
    bounds = sorted([0, *(min(edge, len(data)) for edge in edges), len(data)])
    pieces = [describe_block(algorithm, data[start:stop]) for start, stop in pairwise(bounds)]

    assert combine(algorithm, pieces) == compute(algorithm, memoryview(data))


@every_algorithm
def test_no_pieces_combine_to_nothing(algorithm: Algorithm) -> None:
    """An object without blocks has the checksum of no bytes."""
    assert combine(algorithm, []) == compute(algorithm, memoryview(b""))


@every_algorithm
def test_pieces_in_another_order_combine_to_another_value(algorithm: Algorithm) -> None:
    """A mixed-up order of blocks cannot pass for the object."""
    pieces = [describe_block(algorithm, piece) for piece in (b"6789", b"12345")]

    assert combine(algorithm, pieces) != CHECK_VALUES[algorithm]


@every_algorithm
def test_a_slice_of_a_larger_buffer_is_checked_alone(algorithm: Algorithm) -> None:
    """Only the bytes of the view count, not those around it in the reused buffer."""
    buffer = memoryview(bytearray(b"xxx123456789yyy"))

    assert compute(algorithm, buffer[3:12]) == CHECK_VALUES[algorithm]


@pytest.mark.parametrize(
    ("stored", "crc32"),
    [
        (None, 0),
        (StoredChecksum("CRC64NVME", 1), 0),
        (StoredChecksum("CRC32", 1), 0xCBF43926),
        (StoredChecksum("CRC32C", 1), 0xE3069283),
    ],
    ids=["none", "crc64nvme", "crc32", "crc32c"],
)
def test_a_block_gets_the_crc32_that_the_object_needs(stored: StoredChecksum | None, crc32: int) -> None:
    """CRC-64 is always there, for Azure; a 32-bit value only where S3 stored one of that kind."""
    expected = BlockChecksums(size=9, crc64=0xAE8B14860A799888, crc32=crc32)

    assert checksum_block(memoryview(CHECK_TEXT), stored) == expected


@every_algorithm
def test_s3_writes_values_big_endian(algorithm: Algorithm) -> None:
    """The texts are those of ``x-amz-checksum-…`` headers."""
    assert s3_text(algorithm, CHECK_VALUES[algorithm]) == S3_TEXTS[algorithm]


def test_azure_writes_values_little_endian() -> None:
    """The text is that of ``x-ms-content-crc64``."""
    assert azure_text(0xAE8B14860A799888) == "iJh5CoYUi64="


@given(value=st.integers(0, 2**64 - 1))
def test_azure_and_s3_texts_are_each_other_reversed(value: int) -> None:
    """Only the order of the bytes differs."""
    azure, s3 = base64.b64decode(azure_text(value)), base64.b64decode(s3_text("CRC64NVME", value))

    assert azure == s3[::-1]


@given(algorithm=st.sampled_from(get_args(Algorithm)), data=st.binary(max_size=64))
def test_what_s3_writes_is_read_back(algorithm: Algorithm, data: bytes) -> None:
    """A header with the text of a value gives that value, also with leading zero bytes."""
    value = compute(algorithm, memoryview(data))

    found = stored_checksum({f"x-amz-checksum-{algorithm.lower()}": s3_text(algorithm, value)})

    assert found == StoredChecksum(algorithm, value)


@every_algorithm
def test_a_stored_checksum_has_its_name_and_s3_text(algorithm: Algorithm) -> None:
    """Messages and the blob's record show the value as S3 does."""
    text = str(StoredChecksum(algorithm, CHECK_VALUES[algorithm]))

    assert text == f"{algorithm}:{S3_TEXTS[algorithm]}"


@pytest.mark.parametrize(
    ("present", "strongest"),
    [
        (["CRC32C", "CRC32", "CRC64NVME"], "CRC64NVME"),
        (["CRC32C", "CRC64NVME"], "CRC64NVME"),
        (["CRC32", "CRC64NVME"], "CRC64NVME"),
        (["CRC32C"], "CRC32C"),
        (["CRC32"], "CRC32"),
    ],
)
def test_the_strongest_stored_checksum_is_taken(present: list[Algorithm], strongest: Algorithm) -> None:
    """64 bits are preferred to 32, in any order of the headers."""
    headers = {f"x-amz-checksum-{algorithm.lower()}": S3_TEXTS[algorithm] for algorithm in present}

    assert stored_checksum(headers) == StoredChecksum(strongest, CHECK_VALUES[strongest])


def test_a_full_object_checksum_is_taken() -> None:
    """The type that S3 names for whole objects is accepted."""
    headers = {"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-crc32": "y/Q5Jg=="}

    assert stored_checksum(headers) == StoredChecksum("CRC32", 0xCBF43926)


@pytest.mark.parametrize("parts", [1, 12, 10000])
@pytest.mark.parametrize(
    "headers", [{}, {"x-amz-checksum-type": "COMPOSITE"}], ids=["without its type", "with its type"]
)
def test_a_composite_checksum_is_known_by_its_number_of_parts(parts: int, headers: dict[str, str]) -> None:
    """Some endpoints name no type, but all write how many parts there were."""
    found = stored_checksum({"x-amz-checksum-crc32": f"y/Q5Jg==-{parts}", **headers})

    assert found == StoredChecksum("CRC32", 0xCBF43926, parts=parts)
    assert found.verifies == "composite-crc32"


@pytest.mark.parametrize(("value", "kind"), [("y/Q5Jg==", "COMPOSITE"), ("y/Q5Jg==-3", "FULL_OBJECT")])
def test_a_checksum_that_contradicts_its_type_is_left_out(value: str, kind: str) -> None:
    """Nothing can be verified against it."""
    assert stored_checksum({"x-amz-checksum-crc32": value, "x-amz-checksum-type": kind}) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("y/Q5Jg", id="no padding"),
        pytest.param("y_Q5Jg==", id="another alphabet"),
        pytest.param("y/Q5 Jg==", id="a space within"),
        pytest.param("y/Q5Jg==\n", id="a newline"),
        pytest.param("cbf43926!", id="no base64"),
        pytest.param("y/Q5", id="three bytes"),
        pytest.param("y/Q5JgA=", id="five bytes"),
        pytest.param("rosUhgp5mIg=", id="eight bytes"),
        pytest.param(
            "ÿ/Q5Jg==",
            id="not ASCII",
        ),
    ],
)
def test_a_malformed_checksum_is_left_out(text: str) -> None:
    """What is not four bytes of base64 is no CRC-32, and no reason to fail."""
    assert stored_checksum({"x-amz-checksum-crc32": text}) is None


def test_a_weaker_checksum_stands_in_for_a_malformed_one() -> None:
    """A broken value does not hide a usable one of another algorithm."""
    headers = {"x-amz-checksum-crc64nvme": "y/Q5Jg==", "x-amz-checksum-crc32": "y/Q5Jg=="}

    assert stored_checksum(headers) == StoredChecksum("CRC32", 0xCBF43926)


@pytest.mark.parametrize(
    "headers",
    [{}, {"etag": '"abc"'}, {"x-amz-checksum-sha256": "A" * 43 + "="}, {"x-amz-checksum-sha1": "A" * 27 + "="}],
    ids=["nothing", "an ETag", "SHA-256", "SHA-1"],
)
def test_other_headers_hold_no_usable_checksum(headers: dict[str, str]) -> None:
    """Only the three algorithms whose values combine can be used."""
    assert stored_checksum(headers) is None


SHA256 = "A" * 43 + "="


@pytest.mark.parametrize(
    ("headers", "text", "type_"),
    [
        ({}, None, None),
        ({"etag": '"abc"'}, None, None),
        ({"x-amz-checksum-crc64nvme": "rosUhgp5mIg="}, "CRC64NVME:rosUhgp5mIg=", "FULL_OBJECT"),
        ({"x-amz-checksum-crc32": "y/Q5Jg==-12"}, "CRC32:y/Q5Jg==-12", "COMPOSITE"),
        ({"x-amz-checksum-sha256": SHA256}, f"SHA256:{SHA256}", "FULL_OBJECT"),
        ({"x-amz-checksum-sha256": f"{SHA256}-3"}, f"SHA256:{SHA256}-3", "COMPOSITE"),
        ({"x-amz-checksum-sha1": "A" * 27 + "="}, "SHA1:" + "A" * 27 + "=", "FULL_OBJECT"),
        (
            {"x-amz-checksum-sha1": "A" * 27 + "=", "x-amz-checksum-crc32c": "4waSgw=="},
            "CRC32C:4waSgw==",
            "FULL_OBJECT",
        ),
        ({"x-amz-checksum-sha256": "A" * 27 + "="}, None, None),
        ({"x-amz-checksum-sha256": SHA256 + " "}, None, None),
        ({"x-amz-checksum-sha256": "é"}, None, None),
    ],
)
def test_the_source_checksum_is_recorded_also_if_it_cannot_verify(
    headers: dict[str, str], text: str | None, type_: str | None
) -> None:
    """An auditor can compare it later with the bytes; the strongest usable one goes first."""
    found = source_checksum(headers, stored_checksum(headers))

    assert (found, checksum_type(found), read_source_checksum(found)) == (text, type_, text)
