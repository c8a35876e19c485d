"""Deleting the blobs whose key is gone, from Azurite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled, SourceAccessDenied, SourceNotFound
from airflow_s3_azure.sync.orphans import WINDOW, delete_blobs
from tests.rig import Rig

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer

pytestmark = pytest.mark.servers


def upload(container: ContainerClient, *names: str) -> list[dict[str, Any]]:
    """Upload blobs, and return what a plan writes down to have them deleted."""
    return [
        {
            "key": name,
            "blob": name,
            "size": 1,
            "blob_etag": container.upload_blob(name, b"x").get_blob_properties().etag,
        }
        for name in names
    ]


Delete = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def rig(bucket: Bucket, container: ContainerClient) -> Iterator[Rig]:
    """An empty bucket and an empty container."""
    with closing(Rig(bucket, container)) as made:
        yield made


@pytest.fixture
def delete(rig: Rig) -> Delete:
    """Delete blobs, and return the ledger's rows by the blobs."""

    def delete(deletions: list[dict[str, Any]], **options: Any) -> dict[str, dict[str, Any]]:
        defaults = {"cancellation": Cancellation(), "max_concurrency": 4, "attempts": 2}
        rows = delete_blobs(rig.source, rig.container, deletions, **{**defaults, **options})
        return {row["blob"]: row for row in rows}

    return delete


def test_each_blob_is_deleted_and_reported(container: ContainerClient, delete: Delete) -> None:
    """The ledger's row has no key, for there is none any more."""
    deletions = upload(container, "a", "b/ä 😀%2F")
    container.upload_blob("c", b"c")

    rows = delete(deletions)

    assert [blob.name for blob in container.list_blobs()] == ["c"]
    row = rows["a"]
    assert (row["key"], row["status"], row["reason"], row["error"]) == (None, "deleted", "its key is gone", None)
    assert (row["size"], row["blob_etag"], row["attempts"], row["bytes_read"]) == (1, deletions[0]["blob_etag"], 2, 0)
    assert set(rows) == {"a", "b/ä 😀%2F"}


def test_a_blob_that_changed_since_the_plan_is_kept(container: ContainerClient, delete: Delete) -> None:
    """It is in use."""
    deletions = upload(container, "a")
    container.upload_blob("a", b"new", overwrite=True)

    row = delete(deletions)["a"]

    assert (row["status"], row["reason"], row["error"]) == ("kept", "the blob changed since the plan", None)
    assert container.download_blob("a").readall() == b"new"


def test_a_blob_whose_key_exists_again_is_kept(container: ContainerClient, bucket: Bucket, delete: Delete) -> None:
    """It was uploaded after the plan, or while a human thought about the approval."""
    deletions = upload(container, "a", "b/ä 😀%2F")
    bucket.put("b/ä 😀%2F", b"x")

    rows = delete(deletions)

    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "a": ("deleted", "its key is gone"),
        "b/ä 😀%2F": ("kept", "its key exists again"),
    }
    assert [blob.name for blob in container.list_blobs()] == ["b/ä 😀%2F"]


def test_a_blob_is_kept_if_s3_does_not_say_that_its_key_is_gone(
    container: ContainerClient, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket may be the wrong one: then all its keys are missing."""
    (row,) = upload(container, "a")
    monkeypatch.setattr(rig.source, "head", Mock(side_effect=SourceNotFound("there is no bucket of this name")))

    (found,) = delete_blobs(rig.source, container, [row], Cancellation(), max_concurrency=4, attempts=1)

    assert (found["status"], found["retryable"]) == ("failed", True)
    assert found["error"].startswith("'a' was not deleted, because S3 did not say whether its key is gone: ")
    assert [blob.name for blob in container.list_blobs()] == ["a"]


def test_the_listing_decides_where_s3_does_not_say_that_a_key_is_missing(
    container: ContainerClient, bucket: Bucket, rig: Rig, delete: Delete, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a policy with a condition on `s3:prefix` it returns 403."""
    deletions = upload(container, "a", "b")
    for key in ("a/x", "ab", "b", "b/x"):
        bucket.put(key, b"x")
    monkeypatch.setattr(rig.source, "head", Mock(side_effect=SourceAccessDenied("403")))

    rows = delete(deletions)

    assert {name: row["status"] for name, row in rows.items()} == {"a": "deleted", "b": "kept"}


def test_a_missing_blob_counts_as_deleted(container: ContainerClient, delete: Delete) -> None:
    """An earlier try deleted it, and died before it wrote the ledger."""
    deletions = upload(container, "a")
    container.delete_blob("a")

    row = delete(deletions)["a"]

    assert (row["status"], row["reason"]) == ("deleted", "its key is gone, and so was the blob")


def test_a_blob_with_snapshots_is_deleted(container: ContainerClient, delete: Delete) -> None:
    """Azure refuses to delete it alone."""
    deletions = upload(container, "a")
    container.get_blob_client("a").create_snapshot()

    assert delete(deletions)["a"]["status"] == "deleted"
    assert list(container.list_blobs(include=["snapshots"])) == []


def test_a_blob_that_cannot_be_deleted_does_not_stop_the_others(container: ContainerClient, delete: Delete) -> None:
    """It failed, with Azure's reason, and another try may help."""
    deletions = upload(container, "a", "b", "c")
    lease = container.get_blob_client("b").acquire_lease()

    rows = delete(deletions)
    lease.release()

    assert {name: row["status"] for name, row in rows.items()} == {"a": "deleted", "b": "failed", "c": "deleted"}
    assert (
        rows["b"]["error"]
        == "'b' could not be deleted: Azure returned 412 LeaseIdMissing: the blob is leased; break or release the lease"
    )
    assert rows["b"]["retryable"] is True


@pytest.mark.parametrize(
    "name", ["../{0}/theirs", "x/../../{0}/theirs", "_s3_to_azure/dag/run/ledger.jsonl", "/_S3_to_azure/x"]
)
def test_a_name_that_leads_elsewhere_is_not_deleted(
    name: str, container: ContainerClient, delete: Delete, azure_server: AzureServer
) -> None:
    """The list is in the container, where others may write: it reaches no other container, and no records of syncs."""
    other = azure_server.container_client(f"other-{container.container_name}"[:63])
    theirs = other.upload_blob("theirs", b"x").get_blob_properties().etag
    own = container.upload_blob("_s3_to_azure/dag/run/ledger.jsonl", b"x").get_blob_properties().etag
    blob = name.format(other.container_name)

    rows = delete([{"key": "k", "blob": blob, "size": 1, "blob_etag": etag} for etag in (theirs, own)])

    assert (rows[blob]["status"], rows[blob]["retryable"]) == ("failed", False)
    assert rows[blob]["error"].startswith(f"no request was sent to delete {blob!r}: ")
    assert [one.name for one in other.list_blobs()] == ["theirs"]
    assert [one.name for one in container.list_blobs()] == ["_s3_to_azure/dag/run/ledger.jsonl"]


def test_the_error_of_a_deletion_is_capped(delete: Delete) -> None:
    """A listed name can have any length; a row of the ledger, and its XCom, cannot."""
    rows = delete([{"key": "x", "blob": "x" * 5_000, "size": 1, "blob_etag": '"x"'}])

    (row,) = rows.values()
    assert (row["status"], len(row["error"])) == ("failed", 2_000)


def test_no_more_is_deleted_once_it_is_interrupted(container: ContainerClient, delete: Delete) -> None:
    """What was not begun stays."""
    deletions = upload(container, "a", "b")
    stop = Cancellation()
    stop.set("the task was killed")

    with pytest.raises(Cancelled, match="the task was killed"):
        delete(deletions, cancellation=stop)

    assert [blob.name for blob in container.list_blobs()] == ["a", "b"]


def test_the_list_is_read_as_it_is_worked_off(container: ContainerClient, rig: Rig) -> None:
    """However long it is, no more than a window of it is held."""
    taken = 0
    gone = {"key": "gone", "size": 1, "blob_etag": '"x"'}

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal taken
        while True:
            taken += 1
            yield {"blob": f"gone-{taken}"} | gone

    rows = delete_blobs(rig.source, container, endless(), Cancellation(), max_concurrency=4, attempts=1)
    next(rows)
    rows.close()  # type: ignore[attr-defined]

    assert taken == WINDOW
    assert not [one for one in threading.enumerate() if one.name.startswith("s3-to-azure-delete")]
