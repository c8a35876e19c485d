"""What it costs to be an operator: a whole task process, from its first import to its exit, through Airflow's task runner.

A stand-in for Airflow's supervisor starts the runner as a fresh interpreter (as the Kubernetes executor's pods do) with a
socket on its standard input, sends it what to run, and confirms every request. So the cost is the task process's own:
no scheduler, no API server, no database.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec

from benchmarks.job import Job
from benchmarks.measure import BLOCK, Cost, cpu_seconds
from benchmarks.runner import BrokenRunError

TASKS = {
    "task-empty": "empty PythonOperator task",
    "task-clients": "both hooks and their clients, nothing else",
    "task-ours": "S3ToAzureBlobStreamOperator task",
    "task-stock": "S3ToAzureBlobStorageOperator task",
}
"""What each is called in tables."""
COPYING = ("task-ours", "task-stock")
"""Those that copy an object."""
# Airflow's supervisor ends a task process without Python's finalization too.
_MAIN = "import os; from airflow.sdk.execution_time.task_runner import main; main(); os._exit(0)"
_DAGS = {
    "task-empty": """
        from airflow.providers.standard.operators.python import PythonOperator
        from airflow.sdk import DAG

        def nothing():
            pass

        with DAG("dag", schedule=None):
            PythonOperator(task_id="task", python_callable=nothing)
        """,
    "task-clients": """
        from airflow.providers.standard.operators.python import PythonOperator
        from airflow.sdk import DAG

        def clients():
            from airflow.providers.amazon.aws.hooks.s3 import S3Hook
            from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

            S3Hook().get_conn()
            WasbHook().get_conn()

        with DAG("dag", schedule=None):
            PythonOperator(task_id="task", python_callable=clients)
        """,
    "task-ours": """
        from airflow.sdk import DAG
        from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator

        with DAG("dag", schedule=None):
            S3ToAzureBlobStreamOperator(task_id="task", s3_bucket={bucket!r}, s3_key={key!r}, container_name={container!r})
        """,
    "task-stock": """
        from airflow.providers.microsoft.azure.transfers.s3_to_wasb import S3ToAzureBlobStorageOperator
        from airflow.sdk import DAG

        with DAG("dag", schedule=None):
            S3ToAzureBlobStorageOperator(
                task_id="task",
                s3_bucket={bucket!r},
                s3_key={key!r},
                container_name={container!r},
                blob_name={key!r},
                replace=True,
            )
        """,
}


def run_task(name: str, job: Job, environment: dict[str, str], scratch: Path) -> Cost:
    """Run one task in a process of its own, as Airflow does, and return what that process took.

    :param job: what it copies, if it copies
    :param environment: with the Airflow connections
    :raises BrokenRunError: if the task did not succeed
    """
    dags = scratch / "dags"
    dags.mkdir(exist_ok=True)
    text = dedent(_DAGS[name]).format(bucket=job.bucket, key=job.keys[0], container=job.container)
    (dags / f"{name}.py").write_text(text)
    bundle = {
        "name": "dags",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(dags)},
    }
    ours, theirs = socket.socketpair()
    with ours, (scratch / f"{name}.log").open("wb") as log:
        started = time.monotonic()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", _MAIN],
                env={
                    **environment,
                    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
                    "PYTHONPATH": str(Path.cwd()),
                },
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
            )
        _send(ours, [0, _startup(f"{name}.py"), None])
        requests = [_respond(ours, message) for message in _messages(ours)]
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or "SucceedTask" not in requests:
        tail = (scratch / f"{name}.log").read_text()[-3000:]
        raise BrokenRunError(f"{name} ended with {process.returncode}; its requests: {requests}\n{tail}")
    return Cost(cpu_seconds(used), seconds, used.ru_maxrss * 1024, used.ru_oublock * BLOCK)


def _startup(file: str) -> dict[str, Any]:
    """Return the message that defines what a task process runs."""
    now = datetime.now(UTC)
    return {
        "type": "StartupDetails",
        "ti": {
            "id": str(uuid.uuid4()),
            "task_id": "task",
            "dag_id": "dag",
            "run_id": "run",
            "try_number": 1,
            "dag_version_id": str(uuid.uuid4()),
            "map_index": -1,
            "hostname": "localhost",
        },
        "dag_rel_path": file,
        "bundle_info": {"name": "dags", "version": None},
        "start_date": now,
        "ti_context": {
            "dag_run": {
                "dag_id": "dag",
                "run_id": "run",
                "logical_date": now,
                "data_interval_start": now,
                "data_interval_end": now,
                "run_after": now,
                "start_date": now,
                "end_date": None,
                "run_type": "manual",
                "state": "running",
                "conf": {},
                "consumed_asset_events": [],
                "partition_key": None,
            },
            "max_tries": 0,
        },
        "sentry_integration": "",
    }


def _send(connection: socket.socket, frame: list[Any]) -> None:
    body = msgspec.msgpack.encode(frame)
    connection.sendall(len(body).to_bytes(4, "big") + body)


def _messages(connection: socket.socket) -> Iterator[list[Any]]:
    """Yield the task process's requests, until it closes the connection."""
    while True:
        length = _receive(connection, 4)
        if not length:
            return
        yield msgspec.msgpack.decode(_receive(connection, int.from_bytes(length, "big")))


def _receive(connection: socket.socket, size: int) -> bytes:
    return connection.recv(size, socket.MSG_WAITALL)


def _respond(connection: socket.socket, message: list[Any]) -> str:
    """Confirm a request; return its type."""
    number, body, *_ = message
    kind = str(body["type"])
    responses = {"ValidateInletsAndOutlets": {"type": "InactiveAssetsResult", "inactive_assets": []}}
    _send(connection, [number, responses.get(kind), None])
    return kind
