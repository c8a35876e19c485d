"""What a copy does to the blob that is there, and what a plan saves it from asking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_s3_azure.engine.checksums import s3_text
from airflow_s3_azure.engine.errors import DestinationConflict, DestinationWriteError, SourceChanged
from airflow_s3_azure.engine.model import CopyRequest, Precondition
from airflow_s3_azure.engine.properties import CopyIdentity, PreservedProperties, SourceRecord
from tests.fakes.memory import (
    BLOCK,
    DATA,
    OPTIONS,
    SIZE,
    UPLOADED,
    FakeAzure,
    FakeS3,
    checksum_of,
    content_of,
    copy,
    copy_one,
    etag_of,
    request_for,
    start,
    stored,
)


def test_a_second_copy_moves_nothing() -> None:
    """The record on the blob names the same content."""
    container = FakeAzure()
    copy_one(FakeS3({"key": stored(DATA)}), container)
    source = FakeS3({"key": stored(DATA)})

    result = copy_one(source, container)

    assert (source.reads, result.status, result.blob_etag) == ([], "unchanged", container.blobs["key"].etag)


def test_another_blob_is_replaced() -> None:
    """A blob that is not a copy of this version is replaced atomically."""
    container = FakeAzure()
    container.add("key", b"before")

    result = copy_one(FakeS3({"key": stored(DATA)}), container)

    assert (result.status, container.blobs["key"].data) == ("copied", DATA)


def test_another_blob_is_left_alone_without_overwrite() -> None:
    """It is skipped, with the reason."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()
    existing = container.add("key", b"before")

    result = copy_one(source, container, options=replace(OPTIONS, overwrite=False))

    assert (result.status, result.reason) == ("skipped", "the blob exists and overwrite is off")
    assert (source.reads, container.blobs) == ([], {"key": existing})


def test_a_blob_carries_headers_metadata_and_record() -> None:
    """What S3 keeps beside the bytes arrives with them."""
    kept = PreservedProperties({"content-type": "text/csv"}, {"team": "etl"})
    container = FakeAzure()

    copy_one(FakeS3({"key": stored(DATA, kept=kept, version_id="v1")}), container)

    content = container.blobs["key"].content
    assert content.headers == {"content-type": "text/csv"}
    assert content.metadata["team"] == "etl"
    assert SourceRecord.from_metadata(content.metadata) == SourceRecord(
        etag_of(DATA),
        SIZE,
        "v1",
        UPLOADED,
        str(checksum_of(DATA)),
        str(CopyIdentity("bucket", "key", "key")),
        s3_text("CRC64NVME", checksum_of(DATA).value),
    )


@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["put", "commit"])
def test_a_concurrent_writer_that_was_faster_leaves_nothing_to_do(size: int) -> None:
    """The precondition fails, and the blob that is there is a copy of the same source."""
    found = stored(content_of(size))
    record = SourceRecord(found.etag, size).as_metadata()
    container = FakeAzure()
    container.before_commit = lambda blob: container.add(blob, found.data, record)

    result = copy_one(FakeS3({"key": found}), container)

    assert (result.status, result.error, result.blob_etag) == ("unchanged", None, container.blobs["key"].etag)


@pytest.mark.parametrize(
    ("size", "step"), [(BLOCK, "commit"), (SIZE, "read"), (SIZE, "commit")], ids=["put", "block", "commit"]
)
def test_a_concurrent_writer_with_the_archive_tier_leaves_nothing_to_do(size: int, step: str) -> None:
    """Azure then takes neither a block nor a commit (BlobArchived), but the blob that is there is the copy."""
    found = stored(content_of(size))
    source, container = FakeS3({"key": found}), FakeAzure()

    def finish_first(*_: object) -> None:
        container.add("key", found.data, SourceRecord(found.etag, size).as_metadata(), conflict="archived")

    if step == "read":
        source.before_read = finish_first
    else:
        container.before_commit = finish_first

    result = copy_one(source, container, options=replace(OPTIONS, access_tier="Archive"))

    assert (result.status, result.error, result.blob_etag) == ("unchanged", None, container.blobs["key"].etag)


@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["put", "commit"])
def test_a_blob_of_the_archive_tier_whose_response_was_lost_is_copied(size: int) -> None:
    """The second request finds an archived blob, which the first one wrote."""
    found, container = stored(content_of(size)), FakeAzure()
    write = container._write

    def lose(how: str, blob: str, *rest: Any) -> str:
        write(how, blob, *rest)
        container.blobs[blob] = replace(container.blobs[blob], conflict="archived")
        raise DestinationWriteError("the connection was closed", transient=True)

    container._write = lose  # type: ignore[method-assign,assignment]

    result = copy_one(FakeS3({"key": found}), container, options=replace(OPTIONS, access_tier="Archive"))

    assert (result.status, result.error, container.blobs["key"].data) == ("copied", None, found.data)


@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["put", "commit"])
@pytest.mark.parametrize(
    "metadata",
    [{}, SourceRecord("other", SIZE).as_metadata(), SourceRecord(etag_of(DATA), SIZE + 1).as_metadata()],
    ids=["another tool's", "another version's", "another size's"],
)
def test_someone_elses_blob_is_a_conflict(size: int, metadata: dict[str, str]) -> None:
    """What was written meanwhile and is not a copy of the same source is not overwritten."""
    container = FakeAzure()
    container.before_commit = lambda blob: container.add(blob, b"theirs", metadata)

    result = copy_one(FakeS3({"key": stored(content_of(size))}), container)

    assert (result.status, container.blobs["key"].data) == ("failed", b"theirs")
    assert isinstance(result.error, DestinationConflict)


def test_a_blob_that_was_deleted_meanwhile_is_a_conflict() -> None:
    """The plan saw a blob to replace; now there is none."""
    container = FakeAzure()
    container.add("key", b"before")
    container.before_commit = lambda blob: container.blobs.clear()

    result = copy_one(FakeS3({"key": stored(DATA)}), container)

    assert isinstance(result.error, DestinationConflict)
    assert container.blobs == {}


def test_two_copies_of_one_object_end_in_one_blob() -> None:
    """A redelivered task and the first one, even in one pool, end in one blob."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    results = list(start(source, container, [CopyRequest("key", "blob")] * 2, threads=2))

    assert container.blobs["blob"].data == DATA
    assert "copied" in [result.status for result in results]
    assert {result.status for result in results} <= {"copied", "unchanged"}


def test_a_planned_small_object_costs_one_get_and_one_put() -> None:
    """What the listings returned is not requested again."""
    found = stored(b"x" * BLOCK)
    source, container = FakeS3({"key": found}), FakeAzure()

    copy(source, container, [request_for("key", found, Precondition(None))])

    assert (source.heads, source.reads, container.writes) == ([], [("key", 0)], [("put", "key")])


@pytest.mark.parametrize("size", [BLOCK, SIZE], ids=["small", "large"])
@pytest.mark.parametrize("change", [{"etag": "other"}, {"size": 1}], ids=["ETag", "size"])
def test_an_object_that_changed_since_the_plan_is_not_copied(size: int, change: dict[str, Any]) -> None:
    """The next plan will take the new version."""
    found = stored(content_of(size))
    container = FakeAzure()
    request = replace(request_for("key", found, Precondition(None)), **change)

    results = copy(FakeS3({"key": found}), container, [request])

    assert isinstance(results["key"].error, SourceChanged)
    assert container.writes == []


def test_an_object_that_changes_under_the_copy_is_not_committed() -> None:
    """Blocks of two versions never meet in one blob."""
    source, container = FakeS3({"key": stored(DATA)}), FakeAzure()

    def change(key: str, first: int) -> None:
        if first == 2 * BLOCK:
            source.objects[key] = stored(content_of(SIZE, seed=1))

    source.before_read = change

    result = copy_one(source, container)

    assert isinstance(result.error, SourceChanged)
    assert container.blobs == {}
