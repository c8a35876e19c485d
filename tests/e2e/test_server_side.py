"""A server-side copy under a started Airflow: deferred to the triggerer, cleared in the middle, resumed, no secret."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.reading_azurite import reading_azurite
from tests.servers import AirflowServer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

MIB = 1024 * 1024
BLOCKS = 12
HANGING = 5
DAG = """
from airflow.sdk import DAG
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync

endpoints = dict(s3_bucket={bucket!r}, container_name={container!r}, mode="server_side", deferrable=True)
with DAG("server_side"):
    S3ToAzureBlobStreamOperator(
        task_id="copy", s3_key="big", block_size=1024 * 1024, max_concurrency=1, verify="require", **endpoints
    ) >> s3_to_azure_sync(s3_prefix="many/", **endpoints)
"""
SIGNED = re.compile(r"(?i)x-amz-signature=[0-9a-f]|x-amz-credential=[^*]|sharedkey \w+:[^*\s]")


def test_a_deferred_copy_holds_no_worker_and_resumes_when_it_is_cleared(
    bucket: Bucket, container: ContainerClient, s3_server: S3Server, azure_server: AzureServer, tmp_path: Path
) -> None:
    """While Azure reads, the task is deferred; cleared then, the next trigger resumes from the staged blocks."""
    bodies = {"big": random.Random(1).randbytes(BLOCKS * MIB)}
    bodies |= {f"many/{number}": random.Random(number).randbytes(1000) for number in range(20)}
    for key, body in bodies.items():
        bucket.put(key, body, ChecksumAlgorithm="CRC64NVME")
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "server_side.py").write_text(DAG.format(bucket=bucket.name, container=container.container_name))
    hanging, going_on = threading.Event(), threading.Event()

    with reading_azurite(azure_server) as azure:

        def wait(number: int) -> None:
            if number == HANGING:
                hanging.set()
                going_on.wait(60)

        azure.before = wait
        azure.refusals = lambda number: 503 if number == 0 else None
        config = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
        with AirflowServer(tmp_path, folder, {}, config) as airflow:
            # In the database, not in the environment: then a triggerer must request them, and none of its threads may.
            _add_connection(airflow, "aws_default", s3_server.airflow_connection())
            _add_connection(airflow, "wasb_default", azure.airflow_connection())
            airflow.wait_for_dag("server_side")
            airflow.unpause("server_side")
            run = airflow.trigger("server_side")
            assert hanging.wait(120)
            while_azure_reads = _states(airflow, run)
            cleared = {"dry_run": False, "dag_run_id": run, "task_ids": ["copy"], "only_failed": False}
            airflow.api("POST", "/dags/server_side/clearTaskInstances", **cleared)
            _wait(lambda: len(azure.reads) > HANGING + 1, 60)
            going_on.set()
            state = airflow.wait_for_run("server_side", run, timeout=300)
            logs = [airflow.logs("server_side", run, "copy", try_number=number) for number in (1, 2)]
            assert state == "success", logs
            row = airflow.xcom("server_side", run, "copy")
            report = airflow.xcom("server_side", run, "s3_to_azure.report")
            tries = {task["task_id"]: task["try_number"] for task in airflow.task_instances("server_side", run)}

    assert while_azure_reads["copy"] == "deferred"
    assert (row["status"], row["verified"], row["bytes_read"]) == ("copied", "crc64nvme", 0)
    assert row["resumed_blocks"] == HANGING - 1
    assert (report["copied"], report["failed"], report["bytes_read"]) == (20, 0, 0)
    assert tries["s3_to_azure.copy"] == 1
    found = {name: container.download_blob(name).readall() for name in bodies}
    assert found == bodies
    assert "attempt 1 of 12 failed" in logs[0]
    assert "the trigger was stopped; what is staged in Azure stays there for the next try" in logs[0]
    assert f"resuming: {HANGING - 1} of {BLOCKS} blocks already staged" in logs[1]
    assert f"{BLOCKS} blocks ({HANGING - 1} resumed), verified by crc64nvme, 0 B read from S3" in logs[1]
    known = [s3_server.secret_key, azure_server.key]
    known += [one["x-ms-copy-source"].rpartition("X-Amz-Signature=")[2] for one in azure.reads]
    assert _found(tmp_path, known) == []


def _found(folder: Path, known: list[str]) -> list[tuple[str, str]]:
    """Return which files hold a secret that is known, or something of a secret's form."""
    left = {str(path): path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()}
    assert any(name.endswith("airflow.db") for name in left)
    found = [(name, one[:6]) for name, text in left.items() for one in known if one in text]
    return found + [(name, match[0]) for name, text in left.items() if (match := SIGNED.search(text))]


def _add_connection(airflow: AirflowServer, name: str, fields: dict[str, Any]) -> None:
    extra = json.dumps(fields.get("extra", {}))
    airflow.api("POST", "/connections", connection_id=name, **{**fields, "extra": extra})


def _states(airflow: AirflowServer, run: str) -> dict[str, Any]:
    return {task["task_id"]: task["state"] for task in airflow.task_instances("server_side", run)}


def _wait(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)
