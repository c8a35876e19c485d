"""Audits from end to end: without S3, judged by rclone, and over several executions on a started Airflow."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_s3_azure.operators import S3ToAzureAuditOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import run_dag
from tests.conftest import needs_airflow_3_3
from tests.e2e.test_judge import Judgement, judge, rclone
from tests.servers import AirflowServer, S3Server
from tests.sync.audit.audited_container import AuditedContainer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer

__all__ = ["judge", "rclone"]

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

MIB = 1024 * 1024
SLICED = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow_s3_azure.operators import S3ToAzureAuditOperator

with DAG("slices"):
    S3ToAzureAuditOperator(
        task_id="audit", container_name={container!r}, deep=True, max_concurrency=1, slice=timedelta(microseconds=1)
    )
"""


@pytest.fixture
def s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server of this test's own, which it may stop."""
    with S3Server(tmp_path / "s3") as server:
        yield server


@pytest.mark.usefixtures("connections")
def test_an_audit_without_s3_finds_what_rclone_finds_with_it(
    bucket: Bucket, container: ContainerClient, s3_server: S3Server, judge: Callable[[], Judgement]
) -> None:
    """Flipped bits, replaced and deleted blobs among 120; S3 is switched off before the audit."""
    chance = random.Random(19)
    bodies = {f"in/{number:03} ü+%": chance.randbytes(chance.randrange(1, 4000)) for number in range(119)}
    bodies["in/large"] = chance.randbytes(3 * MIB + 17)
    for key, body in bodies.items():
        bucket.put(key, body)
    with DAG(f"sync_{container.container_name}") as dag:
        s3_to_azure_sync(s3_bucket=bucket.name, container_name=container.container_name, block_size=MIB, retries=0)
    assert run_dag(dag).state == "success"
    assert judge() == {"=": set(bodies)}

    audited = AuditedContainer(container)
    flipped, replaced, deleted = (set(chance.sample(sorted(bodies), 10)) for _ in range(3))
    replaced -= flipped
    deleted -= flipped | replaced
    for name in flipped:
        audited.flip(name)
    for name in replaced:
        audited.write(name, b"other")
    for name in deleted:
        container.delete_blob(name)
    audited.close()
    judgement = judge()
    s3_server.stop()

    statuses: dict[str, set[str]] = {}
    for compare_with in ("ledger", "records"):
        with DAG(f"audit_{compare_with}_{container.container_name}") as dag:
            S3ToAzureAuditOperator(
                task_id="audit", container_name=container.container_name, compare_with=compare_with, deep=True
            )
        run = run_dag(dag)
        assert run.state == "failed"
        totals = run.xcom("audit")
        name = totals["ledger"].removeprefix(f"{container.url}/")
        rows = [json.loads(line) for line in container.download_blob(name).readall().splitlines()]
        for status in ("intact", "changed", "missing"):
            statuses[f"{compare_with}: {status}"] = {row["blob"] for row in rows if row["status"] == status}

    assert judgement == {"=": bodies.keys() - flipped - replaced - deleted, "*": flipped | replaced, "+": deleted}
    assert statuses == {
        "ledger: intact": judgement["="],
        "ledger: changed": judgement["*"],
        "ledger: missing": judgement["+"],
        "records: intact": judgement["="],
        # A blob without a record, or that is gone, is nothing that records could miss.
        "records: changed": flipped,
        "records: missing": set(),
    }


@needs_airflow_3_3
def test_an_audit_of_many_slices_reads_each_blob_once(
    container: ContainerClient, azure_server: AzureServer, tmp_path: Path
) -> None:
    """On a started Airflow: each slice continues from the checkpoint, and no retry is used up."""
    audited = AuditedContainer(container)
    audited.sync(*(audited.put(f"{number}", random.Random(number).randbytes(MIB)) for number in range(3)))
    audited.close()
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "slices.py").write_text(SLICED.format(container=container.container_name))

    with AirflowServer(tmp_path, folder, {"wasb_default": azure_server.airflow_connection()}) as airflow:
        airflow.wait_for_dag("slices")
        airflow.unpause("slices")
        run = airflow.trigger("slices")
        state = airflow.wait_for_run("slices", run, timeout=400)
        (task,) = airflow.task_instances("slices", run)
        log = airflow.logs("slices", run, "audit")
        assert state == "success", log
        totals: dict[str, Any] = airflow.xcom("slices", run, "audit")

    assert task["try_number"] == 1
    assert log.count("the slice ended before all blobs were") >= 2
    assert [totals[name] for name in ("objects", "intact", "read", "bytes_read")] == [3, 3, 3, 3 * MIB]
