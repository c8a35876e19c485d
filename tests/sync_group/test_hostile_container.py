"""A container that others may write to: what they write gains them nothing that they could not do themselves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.operators import S3ToAzureCopyBatchOperator
from tests.ledgers import file_rows
from tests.sync_group.nights import Night, Sync

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.servers import AzureServer

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

UNAPPROVED: dict[str, Any] = {"delete": "extra", "approve_delete": False, "max_delete": 100}

Attack = Callable[["ContainerClient", str], None]


def attacked(sync: Sync, attack: Attack, *, after: str, before: str, **arguments: Any) -> Night:
    """Run a sync in which someone else writes to the container between two tasks.

    :param attack: called with the container and the plan's folder
    """
    dag = sync.dag(**arguments)
    with dag:

        @task(trigger_rule=TriggerRule.ALL_DONE)
        def write() -> None:
            (name,) = (
                one for one in sync.container.list_blob_names(name_starts_with="_s3_to_azure/") if "manifest" in one
            )
            attack(sync.container, name.removesuffix("/manifest.jsonl"))

        dag.get_task(f"s3_to_azure.{after}") >> write() >> dag.get_task(f"s3_to_azure.{before}")
    return sync.carry_out(dag)


def rewrite(container: ContainerClient, name: str, rows: list[dict[str, Any]], length: int | None = None) -> None:
    """Replace a file by other rows, of the same length if one is given."""
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    content = "".join(f"{line}\n" for line in lines).encode()
    if name.endswith(".gz"):
        content = gzip.compress(content)
    if length is not None:
        content = content[:-2] + b" " * (length - len(content)) + content[-2:]
        assert len(content) == length
    container.upload_blob(name, content, overwrite=True)


def test_a_rewritten_manifest_reads_nothing_outside_the_plan(sync: Sync, logged: Callable[[], str]) -> None:
    """A writer to the container need not have a right to read the bucket."""
    sync.put("in/a-long-name-to-make-room", "hr/salaries.csv")
    etag = sync.bucket.client.head_object(Bucket=sync.bucket.name, Key="hr/salaries.csv")["ETag"].strip('"')

    def attack(container: ContainerClient, folder: str) -> None:
        name = f"{folder}/manifest.jsonl"
        (row,) = file_rows(container, name)
        length = container.get_blob_client(name).get_blob_properties().size
        changed = row | {"key": "hr/salaries.csv", "blob": "in/stolen", "size": 15, "etag": etag, "reason": None}
        rewrite(container, name, [changed], length)

    night = attacked(sync, attack, after="plan", before="copy", s3_prefix="in/")

    assert night.state == "failed"
    assert night.states() == {"plan": "success", "copy[0]": "failed", "report": "failed"} | {"write": "success"}
    assert sync.blobs() == {}
    assert "someone else wrote to it since it was written; clear the task that wrote it" in logged()


def test_an_approved_deletion_cannot_be_changed(
    sync: Sync, azure_server: AzureServer, logged: Callable[[], str]
) -> None:
    """One blob was to go; 31 more are written down, one of them in another container."""
    finance = azure_server.container_client(f"finance-{sync.container.container_name[-12:]}")
    finance.upload_blob("book", b"x")
    sync.put("in/gone", *(f"in/k{n}" for n in range(30)))
    assert sync.night(s3_prefix="in/").state == "success"
    sync.bucket.client.delete_object(Bucket=sync.bucket.name, Key="in/gone")
    for blob in list(sync.container.list_blobs(name_starts_with="_s3_to_azure/")):
        sync.container.delete_blob(blob.name)
    before = sync.blobs()

    def attack(container: ContainerClient, folder: str) -> None:
        name = f"{folder}/delete.jsonl"
        others = [
            {"blob": blob.name, "size": blob.size, "blob_etag": blob.etag, "last_modified": None}
            for blob in container.list_blobs(name_starts_with="in/")
        ]
        etag = finance.get_blob_client("book").get_blob_properties().etag
        outside = {"blob": f"../{finance.container_name}/book", "size": 1, "blob_etag": etag, "last_modified": None}
        rewrite(container, name, [outside, *others])

    night = attacked(sync, attack, after="plan", before="delete", s3_prefix="in/", **UNAPPROVED)

    assert night.state == "failed"
    assert night.states()["delete"] == "failed"
    assert sync.blobs() == before
    assert finance.download_blob("book").readall() == b"x"
    assert "someone else wrote to it since it was written" in logged()


def test_forged_rows_turn_no_failure_into_a_success(sync: Sync, logged: Callable[[], str]) -> None:
    """What the batch wrote is what the report counts."""
    sync.put("a", "b")
    lease = sync.container.upload_blob("a", b"old").acquire_lease()

    def attack(container: ContainerClient, folder: str) -> None:
        name = f"{folder}/ledger/00000.jsonl.gz"
        rows = file_rows(container, name)
        good = next(row for row in rows if row["status"] == "copied")
        rewrite(container, name, [good | {"key": key, "blob": key} for key in ("a", "b")])

    night = attacked(sync, attack, after="copy", before="report")
    lease.release()

    assert night.states()["copy[0]"] == "failed"
    assert night.state == "failed"
    assert "someone else wrote to it since it was written" in logged()


def test_forged_rows_make_up_for_no_batch_that_did_not_end(
    sync: Sync, logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed task returns no summary of its part of the ledger, so its rows are not confirmed."""
    sync.put("a")

    def killed(*_: Any) -> None:
        raise AirflowFailException("killed")

    monkeypatch.setattr(S3ToAzureCopyBatchOperator, "execute", killed)

    def attack(container: ContainerClient, folder: str) -> None:
        from airflow_s3_azure.engine.model import CopyResult
        from airflow_s3_azure.sync.rows import ledger_row

        row = ledger_row(CopyResult("a", "a", "copied", size=1, verified="crc64nvme"), batch=0, attempts=1)
        for part in ("00000", "00001", "zzz"):
            rewrite(container, f"{folder}/ledger/{part}.jsonl.gz", [row])

    night = attacked(sync, attack, after="copy", before="report")

    assert night.state == "failed"
    assert night.totals("copied", "missing", "incomplete_batches") == (1, 0, [0])
    assert "1 batches ended without a summary, so their parts of the ledger are not confirmed (00000)" in logged()


def test_the_plans_own_rows_are_verified(sync: Sync, logged: Callable[[], str]) -> None:
    """Keys that needed no copy are counted by what the plan wrote."""
    sync.put("a")
    assert sync.night().state == "success"
    for blob in list(sync.container.list_blobs(name_starts_with="_s3_to_azure/")):
        sync.container.delete_blob(blob.name)

    def attack(container: ContainerClient, folder: str) -> None:
        name = f"{folder}/ledger/plan.jsonl.gz"
        rewrite(container, name, [row | {"status": "skipped"} for row in file_rows(container, name)])

    night = attacked(sync, attack, after="plan", before="report")

    assert night.state == "failed"
    assert "someone else wrote to it since it was written" in logged()


def test_other_files_in_the_plans_folder_count_for_nothing(sync: Sync) -> None:
    """The report reads only the parts that its tasks wrote."""
    sync.put("a")

    def attack(container: ContainerClient, folder: str) -> None:
        for name in ("00001", "99999", "delete", "x"):
            container.upload_blob(f"{folder}/ledger/{name}.jsonl.gz", b"no row\n")

    night = attacked(sync, attack, after="copy", before="report", **UNAPPROVED)

    assert night.state == "success"
    assert night.totals("objects", "copied", "deleted", "missing") == (1, 1, 0, 0)


@pytest.mark.parametrize("shown", ["a share", "a number"])
def test_blobs_that_others_mark_as_ours_are_deleted_within_the_limits_only(
    sync: Sync, logged: Callable[[], str], shown: str
) -> None:
    """They lie under the prefix and carry our record; there are too many of them, and none has a name that leads away."""
    sync.put("in/a")
    for name in (*(f"in/theirs-{number}" for number in range(5)), "other/theirs"):
        identity = str(CopyIdentity(sync.bucket.name, name, name))
        sync.container.upload_blob(name, b"x", metadata=SourceRecord("0" * 32, 1, identity=identity).as_metadata())
    before = sync.blobs()

    night = sync.night(s3_prefix="in/", **{**UNAPPROVED, "max_delete": 0.5 if shown == "a share" else 4})

    assert night.state == "failed"
    assert sync.blobs() == {**before, "in/a": b"in/a"}
    assert "5 of 5 blobs would be deleted, but max_delete is" in logged()
