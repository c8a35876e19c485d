"""The rows of manifests, deletion lists and ledgers, as they were written and as someone else would write them."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.conflicts import CONFLICTS
from airflow_s3_azure.engine.errors import SourceChanged, SourceReadError
from airflow_s3_azure.engine.model import CopyRequest, CopyResult, Precondition
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.rows import (
    MAX_VALUE,
    deletion_from_json,
    ledger_row,
    ledger_row_from_json,
    no_copy_row,
    request_as_json,
    request_from_json,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just([]) | st.just({})
)

REQUEST = {
    "key": "in/a",
    "blob": "landing/a",
    "size": 5,
    "etag": "0123",
    "version_id": None,
    "blob_etag": '"0x1"',
    "reason": "there is no blob",
}
DELETION = {"key": "a", "blob": "in/a", "size": 5, "blob_etag": '"0x1"', "last_modified": None}
LEDGER = ledger_row(CopyResult("in/a", "in/a", "copied", size=5, etag="0123", verified="crc32"), batch=0, attempts=1)
FAILED = ledger_row(CopyResult("in/a", "in/a", "failed", error=SourceReadError("no")), batch=-1, attempts=1)


@given(
    key=texts,
    size=st.integers(0, 2**50),
    version_id=texts | st.none(),
    blob_etag=st.sampled_from(['"0x1"', None]),
    reason=texts | st.none(),
    adopt=st.booleans(),
    replaces=st.booleans(),
    conflict=st.sampled_from([None, *CONFLICTS]),
)
def test_a_request_survives_the_manifest(
    key: str,
    size: int,
    version_id: str | None,
    blob_etag: str | None,
    reason: str | None,
    conflict: Any,
    *,
    adopt: bool,
    replaces: bool,
) -> None:
    """With what must still hold of the blob."""
    request = CopyRequest(key, "x", size, "etag", version_id, Precondition(blob_etag), reason=reason, adopt=adopt)
    request = replace(request, conflict=conflict, replace_archived=replaces and conflict == "archived")

    assert request_from_json(json.loads(json.dumps(request_as_json(request))), key[:2]) == request


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "hr/salaries.csv"}, r"key 'hr/salaries\.csv' is not under the plan's prefix 'in/'"),
        ({"blob": "../finance/a"}, "Azure resolves the path segments"),
        ({"blob": "a/../../finance/a"}, "Azure resolves the path segments"),
        ({"blob": "_s3_to_azure/dag/run/delete.jsonl"}, "_s3_to_azure/ is where manifests and ledgers are"),
        ({"blob": "/_S3_to_azure/dag"}, "_s3_to_azure/ is where manifests and ledgers are"),
        ({"etag": "*"}, "etag is '\\*', which names no version"),
        ({"etag": '"*"'}, "which names no version"),
        ({"etag": ""}, "which names no version"),
        ({"etag": "a\r\nx-ms-copy-source: b"}, "which names no version"),
        ({"etag": None}, "etag is of type NoneType"),
        ({"blob_etag": "*"}, "blob_etag is '\\*', which names no version"),
        ({"size": None}, "size is of type NoneType"),
        ({"size": True}, "size is of type bool"),
        ({"size": -2}, "size is out of range"),
        ({"size": 10**4000}, "size is out of range"),
        ({"size": 5.0}, "size is of type float"),
        ({"version_id": ["a"]}, "version_id is of type list"),
        ({"key": "in/\ud800"}, "surrogates not allowed"),
        ({"reason": "x" * (MAX_VALUE + 1)}, "reason has 32,769 characters"),
        ({"head_first": False}, "it has 'head_first', which is never written"),
        ({"conflict": "archive"}, "conflict is 'archive', not one of archived, append_blob, page_blob, directory"),
        ({"conflict": None}, "conflict is of type NoneType"),
        ({"replace_archived": True}, "it replaces an archived blob, but the blob is not archived"),
        (
            {"replace_archived": True, "conflict": "page_blob"},
            "it replaces an archived blob, but the blob is not archived",
        ),
        ({"replace_archived": 1, "conflict": "archived"}, "replace_archived is of type int"),
    ],
)
def test_a_request_that_no_plan_can_have_written_is_refused(change: dict[str, Any], message: str) -> None:
    """A writer to the container may not read more of S3, or write to another container, through a copy task."""
    assert request_from_json(REQUEST, "in/").key == "in/a"

    with pytest.raises(ValueError, match=message):
        request_from_json(REQUEST | change, "in/")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blob": "other/a"}, "blob 'other/a' is not under the plan's prefix 'in/'"),
        ({"blob": "in/../../finance/a"}, "Azure resolves the path segments"),
        ({"blob_etag": "*"}, "which names no version"),
        ({"blob_etag": None}, "blob_etag is of type NoneType"),
        ({"lease_id": "x"}, "it has 'lease_id', which is never written"),
    ],
)
def test_a_deletion_that_no_plan_can_have_written_is_refused(change: dict[str, Any], message: str) -> None:
    """No blob outside the plan's prefix, none outside the container, and none of any version."""
    assert deletion_from_json(DELETION, "in/") == DELETION

    with pytest.raises(ValueError, match=message):
        deletion_from_json(DELETION | change, "in/")


checksums = st.sampled_from([None, "CRC32:y/Q5Jg==-2", "CRC64NVME:rosUhgp5mIg="])


@given(
    key=texts,
    blob=texts,
    status=st.sampled_from(["unchanged", "skipped"]),
    size=st.integers(0, 2**50),
    etag=texts.filter(bool),
    blob_etag=texts | st.none(),
    record=st.builds(SourceRecord, st.just("e"), st.just(5), checksum=checksums, crc64nvme=texts | st.none())
    | st.none(),
    archived=st.booleans(),
)
def test_a_key_that_needs_no_copy_has_the_row_of_its_result(
    key: str,
    blob: str,
    status: Any,
    size: int,
    etag: str,
    blob_etag: str | None,
    record: SourceRecord | None,
    *,
    archived: bool,
) -> None:
    """With the columns in the same order; the empty ETag of a key that is gone is none."""
    item = ListedObject(key, size, etag, datetime(2026, 11, 28, tzinfo=UTC))
    result = CopyResult(
        key, blob, status, size=size, etag=etag or None, blob_etag=blob_etag, reason="why", archived=archived
    )
    if record is not None:
        result = replace(result, crc64nvme=record.crc64nvme, source_checksum=record.checksum)

    row = no_copy_row(item, blob, status, "why", blob_etag=blob_etag, record=record, archived=archived)

    assert msgspec.json.encode(row) == msgspec.json.encode(ledger_row(result))


@pytest.mark.parametrize("status", ["copied", "unchanged", "skipped", "failed"])
def test_a_row_survives_the_ledger(status: Any) -> None:
    """As it was written, also by a version that wrote neither the error's class nor checksums yet."""
    error = SourceChanged("it changed", key="s3://b/k") if status == "failed" else None
    verified: Any = "crc64nvme" if status == "copied" else None
    result = CopyResult(
        "k",
        "b",
        status,
        size=5,
        etag="e",
        verified=verified,
        crc64nvme="rosUhgp5mIg=",
        source_checksum="CRC32:y/Q5Jg==-2",
        seconds=0.5,
        error=error,
    )
    row = json.loads(json.dumps(ledger_row(result, batch=-1, attempts=3)))

    assert ledger_row_from_json(row) == row
    assert row["error_class"] == ("SourceChanged" if status == "failed" else None)
    assert row["source_checksum_type"] == "COMPOSITE"
    for column in ("error_class", "crc64nvme", "source_checksum", "source_checksum_type"):
        del row[column]
    assert ledger_row_from_json(row) == row


@pytest.mark.parametrize(
    "change",
    [
        {"status": "fine"},
        {"status": "deleted"},
        {"key": None},
        {"size": None},
        {"verified": None},
        {"bytes_read": float("nan")},
        {"bytes_read": -5},
        {"seconds": float("inf")},
        {"attempts": "1"},
        {"note": "x"},
        {"status": "failed"},
        {"crc64nvme": "rosUhgp5mI"},
        {"crc64nvme": 5},
        {"source_checksum": "MD5:y/Q5Jg=="},
        {"source_checksum": "CRC32:y/Q5Jg==", "source_checksum_type": "COMPOSITE"},
        {"source_checksum_type": "FULL_OBJECT"},
    ],
)
def test_a_row_that_was_never_written_is_refused(change: dict[str, Any]) -> None:
    """Of a ledger that anyone may have written."""
    ledger_row_from_json(LEDGER)

    with pytest.raises(
        ValueError, match=r"status|key|size|verified|bytes_read|seconds|attempts|note|error|crc64nvme|checksum"
    ):
        ledger_row_from_json(LEDGER | change)


@given(
    row=st.sampled_from([REQUEST, DELETION, LEDGER, FAILED]),
    change=st.dictionaries(st.sampled_from([*REQUEST, *DELETION, *LEDGER]) | texts, values, max_size=3),
    parse=st.sampled_from([request_from_json, deletion_from_json, ledger_row_from_json]),
)
def test_any_malformed_row_is_a_value_error(row: dict[str, Any], change: dict[str, Any], parse: Any) -> None:
    """The reader of the file turns it into an error that names the line."""
    with suppress(ValueError):
        parse(row | change)
    for other in (None, 5, "text", [row]):
        with pytest.raises(ValueError, match="not an object"):
            parse(other)
