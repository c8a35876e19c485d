"""The data of a copy: what a result is in the ledger, and when a blob is a copy."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.errors import SourceChanged, SourceNotFound
from airflow_s3_azure.engine.model import BlobContent, BlobState, CopyResult, Precondition, SourceObject
from airflow_s3_azure.engine.properties import CopyIdentity, PreservedProperties, SourceRecord
from airflow_s3_azure.engine.quoting import MAX_TEXT

IDENTITY = CopyIdentity("bucket", "key", "blob")
UPLOADED = datetime(2026, 11, 1, tzinfo=UTC)
OBJECT = SourceObject("key", 10, "etag", "v1", UPLOADED, stored_checksum="CRC64NVME:AAAAAAAAAAE=")


def test_an_object_and_its_copy_have_one_record() -> None:
    """The record holds everything that identifies the version, and the copy."""
    record = OBJECT.record(IDENTITY, "AAAAAAAAAAE=")

    assert record == SourceRecord(
        "etag", 10, "v1", UPLOADED, "CRC64NVME:AAAAAAAAAAE=", str(IDENTITY), crc64nvme="AAAAAAAAAAE="
    )
    assert BlobState('"blob"', 10, record=record).is_copy_of("etag", 10, IDENTITY)


@pytest.mark.parametrize(
    ("blob", "etag", "size", "identity"),
    [
        (BlobState('"blob"', 10), "etag", 10, IDENTITY),
        (BlobState('"blob"', 9, record=OBJECT.record(IDENTITY)), "etag", 10, IDENTITY),
        (BlobState('"blob"', 10, record=OBJECT.record(IDENTITY)), "new", 10, IDENTITY),
        (BlobState('"blob"', 10, record=OBJECT.record(IDENTITY)), "etag", 11, IDENTITY),
        (BlobState('"blob"', 10, record=OBJECT.record(IDENTITY)), "etag", 10, CopyIdentity("bucket", "other", "blob")),
    ],
    ids=["no record", "size of the blob", "ETag", "size of the object", "another key"],
)
def test_another_blob_is_no_copy(blob: BlobState, etag: str, size: int, identity: CopyIdentity) -> None:
    """One difference is enough."""
    assert not blob.is_copy_of(etag, size, identity)


def test_a_precondition_is_one_header() -> None:
    """No blob, or the blob with this ETag."""
    assert Precondition(None).headers() == {"if-none-match": "*"}
    assert Precondition('"a"').headers() == {"if-match": '"a"'}


def test_a_copied_result_has_its_throughput() -> None:
    """The ledger's columns, in their order; all are JSON values."""
    result = CopyResult(
        "k",
        "b",
        "copied",
        size=3 * MIB,
        blocks=3,
        verified="crc64nvme",
        crc64nvme="AAAAAAAAAAE=",
        source_checksum="CRC32:AAAAAQ==-2",
        seconds=1.50049,
    )

    assert list(result.as_json().items()) == [
        ("key", "k"),
        ("blob", "b"),
        ("status", "copied"),
        ("size", 3 * MIB),
        ("blocks", 3),
        ("resumed_blocks", 0),
        ("etag", None),
        ("version_id", None),
        ("blob_etag", None),
        ("verified", "crc64nvme"),
        ("crc64nvme", "AAAAAAAAAAE="),
        ("source_checksum", "CRC32:AAAAAQ==-2"),
        ("source_checksum_type", "COMPOSITE"),
        ("bytes_read", 0),
        ("retries", 0),
        ("seconds", 1.5),
        ("mib_per_second", 2.0),
        ("reason", None),
        ("error", None),
        ("error_class", None),
        ("retryable", None),
        ("archived", False),
    ]
    assert json.loads(json.dumps(result.as_json())) == result.as_json()


@pytest.mark.parametrize("change", [{"status": "unchanged"}, {"size": None}, {"seconds": 0.0}])
def test_a_result_without_a_copy_has_no_throughput(change: dict[str, object]) -> None:
    """Nothing was moved, or it took no measurable time."""
    result = replace(CopyResult("k", "b", "copied", size=1, seconds=1.0), **change)  # type: ignore[arg-type]

    assert result.as_json()["mib_per_second"] is None


@pytest.mark.parametrize(("error", "retryable"), [(SourceChanged("it changed"), True), (SourceNotFound("gone"), False)])
def test_a_failed_result_has_its_error(error: SourceChanged | SourceNotFound, retryable: bool) -> None:
    """Its text with its class, its class alone, and whether a retry can help."""
    row = CopyResult("k", "b", "failed", error=error).as_json()

    name = type(error).__name__
    assert (row["error"], row["error_class"], row["retryable"]) == (f"{name}: {error}", name, retryable)


def test_the_class_of_a_failed_result_is_one_that_the_runbook_has() -> None:
    """A class of another module has the name of its base, under which the runbook has an entry."""
    error = PreconditionFailed("the blob changed")

    row = CopyResult("k", "b", "failed", error=error).as_json()

    assert (row["error"], row["error_class"]) == (f"DestinationConflict: {error}", "DestinationConflict")


def test_long_texts_of_a_result_are_shortened_and_printable() -> None:
    """A reason is one line; an error has at most the ledger's maximum of characters."""
    row = CopyResult("k", "b", "failed", reason="a\nb", error=SourceNotFound("x" * 2 * MAX_TEXT)).as_json()

    assert row["reason"] == "a\\nb"
    assert isinstance(row["error"], str)
    assert len(row["error"]) <= MAX_TEXT


def test_a_blob_has_the_objects_properties_and_record() -> None:
    """User metadata and the record are one mapping; tags and tier are those of the options."""
    preserved = PreservedProperties({"content-type": "text/csv"}, {"colour": "red"})
    source = replace(OBJECT, preserved=preserved)

    content = BlobContent.of(source, IDENTITY, "AAAAAAAAAAE=", tags={"t": "1"}, access_tier="Cool")

    assert content == BlobContent(
        {"content-type": "text/csv"},
        {"colour": "red", **source.record(IDENTITY, "AAAAAAAAAAE=").as_metadata()},
        {"t": "1"},
        "Cool",
    )
    assert BlobContent.of(source, IDENTITY).tags == {}
