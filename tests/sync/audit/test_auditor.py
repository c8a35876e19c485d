"""Audits of a container in Azurite, from its listing: what they find, what they trust, and how they continue."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_s3_azure.engine.errors import AuditFailed, Cancelled, ConfigurationError, SliceEnded
from airflow_s3_azure.sync.audit import auditor
from airflow_s3_azure.sync.audit.audit_report import AuditReport
from airflow_s3_azure.sync.audit.audited_blobs import recorded_blobs
from airflow_s3_azure.sync.audit.auditor import AuditOptions
from tests.sync.audit.audited_container import AuditedContainer

pytestmark = pytest.mark.servers

RECORDS = AuditOptions(compare_with="records")


@pytest.fixture
def copies(audited: AuditedContainer) -> AuditedContainer:
    """Five copies and the ledger of their sync, which is not in the order of their names."""
    audited.sync(*(audited.put(f"in/{name}", name.encode() * 100) for name in "cbdae"))
    return audited


def test_untouched_copies_are_intact(copies: AuditedContainer) -> None:
    """Whatever the order of the ledger; a blob of which nothing is recorded is only counted."""
    copies.write("other", b"theirs")

    audit = copies.audit()

    assert copies.statuses(audit) == {f"in/{name}": "intact" for name in "abcde"}
    assert audit.report.as_json() == {
        "objects": 5,
        "intact": 5,
        "changed": 0,
        "missing": 0,
        "unknown": 0,
        "unrecorded": 1,
        "read": 0,
        "bytes_read": 0,
        "failures": [],
        "unknowns": [],
    }
    assert copies.ranges == []


def test_a_row_holds_what_was_expected_and_what_was_found(copies: AuditedContainer) -> None:
    """So that an auditor needs no other file."""
    before = copies.rows(copies.audit())["in/a"]
    copies.write("in/a", b"other bytes")
    copies.checkpoints.clear()

    row = copies.rows(copies.audit())["in/a"]

    assert row == before | {
        "status": "changed",
        "reason": (
            "another size, another ETag: its content, properties or metadata were written again, no record of its source"
        ),
        "found_size": 11,
        "found_blob_etag": row["found_blob_etag"],
        "found_etag": None,
    }
    assert before["expected_blob_etag"] == before["found_blob_etag"] != row["found_blob_etag"]
    assert (before["key"], before["expected_size"], before["found_size"]) == ("key/in/a", 100, 100)


def test_replaced_and_deleted_blobs_are_found(copies: AuditedContainer) -> None:
    """By the listing alone, also if size and record are those of the copy."""
    copies.flip("in/b")
    copies.write("in/c", b"short")
    copies.client.delete_blob("in/d")

    audit = copies.audit()

    assert copies.statuses(audit) == {
        "in/a": "intact",
        "in/b": "changed",
        "in/c": "changed",
        "in/d": "missing",
        "in/e": "intact",
    }
    with pytest.raises(AuditFailed) as caught:
        audit.report.raise_failures(audit.ledger_url)
    first, *others = str(caught.value).splitlines()
    assert first == "2 changed and 1 missing of 5 blobs: 'in/b', 'in/c', 'in/d'"
    assert others[-2:] == [
        "  missing: 'in/d': there is no blob of this name",
        f"ledger: {audit.ledger_url}",
    ]


def test_a_forged_record_is_found(copies: AuditedContainer) -> None:
    """Which fits other bytes: it is not what the ledger says."""
    forged = copies.put("in/a", b"x" * 100)

    row = copies.rows(copies.audit())["in/a"]

    assert (row["status"], row["found_etag"]) == ("changed", forged.etag)
    assert row["reason"].endswith("its record names another version of the object, its record names another CRC-64")


def test_the_newest_complete_run_is_the_truth(audited: AuditedContainer) -> None:
    """A dry run copied nothing, and a run without a summary is not complete."""
    old, kept = audited.put("old", b"1"), audited.put("kept", b"2")
    audited.sync(old, kept, run_id="1")
    audited.client.delete_blob("old")
    audited.sync(replace(kept, status="unchanged", verified=None), run_id="2")
    audited.sync(run_id="3", dry_run=True)
    unfinished = audited.sync(audited.put("new", b"3"), run_id="4")
    audited.client.delete_blob(f"{unfinished.path}/summary.json")

    audit = audited.audit()

    assert audited.statuses(audit) == {"kept": "intact"}
    assert [run["run_id"] for run in audit.truth.as_json()["runs"]] == ["2"]


def test_of_all_runs_the_newest_row_of_a_blob_decides(audited: AuditedContainer) -> None:
    """Nights that each copied their own day; a blob that a mirror deleted is not expected."""
    first = audited.put("day1", b"1"), audited.put("again", b"1"), audited.put("gone", b"1")
    audited.sync(*first, run_id="1")
    audited.client.delete_blob("gone")
    deleted = audited_row(first[2], key=None, status="deleted", verified=None)
    audited.sync(audited.put("day2", b"2"), audited.put("again", b"22"), deleted, run_id="2")

    audit = audited.audit(AuditOptions(runs="all"))

    assert audited.statuses(audit) == {"day1": "intact", "day2": "intact", "again": "intact"}
    assert audit.truth.as_json()["run_count"] == 2


def audited_row(result: Any, **changes: Any) -> dict[str, Any]:
    """Return a row of a ledger with other values."""
    from airflow_s3_azure.sync.rows import ledger_row

    return ledger_row(result) | changes


def test_each_sync_of_the_container_has_its_own_newest_run(audited: AuditedContainer) -> None:
    """Unless one of them is named."""
    audited.sync(audited.put("a", b"1"), dag_id="one")
    audited.sync(audited.put("b", b"2"), dag_id="two", run_id="scheduled__2026-11-26T00:00:00+00:00")

    assert audited.statuses(audited.audit()) == {"a": "intact", "b": "intact"}
    for ledger in ("two", "two/scheduled__2026-11-26T00:00:00+00:00"):
        audited.checkpoints.clear()
        assert audited.statuses(audited.audit(AuditOptions(ledger=ledger))) == {"b": "intact"}


def test_a_run_is_named_by_the_url_of_its_ledger(audited: AuditedContainer) -> None:
    """As the report has it in its XCom."""
    old = audited.sync(audited.put("a", b"1"), run_id="1")
    audited.sync(audited.put("b", b"2"), run_id="2")

    for url in (old.ledger_url, f"{old.url}summary.json", old.url):
        audited.checkpoints.clear()
        assert audited.statuses(audited.audit(AuditOptions(ledger=url))) == {"a": "intact"}


@pytest.mark.parametrize("ledger", ["", "other", "nightly/other"])
def test_without_a_complete_run_nothing_is_audited(audited: AuditedContainer, ledger: str) -> None:
    """An empty audit would be green."""
    if ledger:
        audited.sync(audited.put("a", b"1"))

    with pytest.raises(ConfigurationError, match=r"there is no complete run of a sync under _s3_to_azure/"):
        audited.begin(AuditOptions(ledger=ledger))


def test_a_key_that_failed_is_unknown(audited: AuditedContainer) -> None:
    """The ledger cannot say what its blob holds."""
    good = audited.put("a", b"1")
    failed = audited_row(good, blob="b", status="failed", error="SourceNotFound: gone", retryable=False, blob_etag=None)
    audited.sync(good, failed)

    rows = audited.rows(audited.audit())

    assert (rows["b"]["status"], rows["b"]["reason"]) == ("unknown", "the sync did not copy it: SourceNotFound: gone")


def test_a_key_of_a_batch_that_was_killed_is_unknown(audited: AuditedContainer) -> None:
    """Only the manifest has it, because nobody knows what is true of the batch's part of the ledger."""
    lost = audited.put("lost", b"1"), audited.put("replaced", b"1"), audited.put("day1", b"1")
    audited.sync(audited.put("a", b"1"), lost[2], run_id="1")
    audited.client.delete_blob("lost")
    audited.put("replaced", b"2")
    audited.sync(audited.put("a", b"1"), audited.put("b", b"1"), killed=lost, run_id="2", missing=3)

    audit = audited.audit()

    assert audited.statuses(audit) == {
        "a": "intact",
        "b": "intact",
        **dict.fromkeys(("day1", "lost", "replaced"), "unknown"),
    }
    assert [(row["key"], row["reason"]) for row in audit.report.unknowns if row["blob"] == "lost"] == [
        ("key/lost", "its batch did not finish, so the ledger does not say what its blob holds")
    ]
    audited.checkpoints.clear()
    of_all = audited.statuses(audited.audit(AuditOptions(runs="all")))
    assert of_all == {"a": "intact", "b": "intact", "day1": "intact", "lost": "unknown", "replaced": "unknown"}


def test_records_are_compared_without_a_ledger(audited: AuditedContainer) -> None:
    """They find a blob of another size and a record of another blob, but nothing that is missing."""
    for name in "abc":
        audited.put(name, name.encode() * 9)
    properties = audited.client.get_blob_client("b").get_blob_properties()
    audited.write("b", b"short", properties.metadata)
    audited.write("d", b"c" * 9, audited.client.get_blob_client("c").get_blob_properties().metadata)
    audited.write("e", b"theirs")

    audit = audited.audit(RECORDS)

    rows = audited.rows(audit)
    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "a": ("intact", None),
        "b": ("changed", "another size"),
        "c": ("intact", None),
        "d": ("changed", "its record is that of another blob"),
    }
    assert audit.report.unrecorded == 1


def test_only_blobs_under_the_prefix_are_audited(copies: AuditedContainer) -> None:
    """Neither others of the ledger nor others of the listing."""
    copies.client.delete_blob("in/a")

    audit = copies.audit(AuditOptions(blob_prefix="in/b"))

    assert copies.statuses(audit) == {"in/b": "intact"}
    assert audit.report.unrecorded == 0


def test_an_audit_that_was_stopped_continues_after_its_last_blob(
    copies: AuditedContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same runs, and the rows that its ledger holds."""
    monkeypatch.setattr(auditor, "COMMIT_SECONDS", 0.0)
    copies.client.delete_blob("in/a")
    first = copies.begin()
    with pytest.raises(SliceEnded):
        first.run(slice_seconds=0.0)
    copies.sync(copies.put("in/z", b"newer"), run_id="newer")

    second = copies.audit()

    assert copies.checkpoints.all[0].rows == 1
    assert second.ledger_url == first.ledger_url
    assert copies.statuses(second) == {"in/a": "missing", **{f"in/{name}": "intact" for name in "bcde"}}
    assert second.report.failed == 1


def test_a_slice_is_the_time_of_comparing(copies: AuditedContainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each execution sorts the ledgers again. If that takes longer than the slice, the audit goes on all the same."""
    now = itertools.count()
    hours: list[int] = []

    @contextmanager
    def slowly(*arguments: Any, **options: Any) -> Iterator[Any]:
        with recorded_blobs(*arguments, **options) as recorded:
            hours.append(2)
            yield recorded

    clock = SimpleNamespace(monotonic=lambda: 3600 * sum(hours) + next(now) / 1000)
    monkeypatch.setattr(auditor, "time", clock)
    monkeypatch.setattr(auditor, "recorded_blobs", slowly)

    audit = copies.begin()
    audit.run(slice_seconds=3600)

    assert set(copies.statuses(audit).values()) == {"intact"}
    assert hours == [2]


def test_a_cancelled_audit_commits_what_it_has(copies: AuditedContainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its retry continues."""
    monkeypatch.setattr("airflow_s3_azure.sync.audit.audited_blobs.CHECK_EVERY", 1)
    add = AuditReport.add

    def kill(report: AuditReport, row: Any) -> None:
        add(report, row)
        copies.cancellation.set("the task was killed")

    monkeypatch.setattr(AuditReport, "add", kill)
    audit = copies.begin()
    with pytest.raises(Cancelled):
        audit.run()

    assert copies.checkpoints.last is not None
    assert copies.checkpoints.last.rows == 1


def test_a_ledger_of_the_audit_that_someone_changed_is_not_continued(copies: AuditedContainer) -> None:
    """Else a row that says ``intact`` would hide what is missing."""
    copies.client.delete_blob("in/a")
    audit = copies.begin()
    with pytest.raises(SliceEnded):
        audit.run(slice_seconds=0.0)
    name = audit.ledger_url.removeprefix(f"{copies.client.url}/")
    (row,) = copies.rows(audit).values()
    forged = json.dumps(row | {"status": "intact"}) + "\n"
    copies.client.upload_blob(name, forged.encode(), overwrite=True)

    assert copies.statuses(copies.audit())["in/a"] == "missing"


def test_another_audit_does_not_continue_it(copies: AuditedContainer) -> None:
    """Of the same task, whose arguments were changed in between."""
    first = copies.begin()
    with pytest.raises(SliceEnded):
        first.run(slice_seconds=0.0)

    second = copies.audit(AuditOptions(blob_prefix="in/"))

    assert second.ledger_url != first.ledger_url
    assert len(copies.rows(second)) == 5


def test_a_container_that_lists_in_another_order_is_sorted(
    copies: AuditedContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As accounts with a hierarchical namespace do."""
    from airflow_s3_azure.sync.audit import audited_blobs
    from airflow_s3_azure.sync.listing import list_blobs

    copies.client.delete_blob("in/c")
    monkeypatch.setattr(audited_blobs, "list_blobs", lambda *a, **k: reversed(list(list_blobs(*a, **k))))

    audit = copies.audit()

    assert copies.statuses(audit) == {f"in/{name}": "missing" if name == "c" else "intact" for name in "abcde"}
    assert [name for name in copies.client.list_blob_names() if "/sort/" in name] == []
