"""Deleting the blobs whose key is gone. Asking a human first is shown on a started Airflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import task

from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

UNAPPROVED: dict[str, Any] = {"delete": "extra", "approve_delete": False, "max_delete": 0.5}
KEYS = [f"in/k{n}" for n in range(8)]


@pytest.fixture
def mirrored(sync: Sync) -> Sync:
    """A sync that has copied eight keys, beside a blob of another tool and one outside the prefix."""
    sync.put(*KEYS)
    sync.night(s3_prefix="in/")
    sync.container.upload_blob("in/theirs", b"theirs")
    sync.container.upload_blob("out/theirs", b"theirs")
    return sync


def _delete(sync: Sync, *keys: str) -> None:
    for key in keys:
        sync.bucket.client.delete_object(Bucket=sync.bucket.name, Key=key)


def test_a_blob_is_deleted_with_its_key_and_all_others_stay(mirrored: Sync) -> None:
    """Deleted is what was copied and has no key; not what another tool wrote, what is filtered out, what is new."""
    _delete(mirrored, "in/k0", "in/k1")
    mirrored.put("in/new")

    night = mirrored.night(s3_prefix="in/", exclude=["in/k2"], **UNAPPROVED)

    assert night.state == "success"
    assert mirrored.blobs().keys() == {*KEYS[2:], "in/new", "in/theirs", "out/theirs"}
    gone = [row for row in night.ledger if row["key"] is None]
    assert {row["blob"]: (row["status"], row["reason"]) for row in gone} == {
        "in/k0": ("deleted", "its key is gone"),
        "in/k1": ("deleted", "its key is gone"),
    }
    assert night.totals("objects", "copied", "unchanged", "deleted", "missing") == (6, 1, 5, 2, 0)
    assert night.run.xcom("s3_to_azure.delete") == {"deleted": 2, "kept": 0, "failed": 0}


def test_a_manual_copy_is_neither_deleted_nor_counted_as_a_copy_of_its_key(mirrored: Sync) -> None:
    """Copy Blob takes the metadata along, but the record on the copy names the blob that it was made of."""
    blobs = mirrored.container
    for name in ("in/backup", "in/same"):
        blobs.get_blob_client(name).start_copy_from_url(blobs.get_blob_client("in/k0").url)
        assert blobs.get_blob_client(name).get_blob_properties().metadata["s3_source_identity"]
    mirrored.put("in/same", body=b"in/k0")  # the content, and so the ETag, of in/k0

    night = mirrored.night(s3_prefix="in/", **UNAPPROVED)

    assert night.state == "success"
    assert night.totals("objects", "copied", "unchanged", "deleted") == (9, 1, 8, 0)
    assert {row["key"]: row["reason"] for row in night.ledger if row["status"] == "copied"} == {
        "in/same": "the blob's record names another object or another blob"
    }
    assert "in/backup" in mirrored.blobs()


def test_a_suspicious_deletion_is_refused_without_asking(mirrored: Sync, logged: Callable[[], str]) -> None:
    """Above max_delete, as a number or as a share, or of an empty source: the run fails with the reason."""
    before = mirrored.blobs()
    logged()

    def is_refused(message: str, **arguments: Any) -> None:
        night = mirrored.night(s3_prefix="in/", delete="extra", **arguments)
        assert night.state == "failed"
        assert night.states()["delete"] == night.states()["report"] == "failed"
        assert night.report["deleted"] == 0
        assert mirrored.blobs() == before
        assert logged().count(message) >= 3  # by the plan, the deletion and the report

    _delete(mirrored, *KEYS[:5])
    is_refused("5 of 9 blobs would be deleted, but max_delete is 0.5", max_delete="{{ 5 / 10 }}")
    is_refused("5 of 9 blobs would be deleted, but max_delete is 4", max_delete=4, approve_delete=False)
    _delete(mirrored, *KEYS)
    is_refused("the source listing is empty, and 8 blobs would be deleted", max_delete=1000)


def test_max_delete_does_not_count_ledgers(mirrored: Sync, logged: Callable[[], str]) -> None:
    """However many nights have left theirs, max_delete is a share of the data."""
    mirrored.night(batch_objects=1, compare="always")
    _delete(mirrored, *KEYS[:6])

    mirrored.night(**UNAPPROVED)

    assert "6 of 10 blobs would be deleted, but max_delete is 0.5" in logged()


def test_a_blob_that_changed_since_the_plan_is_kept(mirrored: Sync) -> None:
    """It is in use: it is kept, and the ledger reports it."""
    _delete(mirrored, "in/k0", "in/k1")
    dag = mirrored.dag(s3_prefix="in/", **UNAPPROVED)
    with dag:

        @task
        def change() -> None:
            mirrored.container.upload_blob("in/k0", b"mine now", overwrite=True)

        dag.get_task("s3_to_azure.plan") >> change() >> dag.get_task("s3_to_azure.delete")

    night = mirrored.carry_out(dag)

    assert night.state == "success"
    assert mirrored.blobs()["in/k0"] == b"mine now"
    assert {row["blob"]: (row["status"], row["reason"]) for row in night.ledger if row["key"] is None} == {
        "in/k0": ("kept", "the blob changed since the plan"),
        "in/k1": ("deleted", "its key is gone"),
    }
    assert night.report["deleted"] == 1


def test_a_blob_that_cannot_be_deleted_is_tried_again(mirrored: Sync, logged: Callable[[], str]) -> None:
    """A leased blob makes the run red; released and cleared, it goes too."""
    _delete(mirrored, "in/k0", "in/k1")
    lease = mirrored.container.get_blob_client("in/k0").acquire_lease()

    night = mirrored.night(s3_prefix="in/", **UNAPPROVED)

    assert night.state == "failed"
    assert {name for name, state in night.states().items() if state == "failed"} == {"delete", "report"}
    assert night.run.xcom("s3_to_azure.delete") == {"deleted": 1, "kept": 0, "failed": 1}
    assert night.report["failures"][0]["blob"] == "in/k0"
    log = logged()
    assert (
        "'in/k0' could not be deleted: Azure returned 412 LeaseIdMissing: the blob is leased; break or release the lease"
        in log
    )
    assert "1 blobs could not be deleted" in log
    lease.release()

    again = mirrored.clear(night)

    assert again.state == "success"
    assert again.report["deleted"] == 2
    assert "in/k0" not in mirrored.blobs()


def test_a_failed_copy_deletes_nothing(mirrored: Sync) -> None:
    """What is not known to be whole at the destination is no reason to take anything away from it."""
    before = mirrored.blobs()
    _delete(mirrored, "in/k0")
    mirrored.put("in/k1", body=b"changed")
    lease = mirrored.container.get_blob_client("in/k1").acquire_lease()

    night = mirrored.night(s3_prefix="in/", **UNAPPROVED)

    lease.release()
    assert night.state == "failed"
    assert night.states()["delete"] == "upstream_failed"
    assert night.totals("failed", "deleted") == (1, 0)
    assert mirrored.blobs() == before


def test_approval_is_skipped_where_nothing_is_to_be_deleted(mirrored: Sync, logged: Callable[[], str]) -> None:
    """The approval lets the run go on by itself; a dry run only writes down what would go."""
    night = mirrored.night(s3_prefix="in/", delete="extra")

    assert night.state == "success"
    assert night.states() == {
        **dict.fromkeys(["plan", "approve_delete", "delete", "report"], "success"),
        "copy": "skipped",
    }
    assert "skipping approval" in logged()
    _delete(mirrored, "in/k0")

    dry = mirrored.night(s3_prefix="in/", delete="extra", max_delete=0.5, dry_run=True)

    assert dry.state == "success"
    assert dry.plans[0]["extra"] == 1
    assert b'"in/k0"' in mirrored.container.download_blob(f"{dry.plans[0]['folder']}/delete.jsonl").readall()
    assert "in/k0" in mirrored.blobs()


def test_several_prefixes_each_delete_their_own(mirrored: Sync) -> None:
    """With as many plans as prefixes, and one deletion."""
    mirrored.put("b/1", "b/2")
    mirrored.night(s3_prefix="b/")
    _delete(mirrored, "in/k0", "b/1")

    night = mirrored.night(s3_prefix=["in/", "b/"], **UNAPPROVED)

    assert night.state == "success"
    assert night.totals("unchanged", "deleted") == (8, 2)
    assert mirrored.blobs().keys() == {*KEYS[1:], "b/2", "in/theirs", "out/theirs"}
