"""A copy that hangs in a read ends within seconds when Airflow stops it, and its staged blocks stay."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from azure.core.exceptions import ResourceNotFoundError

from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from tests.airflow_runs import run_dag
from tests.faults.proxy import FaultProxy, Stall
from tests.servers import AirflowServer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.faults.http1 import Request
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

BLOCK = 64 * 1024
BLOCKS = 40
STALLED = 12
DAG_FILE = """
from airflow.sdk import DAG
from azure.core.exceptions import ResourceNotFoundError
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator

with DAG("hangs"):
    S3ToAzureBlobStreamOperator(
        task_id="copy", s3_bucket={bucket!r}, s3_key="a", container_name={container!r}, block_size=65536
    )
"""


def _is_range(request: Request) -> bool:
    return request.method == "GET" and "range" in request.headers


@pytest.fixture
def hanging(bucket: Bucket, s3_server: S3Server) -> Iterator[FaultProxy]:
    """A proxy before S3 on which every read stalls in its body, after the first few."""
    bucket.put("a", os.urandom(BLOCKS * BLOCK))
    with FaultProxy("127.0.0.1", s3_server.port) as proxy:
        proxy.strike(Stall("response"), _is_range, skip=STALLED, times=None)
        yield proxy


def _connection(server: S3Server, proxy: FaultProxy) -> dict[str, Any]:
    connection = server.airflow_connection()
    return connection | {"extra": connection["extra"] | {"endpoint_url": proxy.url}}


def _staged(container: ContainerClient) -> int:
    try:
        return len(container.get_blob_client("a").get_block_list("uncommitted")[1])
    except ResourceNotFoundError:
        return 0


@pytest.mark.usefixtures("connections")
def test_a_timeout_ends_all_workers(
    bucket: Bucket,
    container: ContainerClient,
    s3_server: S3Server,
    hanging: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """execution_timeout raises in the main thread; three seconds later no thread of the copy is left."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(_connection(s3_server, hanging)))
    with DAG(f"timeout_{container.container_name}") as dag:
        S3ToAzureBlobStreamOperator(
            task_id="copy",
            s3_bucket=bucket.name,
            s3_key="a",
            container_name=container.container_name,
            block_size=BLOCK,
            execution_timeout=timedelta(seconds=4),
        )

    started = time.monotonic()
    run = run_dag(dag)
    seconds = time.monotonic() - started

    assert run.state == "failed"
    assert 4 <= seconds < 4 + 3 + 8  # and what Airflow needs around the task
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("s3-to-azure")] == []
    assert _staged(container) == STALLED
    assert not container.get_blob_client("a").exists()


def test_killing_a_task_ends_it_within_three_seconds_and_clearing_it_resumes(
    bucket: Bucket,
    container: ContainerClient,
    s3_server: S3Server,
    azure_server: AzureServer,
    hanging: FaultProxy,
    tmp_path: Path,
) -> None:
    """Marking it failed makes Airflow send SIGTERM, which calls on_kill; the next try copies only what is missing."""
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "hangs.py").write_text(DAG_FILE.format(bucket=bucket.name, container=container.container_name))
    connections = {
        "aws_default": _connection(s3_server, hanging),
        "wasb_default": azure_server.airflow_connection(),
    }

    with AirflowServer(tmp_path, folder, connections) as airflow:
        airflow.wait_for_dag("hangs")
        airflow.unpause("hangs")
        run = airflow.trigger("hangs")
        task = f"/dags/hangs/dagRuns/{run.replace('+', '%2B')}/taskInstances/copy"
        _wait(lambda: _staged(container) == STALLED, 90)
        airflow.api("PATCH", task, new_state="failed")
        _wait(lambda: "Task killed!" in airflow.logs("hangs", run, "copy"), 30)
        log = airflow.logs("hangs", run, "copy")
        staged = _staged(container)
        hanging.heal()
        airflow.api("POST", "/dags/hangs/clearTaskInstances", dry_run=False, dag_run_id=run, only_failed=True)
        state = airflow.wait_for_run("hangs", run, timeout=120)
        result = airflow.xcom("hangs", run, "copy")

    assert staged == STALLED
    assert "the task was killed; what is staged in Azure stays there for the next try" in log
    # Airflow sends SIGKILL five seconds after SIGTERM, and may notice the end as late.
    assert _time_of(log, "Task failed with exception") - _time_of(log, "Terminating process") < timedelta(seconds=3)
    assert (state, result["resumed_blocks"], result["bytes_read"]) == ("success", STALLED, (BLOCKS - STALLED) * BLOCK)


def _wait(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


def _time_of(log: str, event: str) -> datetime:
    """Return when an event was logged."""
    (line,) = (json.loads(line) for line in log.splitlines() if event in line)
    return datetime.fromisoformat(line["timestamp"])
