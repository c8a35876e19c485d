"""What a sync does with keys whose blob's name holds what no copy can overwrite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from azure.storage.blob import StandardBlobTier

from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from tests.airflow_runs import Run, run_dag
from tests.sync_group.nights import MIB, Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]


def archive(sync: Sync, *names: str) -> None:
    """Move blobs to the archive tier."""
    for name in names:
        sync.container.get_blob_client(name).set_standard_blob_tier(StandardBlobTier.ARCHIVE)


def test_conflicts_are_named_in_the_plan_and_fail_by_name(sync: Sync, logged: Callable[[], str]) -> None:
    """The night is red and says why; everything else is copied, and an unchanged archived blob is no conflict."""
    sync.put("changed", "same")
    sync.night()
    archive(sync, "changed", "same")
    sync.put("changed", body=b"new")
    sync.put("fine")

    night = sync.night()

    assert night.state == "failed"
    assert night.statuses() == {"changed": "failed", "fine": "copied", "same": "unchanged"}
    assert night.plans[0]["conflicts"] == {"archived": {"objects": 1, "keys": ["changed"]}}
    assert night.totals("conflicts") == ({"archived": 1},)
    log = logged()
    assert (
        "1 of the keys to copy conflict at the destination ('changed'): the blob is in the archive tier, where it cannot be "
        "overwritten; rehydrate or delete it, or copy to another name"
    ) in log
    errors = {row["key"]: row["error"] for row in night.ledger if row["error"]}
    assert errors.keys() == {"changed"}
    assert "the blob is in the archive tier" in errors["changed"]


def test_a_dry_run_names_conflicts(sync: Sync) -> None:
    """Before anything is copied."""
    sync.put("page")
    sync.container.get_blob_client("page").create_page_blob(512)

    night = sync.night(dry_run=True)

    assert (night.state, night.totals("conflicts")) == ("success", ({"page_blob": 1},))


@pytest.mark.parametrize("size", [1, 2 * MIB + 1])
def test_an_append_blob_is_not_replaced(sync: Sync, size: int) -> None:
    """Its type is checked before anything is written: Azurite would replace it by a small object."""
    sync.put("append", body=bytes(size))
    blob = sync.container.get_blob_client("append")
    blob.create_append_blob()

    night = sync.night()

    assert (night.state, night.statuses()) == ("failed", {"append": "failed"})
    assert "there is an append blob of this name; delete it" in night.ledger[0]["error"]
    assert blob.get_blob_properties().blob_type == "AppendBlob"


def test_archived_blobs_are_replaced_on_request(sync: Sync, logged: Callable[[], str]) -> None:
    """Small and large; an unchanged one stays, and the next night finds nothing to do."""
    large = bytes(2 * MIB + 1)
    sync.put("large", "same", "small")
    sync.night()
    archive(sync, "large", "same", "small")
    same = sync.container.get_blob_client("same").get_blob_properties().etag
    sync.put("large", body=large)
    sync.put("small", body=b"new")

    night = sync.night(overwrite_archived=True, max_delete=2)
    after = sync.night(overwrite_archived=True)

    assert (night.state, night.plans[0]["conflicts"], night.plans[0]["replaced_archived"]) == ("success", {}, 2)
    assert night.statuses() == {"large": "copied", "same": "unchanged", "small": "copied"}
    assert night.reasons()["small"].endswith("; the archived blob was deleted first")
    assert night.reasons()["large"].endswith("; the archived blob was deleted first")
    assert sync.container.download_blob("large").readall() == large
    assert sync.container.download_blob("small").readall() == b"new"
    assert sync.container.get_blob_client("same").get_blob_properties().etag == same
    assert (after.state, set(after.statuses().values())) == ("success", {"unchanged"})
    assert "archived blobs that are deleted and replaced: 2" in logged()


@pytest.mark.parametrize("arguments", [{}, {"max_delete": 1, "delete": "extra", "approve_delete": False}])
def test_more_archived_blobs_than_max_delete_allows_fail_the_plan(
    sync: Sync, logged: Callable[[], str], arguments: dict[str, Any]
) -> None:
    """Together with the orphaned ones; nothing is copied or deleted."""
    sync.put("changed", "gone", "same")
    sync.night()
    archive(sync, "changed")
    sync.put("changed", body=b"new")
    sync.bucket.client.delete_object(Bucket=sync.bucket.name, Key="gone")
    before = {name: sync.container.get_blob_client(name).get_blob_properties().etag for name in ("changed", "gone")}

    night = sync.night(overwrite_archived=True, **arguments)

    assert (night.state, night.states()["plan"]) == ("failed", "failed")
    assert "1 of 3 blobs are archived and would be deleted to replace them" in logged().replace("\n  ", " ")
    assert {name: sync.container.get_blob_client(name).get_blob_properties().etag for name in before} == before


def test_a_single_copy_replaces_an_archived_blob_on_request(sync: Sync) -> None:
    """There the option alone is the permission."""
    sync.put("a", body=b"new")
    sync.container.upload_blob("a", b"old")
    archive(sync, "a")

    def copy(**arguments: Any) -> Run:
        with DAG(f"single_{sync.container.container_name}") as dag:
            S3ToAzureBlobStreamOperator(
                task_id="copy",
                s3_bucket=sync.bucket.name,
                s3_key="a",
                container_name=sync.container.container_name,
                **arguments,
            )
        return run_dag(dag)

    refused, replaced = copy(), copy(overwrite_archived=True)

    assert (refused.state, replaced.state) == ("failed", "success")
    assert replaced.xcom("copy")["reason"] == "the archived blob was deleted first"
    assert sync.container.download_blob("a").readall() == b"new"
