"""Archived objects: what a sync does with keys that cannot be read until they are restored."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]


def test_archived_objects_are_skipped_and_counted_separately(sync: Sync, logged: Callable[[], str]) -> None:
    """The night is green: ledger, report and log have their number and the reason, and everything else is copied."""
    sync.put("a")
    sync.bucket.put("cold", b"123", StorageClass="GLACIER")
    sync.bucket.put("colder", b"45", StorageClass="DEEP_ARCHIVE")
    sync.bucket.put("instant", b"6", StorageClass="GLACIER_IR")

    night = sync.night()

    assert night.state == "success"
    assert night.totals("objects", "copied", "skipped", "archived", "failed") == (4, 2, 2, 2, 0)
    assert {key: reason for key, reason in night.reasons().items() if "cold" in key} == {
        "cold": "archived in storage class GLACIER",
        "colder": "archived in storage class DEEP_ARCHIVE",
    }
    assert [row["key"] for row in night.ledger if row["archived"]] == ["cold", "colder"]
    assert night.plans[0]["archived"] == {"objects": 2, "size": 5}
    log = logged()
    assert "archived objects without a copy: 2 objects (5 B), skipped" in log
    assert "of these archived" in log


def test_a_copied_object_that_was_archived_since_is_unchanged(sync: Sync) -> None:
    """Nothing of it must be read: a lifecycle rule that archives copied objects changes nothing."""
    sync.put("a")
    sync.night()
    sync.bucket.client.copy_object(
        Bucket=sync.bucket.name,
        Key="a",
        CopySource={"Bucket": sync.bucket.name, "Key": "a"},
        StorageClass="GLACIER",
        MetadataDirective="COPY",
    )

    night = sync.night()

    assert night.statuses() == {"a": "unchanged"}
    assert night.totals("archived") == (0,)


def test_archived_objects_fail_where_they_must_not_be_missing(sync: Sync, logged: Callable[[], str]) -> None:
    """By name, with the remedies; everything else is copied."""
    sync.put("a")
    sync.bucket.put("cold", b"123", StorageClass="GLACIER")

    night = sync.night(archived="{{ 'fail' }}")

    assert night.state == "failed"
    assert night.statuses() == {"a": "copied", "cold": "failed"}
    log = logged()
    assert (
        "archived objects without a copy: 1 object (3 B), to fail; restore them in S3, or set archived='skip' or 'restore'"
        in log
    )
    assert "it is archived; restore it in S3 first, or set archived='skip' or archived='restore'" in log
