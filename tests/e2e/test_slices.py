"""A copy in many slices on a started Airflow: no retry is used up, and the worker is free in between."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import AirflowServer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

MIB = 1024 * 1024
DAG = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync

endpoints = dict(s3_bucket={bucket!r}, container_name={container!r})
with DAG("slices"):
    S3ToAzureBlobStreamOperator(
        task_id="copy", s3_key="big", block_size=1024 * 1024, max_concurrency=1, slice=timedelta(seconds=0.2), **endpoints
    )
    s3_to_azure_sync(
        s3_prefix="many/", block_size=1024 * 1024, max_concurrency=1, slice=timedelta(seconds=0.2), retries=0, **endpoints
    )
"""


def test_a_copy_of_many_slices_uses_up_no_retry(
    bucket: Bucket, container: ContainerClient, s3_server: S3Server, azure_server: AzureServer, tmp_path: Path
) -> None:
    """Two tasks without a retry to lose, an object and a batch, each end in their first try after several executions."""
    bodies = {"big": random.Random(1).randbytes(20 * MIB)}
    bodies |= {f"many/{number}": random.Random(number).randbytes(3 * MIB) for number in range(6)}
    for key, body in bodies.items():
        bucket.put(key, body, ChecksumAlgorithm="CRC64NVME")
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "slices.py").write_text(DAG.format(bucket=bucket.name, container=container.container_name))
    connections = {"aws_default": s3_server.airflow_connection(), "wasb_default": azure_server.airflow_connection()}

    with AirflowServer(tmp_path, folder, connections) as airflow:
        airflow.wait_for_dag("slices")
        airflow.unpause("slices")
        run = airflow.trigger("slices")
        state = airflow.wait_for_run("slices", run, timeout=400)
        tasks = {task["task_id"]: task for task in airflow.task_instances("slices", run)}
        log = airflow.logs("slices", run, "copy")
        assert state == "success", log
        copied = airflow.xcom("slices", run, "copy")
        report = airflow.xcom("slices", run, "s3_to_azure.report")

    assert {name: task["try_number"] for name, task in tasks.items()} == dict.fromkeys(tasks, 1)
    assert (copied["status"], copied["verified"], copied["blocks"]) == ("copied", "crc64nvme", 20)
    assert log.count("the slice ended before everything was copied") >= 1
    assert 0 < copied["resumed_blocks"] < 20
    assert copied["bytes_read"] == (20 - copied["resumed_blocks"]) * MIB
    assert (report["copied"], report["failed"], report["copied_bytes"]) == (6, 0, 18 * MIB)
    found = {name: container.download_blob(name).readall() for name in bodies}
    assert found == bodies
