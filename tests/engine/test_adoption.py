"""A blob that another tool copied: compared with S3's checksum, recorded if it is equal, else copied."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine import adoption
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import Algorithm, StoredChecksum, compute, s3_text
from airflow_s3_azure.engine.errors import DestinationConflict, SliceEnded
from airflow_s3_azure.engine.model import BlobContent, CopyRequest, CopyResult, Precondition, SourceObject
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from tests.fakes.memory import (
    BLOCK,
    DATA,
    OPTIONS,
    SIZE,
    Blob,
    FakeAzure,
    FakeS3,
    StoredObject,
    checksum_of,
    content_of,
    copy,
    copy_one,
    etag_of,
    request_for,
    start,
    stored,
)


def rival(data: bytes = DATA) -> FakeAzure:
    """Return a container in which another tool wrote the blob, with properties of its own."""
    container = FakeAzure()
    content = BlobContent({"content-type": "text/csv"}, {"mtime": "1764", "Owner": "etl"}, {"tag": "1"}, "Cool")
    container.blobs["key"] = Blob(data, content, '"theirs"')
    return container


def adopt(found: StoredObject, container: FakeAzure, **settings: Any) -> CopyResult:
    """Run the request of a plan that compares by checksum."""
    request = replace(request_for("key", found, Precondition('"theirs"')), adopt=True, reason="compared")
    (result,) = start(FakeS3({"key": found}), container, [request], **settings)
    return result


def assert_adopted(result: CopyResult, container: FakeAzure, found: StoredObject, by: str) -> None:
    """Check that the blob is a copy by its record, and that nothing else of it changed."""
    blob = container.blobs["key"]
    crc64nvme = s3_text("CRC64NVME", compute("CRC64NVME", memoryview(blob.data)))
    assert (result.status, result.reason) == ("unchanged", f"adopted: another tool's blob, whose content has {by}")
    assert (result.blob_etag, result.crc64nvme, result.bytes_read) == (blob.etag, crc64nvme, 0)
    assert container.writes == [("metadata", "key")]
    assert (blob.content.headers, blob.content.tags, blob.content.access_tier) == (
        {"content-type": "text/csv"},
        {"tag": "1"},
        "Cool",
    )
    assert (blob.content.metadata["mtime"], blob.content.metadata["Owner"]) == ("1764", "etl")
    record = SourceRecord.from_metadata(blob.content.metadata)
    assert record is not None
    assert record.crc64nvme == crc64nvme
    assert blob.state.is_copy_of(found.etag, len(found.data), CopyIdentity("bucket", "key", "key"))


@given(
    data=st.binary(max_size=60),
    algorithm=st.sampled_from(["CRC64NVME", "CRC32", "CRC32C"]),
    threads=st.integers(1, 4),
    flip=st.none() | st.integers(0, 59),
)
def test_a_blob_is_adopted_exactly_if_it_has_the_objects_bytes(
    data: bytes, algorithm: Algorithm, threads: int, flip: int | None
) -> None:
    """Of any size, read in any number of ranges at once; one wrong bit is enough for a copy."""
    found = stored(data, checksum=checksum_of(data, algorithm))
    theirs = bytearray(data)
    if flip is not None and flip < len(data):
        theirs[flip] ^= 1
    container = rival(bytes(theirs))

    result = adopt(found, container, threads=threads)

    if bytes(theirs) == data:
        assert_adopted(result, container, found, f"the {algorithm.lower()} that S3 stored")
    else:
        assert (result.status, result.reason) == ("copied", adoption.OTHER_CONTENT)
    assert container.blobs["key"].data == data


def test_every_byte_is_read_back_once_in_bounded_ranges() -> None:
    """By several workers; nothing is read from S3."""
    container, source = rival(), FakeS3({"key": stored(DATA)})
    request = replace(request_for("key", stored(DATA), Precondition('"theirs"')), adopt=True)

    copy(source, container, [request])

    assert sorted(container.reads) == [(first, min(first + BLOCK, SIZE)) for first in range(0, SIZE, BLOCK)]
    assert source.reads == []


class Composite(FakeS3):
    """A bucket whose object was uploaded in parts."""

    def __init__(self, found: StoredObject, part_size: int | None, *, has_equal_parts: bool = True) -> None:
        super().__init__({"key": found})
        self._part_size = part_size
        self._has_equal_parts = has_equal_parts

    def part_size(self, source: SourceObject) -> int | None:
        """Return the size of a part."""
        del source
        return self._part_size

    def has_equal_parts(self, source: SourceObject, part_size: int) -> bool:
        """Return whether all parts have the size."""
        del source, part_size
        return self._has_equal_parts


def composite_of(data: bytes, part_size: int) -> StoredChecksum:
    """Return the checksum of the parts' checksums."""
    parts = [data[first : first + part_size] for first in range(0, len(data), part_size)]
    written = b"".join(compute("CRC32", memoryview(part)).to_bytes(4, "big") for part in parts)
    return StoredChecksum("CRC32", compute("CRC32", memoryview(written)), parts=len(parts))


def test_a_composite_checksum_is_compared_part_by_part() -> None:
    """The blocks that are read back end where the parts end."""
    found = stored(DATA, checksum=composite_of(DATA, 10))
    container = rival()
    request = replace(request_for("key", found, Precondition('"theirs"')), adopt=True)

    result = copy(Composite(found, 10), container, [request])["key"]

    assert_adopted(result, container, found, "the composite-crc32 that S3 stored")


@pytest.mark.parametrize("part_size", [None, 12])
def test_a_composite_checksum_over_unknown_parts_compares_nothing(part_size: int | None) -> None:
    """A blob that may well be equal is copied: nothing shows that it is."""
    found = stored(DATA, checksum=composite_of(DATA, 10))
    container = rival()
    request = replace(request_for("key", found, Precondition('"theirs"')), adopt=True)

    result = copy(Composite(found, part_size, has_equal_parts=False), container, [request])["key"]

    assert (result.status, result.reason) == ("copied", adoption.NO_CHECKSUM)


class Md5(FakeS3):
    """A bucket whose ETags are MD5s."""

    def head(self, key: str, version_id: str | None = None) -> SourceObject:
        """Describe an object."""
        found = super().head(key, version_id)
        return replace(found, md5=found.etag)


@pytest.mark.parametrize("size", [0, BLOCK, SIZE])
@pytest.mark.parametrize("is_same", [True, False])
def test_without_a_stored_checksum_the_etag_is_compared_if_it_is_an_md5(size: int, *, is_same: bool) -> None:
    """Of the whole object; one worker reads the blob, range after range."""
    data = content_of(size)
    found, container = stored(data, checksum=None), rival(data if is_same or not data else data[:-1] + b"!")
    request = replace(request_for("key", found, Precondition('"theirs"')), adopt=True)

    result = copy(Md5({"key": found}), container, [request])["key"]

    if is_same or not data:
        assert container.reads == [(first, min(first + BLOCK, size)) for first in range(0, size, BLOCK)]
        assert_adopted(result, container, found, "the MD5 that the object's ETag is")
    else:
        assert (result.status, result.reason, container.blobs["key"].data) == ("copied", adoption.OTHER_CONTENT, data)


def test_an_object_without_any_checksum_is_copied_and_nothing_is_read_back() -> None:
    """There is nothing to compare the blob with."""
    container = rival()

    result = adopt(stored(DATA, checksum=None), container)

    assert (result.status, result.reason, container.reads) == ("copied", adoption.NO_CHECKSUM, [])


def test_without_overwrite_a_different_blob_is_skipped() -> None:
    """An equal one is adopted all the same: its content is not touched."""
    options = replace(OPTIONS, overwrite=False)
    container, other = rival(), rival(b"!" * SIZE)

    assert_adopted(
        adopt(stored(DATA), container, options=options), container, stored(DATA), "the crc64nvme that S3 stored"
    )
    result = adopt(stored(DATA), other, options=options)

    assert (result.status, result.reason) == ("skipped", f"{adoption.OTHER_CONTENT}, but overwrite is off")
    assert (other.writes, other.blobs["key"].data) == ([], b"!" * SIZE)


def _replace(container: FakeAzure, data: bytes) -> Callable[..., None]:
    return lambda *_: container.blobs.update(key=Blob(data, BlobContent({}, {}), '"newer"'))


@pytest.mark.parametrize("when", ["before_read", "before_commit"])
def test_a_blob_that_is_written_meanwhile_is_not_adopted(when: str) -> None:
    """Neither between two ranges, nor between the last range and the record."""
    container = rival()
    setattr(container, when, _replace(container, DATA))

    result = adopt(stored(DATA), container)

    assert isinstance(result.error, DestinationConflict)
    assert (result.status, container.blobs["key"].content.metadata) == ("failed", {})


def test_a_blob_that_changed_since_the_plan_is_not_read_back() -> None:
    """The copy's precondition is the plan's, so nothing is overwritten either."""
    container = rival()
    _replace(container, DATA)()

    result = adopt(stored(DATA), container)

    assert (result.status, container.reads, container.blobs["key"].etag) == ("failed", [], '"newer"')


def test_a_record_whose_response_was_lost_is_found() -> None:
    """The second request is refused, because the first one changed the ETag."""
    container = rival()
    set_metadata = container.set_metadata

    def lose(blob: str, metadata: Any, etag: str) -> str:
        set_metadata(blob, metadata, etag)
        return set_metadata(blob, metadata, etag)

    container.set_metadata = lose  # type: ignore[method-assign]

    assert_adopted(adopt(stored(DATA), container), container, stored(DATA), "the crc64nvme that S3 stored")


def test_a_later_try_finds_what_an_earlier_one_adopted() -> None:
    """A killed task may have adopted a blob and not have written its ledger."""
    container = rival()
    first = adopt(stored(DATA), container)
    container.reads.clear()

    again = adopt(stored(DATA), container)

    assert (again.status, again.crc64nvme, container.reads) == ("unchanged", first.crc64nvme, [])


def test_what_is_read_back_in_vain_does_not_count_as_progress() -> None:
    """The bytes of an object count once, however it ends in Azure."""
    seen: list[int] = []
    found, container = stored(DATA), rival(b"!" * SIZE)
    request = replace(request_for("key", found, Precondition('"theirs"')), adopt=True)

    results = list(
        start(
            FakeS3({"key": found}),
            container,
            [request],
            threads=1,
            on_progress=lambda progress: seen.append(progress.size),
            progress_interval=0.0,
        )
    )

    assert [one.status for one in results] == ["copied"]
    assert max(seen) <= SIZE


def test_a_slice_ends_after_a_blob_that_is_being_read_back() -> None:
    """Nothing of it is kept, so it would begin again in every slice."""
    container = rival()
    container.add("other", b"")
    requests = [
        replace(request_for("key", stored(DATA), Precondition('"theirs"')), adopt=True),
        CopyRequest("next", "next"),
    ]
    source = FakeS3({"key": stored(DATA), "next": stored(b"next")})
    copying = start(source, container, requests, threads=1, slice_seconds=0.0, cancellation=Cancellation())

    result = next(copying)
    with pytest.raises(SliceEnded):
        next(copying)

    assert (result.key, result.status) == ("key", "unchanged")
    assert len(container.reads) == -(-SIZE // BLOCK)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("is_md5", [False, True], ids=["blocks", "md5"])
def test_a_slice_ends_after_the_copy_of_a_blob_whose_content_differs(threads: int, is_md5: bool) -> None:
    """The next slice would have to read the blob back again before it copies a block, so a large one would never be copied."""
    found = replace(stored(DATA), checksum=None) if is_md5 else stored(DATA)
    source = FakeS3({"key": found, "next": stored(b"next"), "last": stored(b"last")})
    if is_md5:
        head = source.head
        source.head = lambda key, version_id=None: replace(head(key, version_id), md5=etag_of(DATA))  # type: ignore[method-assign]
    container = rival(b"!" * SIZE)
    requests = [
        replace(request_for("key", found, Precondition('"theirs"')), adopt=True),
        CopyRequest("next", "next"),
        CopyRequest("last", "last"),
    ]
    results: list[CopyResult] = []

    for _ in requests:
        done = {one.key for one in results}
        with suppress(SliceEnded):
            results += start(
                source, container, [one for one in requests if one.key not in done], threads=threads, slice_seconds=0.0
            )

    assert sorted((one.key, one.status) for one in results) == [
        ("key", "copied"),
        ("last", "copied"),
        ("next", "copied"),
    ]
    assert container.blobs["key"].data == DATA
    assert len(container.reads) == -(-SIZE // BLOCK)


def test_metadata_of_an_earlier_record_is_replaced() -> None:
    """Names of this package that make no record do not stay beside the new one."""
    container = rival()
    blob = container.blobs["key"]
    content = replace(blob.content, metadata={**blob.content.metadata, "S3_Source_Version_Id": "old"})
    container.blobs["key"] = replace(blob, content=content)

    adopt(stored(DATA), container)

    metadata = container.blobs["key"].content.metadata
    assert "S3_Source_Version_Id" not in metadata
    assert metadata["s3_source_etag"] == etag_of(DATA)


def test_copies_and_adoptions_share_one_pool() -> None:
    """In any mixture; each key has one result."""
    names = [f"k{number}" for number in range(20)]
    objects = {name: stored(content_of(SIZE, seed=number)) for number, name in enumerate(names)}
    container = FakeAzure()
    for number, name in enumerate(names[:15]):
        data = objects[name].data
        container.blobs[name] = Blob(data if number % 3 else data[::-1], BlobContent({}, {}), '"theirs"')
    requests = [
        replace(request_for(name, objects[name], Precondition('"theirs"')), adopt=True)
        if name in container.blobs
        else request_for(name, objects[name], Precondition(None))
        for name in names
    ]

    results = list(start(FakeS3(objects), container, requests, threads=4))

    assert sorted(one.key for one in results) == sorted(names)
    assert {one.key: one.status for one in results} == {
        name: "unchanged" if number < 15 and number % 3 else "copied" for number, name in enumerate(names)
    }
    assert {name: blob.data for name, blob in container.blobs.items()} == {
        name: found.data for name, found in objects.items()
    }


def test_the_first_single_copy_is_not_an_adoption() -> None:
    """Without the plan's request, another tool's blob is overwritten as ever."""
    container = rival()

    assert copy_one(FakeS3({"key": stored(DATA)}), container).status == "copied"
