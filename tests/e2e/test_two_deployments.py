"""Two Airflows that know nothing of each other, with the same DAG, the same runs, and one container."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tests.ledgers import ledger_rows
from tests.servers.process import child_environment

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

PREFIXES = ("left/", "right/")
RUNS = 10
PATIENCE = 600.0

Deploy = Callable[[str, int], "tuple[subprocess.Popen[bytes], Path]"]


@pytest.fixture
def deploy(
    bucket: Bucket, container: ContainerClient, s3_server: S3Server, azure_server: AzureServer, tmp_path: Path
) -> Iterator[Deploy]:
    """Starts a deployment that syncs a prefix, and waits at a port before each of its plans; with its log."""
    root = Path(__file__).parents[2]

    def start(prefix: str, port: int) -> tuple[subprocess.Popen[bytes], Path]:
        home = tmp_path / prefix.strip("/")
        (home / "dags").mkdir(parents=True)
        bundle = {
            "name": "tests",  # the bundle of run_dag()
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(home / "dags")},
        }
        environment = child_environment(
            AIRFLOW_HOME=str(home),
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__DAGS_FOLDER=str(home / "dags"),
            AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps([bundle]),
            AIRFLOW_CONN_AWS_DEFAULT=json.dumps(s3_server.airflow_connection()),
            AIRFLOW_CONN_WASB_DEFAULT=json.dumps(azure_server.airflow_connection()),
        )
        arguments = [bucket.name, prefix, str(container.container_name), str(port), str(RUNS)]
        command = [sys.executable, "-m", "tests.e2e.deployment", *arguments]
        # A file, not a pipe: nothing reads while the runs go on, and a full pipe would block them.
        log = home / "log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process, log

    with ExitStack() as stack:
        yield start


def test_two_deployments_share_a_container_without_losing_a_key(
    bucket: Bucket, container: ContainerClient, deploy: Deploy
) -> None:
    """Ten times they plan the same run of the same DAG in the same second: each copies and accounts for its own keys."""
    keys: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(PATIENCE)
        deployments = [deploy(prefix, gate.getsockname()[1]) for prefix in PREFIXES]
        for run in range(RUNS):
            waiting = [gate.accept()[0] for _ in deployments]
            new = [f"{prefix}{run}/{number}.csv" for prefix in PREFIXES for number in range(3)]
            for key in new:
                bucket.put(key, key.encode())
            keys += new
            # Until the next second begins, so that neither plan begins in another one.
            Event().wait(1 - time.time() % 1)
            for one in waiting:
                one.close()
        for process, _ in deployments:
            process.wait(timeout=PATIENCE)

    lines = [line for _, log in deployments for line in log.read_text(encoding="utf-8").splitlines()]
    states = [json.loads(line) for line in lines if line.startswith('"')]
    records = list(container.list_blob_names(name_starts_with="_s3_to_azure/nightly/"))
    ledger = ledger_rows(container, "_s3_to_azure/nightly/")
    blobs = {name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")}
    assert blobs == set(keys)
    assert states == ["success"] * 2 * RUNS
    assert Counter(row["key"] for row in ledger if row["status"] == "copied") == Counter(keys)

    folders = {name.split("/")[4] for name in records}
    seconds = Counter(folder.partition("-")[0] for folder in folders)
    assert len(folders) == 2 * RUNS
    assert 2 in seconds.values()  # or this test has shown nothing
