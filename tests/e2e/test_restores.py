"""Restores of archived objects that a human approves or rejects, on a started Airflow whose triggerer waits for them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from airflow_s3_azure.values import SOONEST_SECONDS
from tests.conftest import Bucket, needs_airflow_3_3
from tests.fakes.canned_server import serving
from tests.fakes.restoring_s3 import RestoringS3
from tests.ledgers import ledger_rows
from tests.polling import wait_for
from tests.servers import AirflowServer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.servers import AzureServer, S3Server

# Before 3.3, a task that waits for a human is deferred.
pytestmark = [pytest.mark.servers, pytest.mark.airflow, needs_airflow_3_3]

DAG_ID = "restores"
APPROVAL, COPY, REPORT = "s3_to_azure.approve_restore", "s3_to_azure.copy", "s3_to_azure.report"
DAG = """
from airflow.sdk import DAG
from airflow_s3_azure.sync_group import s3_to_azure_sync

with DAG({dag_id!r}, params={{"s3_prefix": "none", "container_name": "none"}}):
    s3_to_azure_sync(
        s3_bucket={bucket!r},
        s3_prefix="{{{{ params.s3_prefix }}}}",
        container_name="{{{{ params.container_name }}}}",
        archived="restore",
        restore_price_per_gib=1024**3,
        restore_poll_interval=15,
        approve_restore_above=29,
        retries=0,
    )
"""
HOT = {"a": b"1", "z": b"2"}
COLD = {f"cold-{number}": f"archived {number}".encode() for number in (1, 2, 3)}
WITHIN = 120.0
"""Seconds within which a task comes to the next state, on a busy machine."""


@pytest.fixture(scope="module")
def s3(s3_server: S3Server) -> Iterator[RestoringS3]:
    """An S3 whose restores end when the test has them end, with objects for each test under a prefix of its own."""
    bucket = Bucket(s3_server, f"archive-{secrets.token_hex(6)}")
    for prefix in ("approved/", "rejected/"):
        for name, body in HOT.items():
            bucket.put(prefix + name, body)
        for name, body in COLD.items():
            bucket.put(prefix + name, body, StorageClass="GLACIER")
    with serving(RestoringS3(bucket, s3_server.port)) as running:
        yield running


@pytest.fixture(scope="module")
def airflow(
    s3: RestoringS3, s3_server: S3Server, azure_server: AzureServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowServer]:
    """An Airflow with a sync that restores 29 bytes without an approval."""
    directory = tmp_path_factory.mktemp("restores")
    folder = directory / "dags"
    folder.mkdir()
    (folder / "restores.py").write_text(DAG.format(dag_id=DAG_ID, bucket=s3.bucket.name))
    aws = s3_server.airflow_connection()
    aws["extra"] |= {"endpoint_url": s3.url}
    connections = {"aws_default": aws, "wasb_default": azure_server.airflow_connection()}
    # The DAG file does not change, and each parse writes to the database.
    config = {"AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300"}
    with AirflowServer(directory, folder, connections, config) as server:
        server.wait_for_dag(DAG_ID)
        server.unpause(DAG_ID)
        yield server


class Sync:
    """A run of the sync over one prefix, which asks for an approval."""

    def __init__(self, airflow: AirflowServer, container: ContainerClient, prefix: str) -> None:
        self._airflow = airflow
        self._container = container
        self._prefix = prefix
        conf = {"s3_prefix": prefix, "container_name": container.container_name}
        self.run_id = airflow.trigger(DAG_ID, conf)

    @cached_property
    def question(self) -> str:
        """What the run asks; waits until it does."""
        return str(self._airflow.wait_for_question(DAG_ID, self.run_id, APPROVAL, WITHIN)["body"])

    def respond(self, option: str) -> None:
        """Choose an option, as a human does in the UI."""
        self._airflow.respond(DAG_ID, self.run_id, APPROVAL, option)

    def wait_until_deferred(self) -> dict[str, Any]:
        """Return the copy task once a triggerer runs its trigger."""

        def deferred() -> dict[str, Any] | None:
            tasks = [one for one in self._airflow.task_instances(DAG_ID, self.run_id) if one["task_id"] == COPY]
            return next((one for one in tasks if one["state"] == "deferred" and one["triggerer_job"]), None)

        return wait_for(deferred, WITHIN)

    def finish(self) -> dict[str, Any]:
        """Wait for the end of the run, which must be a good one, and return its report."""
        assert self._airflow.wait_for_run(DAG_ID, self.run_id, WITHIN) == "success"
        report: dict[str, Any] = self._airflow.xcom(DAG_ID, self.run_id, REPORT)
        return report

    def copy_log(self) -> str:
        """Return what the copy task logged."""
        return self._airflow.logs(DAG_ID, self.run_id, COPY, map_index=0)

    def ledger(self) -> dict[str, tuple[str, str]]:
        """Return the status and the reason of each name, by the ledger. One that is in it twice is an error."""
        rows = ledger_rows(self._container, f"_s3_to_azure/{DAG_ID}/")
        found = {row["key"].removeprefix(self._prefix): (row["status"], row["reason"]) for row in rows}
        assert len(found) == len(rows)
        return found

    def blobs(self) -> dict[str, bytes]:
        """Return the copies."""
        names = self._container.list_blob_names(name_starts_with=self._prefix)
        return {name.removeprefix(self._prefix): self._container.download_blob(name).readall() for name in names}


@pytest.fixture(scope="module")
def syncs(airflow: AirflowServer, azure_server: AzureServer) -> dict[str, Sync]:
    """A run for each of the two prefixes, which wait for a response."""
    found = {
        prefix: Sync(airflow, azure_server.container_client(f"{prefix}-{secrets.token_hex(6)}"), f"{prefix}/")
        for prefix in ("approved", "rejected")
    }
    assert all(sync.question for sync in found.values())
    # Airflow 3.3.2 fails a task that goes on before its scheduler knows that it waits.
    time.sleep(SOONEST_SECONDS)
    return found


def test_what_a_human_approves_is_restored_and_copied(syncs: dict[str, Sync], s3: RestoringS3) -> None:
    """Nothing is requested before; the triggerer waits, and each object is copied once it can be read."""
    sync = syncs["approved"]
    before = (_requested(s3, "approved/"), sync.blobs())

    sync.respond("Approve")
    task = sync.wait_until_deferred()
    blobs_then = sync.blobs()
    with s3.lock:
        s3.finish(1)
    (first,) = (key.removeprefix("approved/") for key in s3.done)
    wait_for(lambda: first in sync.blobs(), WITHIN)
    blobs_after_the_first = sync.blobs()
    with s3.lock:
        s3.finish(2)
    report = sync.finish()

    assert before == ({}, {})
    assert sync.question.startswith(
        "**3 archived objects** (30 B) must be restored before they can be copied: tier Bulk, readable for 7 days. "
        "Price of the restore: 30.00."
    )
    assert (task["trigger"]["classpath"], task["try_number"]) == ("airflow_s3_azure.triggers.RestoreTrigger", 1)
    assert blobs_then == HOT
    assert blobs_after_the_first == HOT | {first: COLD[first]}
    assert sync.blobs() == HOT | COLD
    assert {name: status for name, (status, _) in sync.ledger().items()} == dict.fromkeys(HOT | COLD, "copied")
    counts = [report[name] for name in ("objects", "copied", "skipped", "archived", "failed", "missing")]
    assert counts == [5, 5, 0, 0, 0, 0]
    assert _requested(s3, "approved/") == dict.fromkeys(COLD, 1)


def test_what_a_human_rejects_is_not_restored(syncs: dict[str, Sync], s3: RestoringS3) -> None:
    """No restore is requested; the other objects are copied, and the report names those that are not."""
    sync = syncs["rejected"]

    sync.respond("Reject")
    report = sync.finish()

    assert _requested(s3, "rejected/") == {}
    assert sync.blobs() == HOT
    archived = ("skipped", "archived: it must be restored before it can be read")
    assert {name: row for name, row in sync.ledger().items() if name in COLD} == dict.fromkeys(COLD, archived)
    counts = [report[name] for name in ("objects", "copied", "skipped", "archived", "failed", "missing")]
    assert counts == [5, 2, 3, 3, 0, 0]
    assert {one["key"] for one in report["skips"]} == {f"rejected/{name}" for name in COLD}
    assert "the restore of archived objects was not approved: they are skipped" in sync.copy_log()


def _requested(s3: RestoringS3, prefix: str) -> dict[str, int]:
    """Return how often restores were requested, by the names under a prefix."""
    return {key.removeprefix(prefix): len(bodies) for key, bodies in s3.requests.items() if key.startswith(prefix)}
