"""What a started Airflow reports about our tasks: lineage through OpenLineage, counts through StatsD."""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Bucket
from tests.servers import AirflowServer

if TYPE_CHECKING:
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

MIB = 1024 * 1024
DAGS = """
from airflow.sdk import DAG
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync

endpoints = dict(s3_bucket={bucket!r}, container_name={container!r})
with DAG("good"):
    copy = S3ToAzureBlobStreamOperator(
        task_id="copy", s3_key="big", blob_prefix="landing/", block_size=1024 * 1024, **endpoints
    )
    again = S3ToAzureBlobStreamOperator(task_id="again", s3_key="big", blob_prefix="landing/", **endpoints)
    group = s3_to_azure_sync(s3_prefix="many/", blob_prefix="landing/", batch_objects=2, retries=0, **endpoints)
    copy >> again >> group
with DAG("bad"):
    S3ToAzureBlobStreamOperator(task_id="copy", s3_key="missing", **endpoints)
with DAG("dry"):
    s3_to_azure_sync(s3_prefix="big", dry_run=True, blob_prefix="dry/", retries=0, **endpoints)
"""


@dataclass(frozen=True)
class Observed:
    """What was reported while three DAGs ran.

    :param events: OpenLineage's last of each task
    :param metrics: the sum of each counter and of each time, by name and task
    """

    bucket: str
    container: str
    account: str
    events: dict[tuple[str, str], dict[str, Any]]
    metrics: dict[tuple[str, str], float]

    def datasets(self, dag_id: str, task_id: str, kind: str) -> list[tuple[str, str, dict[str, int] | None]]:
        """Return a task's inputs or outputs: namespace, name, statistics."""
        return [
            (one["namespace"], one["name"], _statistics(one))
            for one in self.events[dag_id, f"{dag_id}.{task_id}"][kind]
        ]

    @property
    def s3(self) -> str:
        """The bucket's namespace."""
        return f"s3://{self.bucket}"

    @property
    def azure(self) -> str:
        """The container's namespace."""
        return f"wasbs://{self.container}@{self.account}.dfs.core.windows.net"


def _statistics(dataset: dict[str, Any]) -> dict[str, int] | None:
    facet = dataset.get("outputFacets", {}).get("outputStatistics")
    return facet and {name: facet[name] for name in ("fileCount", "size")}


@contextmanager
def _statsd() -> Iterator[tuple[int, list[str]]]:
    """Listen as StatsD does; give the port, and the lines as they come."""
    lines: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def listen() -> None:
            while data := sock.recv(65536):
                lines.extend(data.decode().splitlines())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        port = sock.getsockname()[1]
        yield port, lines
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", port))
        thread.join(5)


def _ours(lines: list[str]) -> dict[tuple[str, str], float]:
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for line in lines:
        if match := re.fullmatch(
            r"airflow\.(s3_to_azure\.[\w.]+),dag_id=(\w+),task_id=([\w.]+):([\d.]+)\|(c|ms|g)", line
        ):
            name, dag_id, task_id, number, _ = match.groups()
            found[name, f"{dag_id}.{task_id}"] += float(number)
    return dict(found)


@pytest.fixture(scope="module")
def observed(s3_server: S3Server, azure_server: AzureServer, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Three runs: an object, the same again and a sync of five small ones; a key that is missing; a dry run."""
    folder = tmp_path_factory.mktemp("observed")
    bucket = Bucket(s3_server, f"source-{secrets.token_hex(6)}")
    container = azure_server.container_client(f"destination-{secrets.token_hex(6)}")
    bucket.put("big", b"x" * (2 * MIB + 1))
    for number in range(5):
        bucket.put(f"many/{number}", b"x" * 100)
    dags, events = folder / "dags", folder / "events.jsonl"
    dags.mkdir()
    (dags / "observed.py").write_text(DAGS.format(bucket=bucket.name, container=container.container_name))
    connections = {"aws_default": s3_server.airflow_connection(), "wasb_default": azure_server.airflow_connection()}
    with _statsd() as (port, lines):
        config = {
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(events), "append": True}
            ),
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }
        with AirflowServer(folder, dags, connections, config) as airflow:
            states = {}
            for dag_id in ("good", "bad", "dry"):
                airflow.wait_for_dag(dag_id)
                airflow.unpause(dag_id)
                states[dag_id] = airflow.wait_for_run(dag_id, airflow.trigger(dag_id), timeout=200)
    assert states == {"good": "success", "bad": "failed", "dry": "success"}
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] in ("COMPLETE", "FAIL"):
            last[event["job"]["name"].partition(".")[0], event["job"]["name"]] = event
    return Observed(bucket.name, container.container_name, azure_server.account, last, _ours(lines))


def test_one_object_is_one_dataset_on_each_side(observed: Observed) -> None:
    """The key, and the blob with what was written into it."""
    assert observed.datasets("good", "copy", "inputs") == [(observed.s3, "big", None)]
    assert observed.datasets("good", "copy", "outputs") == [
        (observed.azure, "landing/big", {"fileCount": 1, "size": 2 * MIB + 1})
    ]


def test_a_copy_that_had_nothing_to_do_wrote_nothing(observed: Observed) -> None:
    """The datasets are the same, so that the lineage stays; the statistics show that nothing was written."""
    assert observed.datasets("good", "again", "outputs") == [
        (observed.azure, "landing/big", {"fileCount": 0, "size": 0})
    ]


def test_a_sync_is_one_dataset_on_each_side_however_many_objects(observed: Observed) -> None:
    """Its report task names the prefixes, as Spark names folders; its other tasks report none."""
    assert observed.datasets("good", "s3_to_azure.report", "inputs") == [(observed.s3, "many", None)]
    assert observed.datasets("good", "s3_to_azure.report", "outputs") == [
        (observed.azure, "landing/many", {"fileCount": 5, "size": 500})
    ]
    for task in ("plan", "copy"):
        assert observed.datasets("good", f"s3_to_azure.{task}", "inputs") == []
        assert observed.datasets("good", f"s3_to_azure.{task}", "outputs") == []


def test_a_failed_copy_reports_its_datasets(observed: Observed) -> None:
    """Its datasets are known, what it wrote is not."""
    assert observed.events["bad", "bad.copy"]["eventType"] == "FAIL"
    assert observed.datasets("bad", "copy", "inputs") == [(observed.s3, "missing", None)]
    assert observed.datasets("bad", "copy", "outputs") == [(observed.azure, "missing", None)]


def test_a_dry_run_has_no_lineage(observed: Observed) -> None:
    """Nothing was read and nothing written."""
    assert observed.datasets("dry", "s3_to_azure.report", "inputs") == []
    assert observed.datasets("dry", "s3_to_azure.report", "outputs") == []


def test_what_was_copied_is_counted_once(observed: Observed) -> None:
    """Airflow's StatsD gets objects, bytes and seconds with the task that copied them; what is zero is not sent."""
    counts = {key: value for key, value in observed.metrics.items() if not key[0].endswith(("duration", "fresh_until"))}

    assert counts == {
        ("s3_to_azure.objects.copied", "good.copy"): 1,
        ("s3_to_azure.bytes.copied", "good.copy"): 2 * MIB + 1,
        ("s3_to_azure.bytes.read", "good.copy"): 2 * MIB + 1,
        ("s3_to_azure.objects.unchanged", "good.again"): 1,
        ("s3_to_azure.objects.copied", "good.s3_to_azure.copy"): 5,
        ("s3_to_azure.bytes.copied", "good.s3_to_azure.copy"): 500,
        ("s3_to_azure.bytes.read", "good.s3_to_azure.copy"): 500,
        ("s3_to_azure.objects.failed", "bad.copy"): 1,
    }


def test_a_good_run_reports_until_when_its_copy_is_complete(observed: Observed) -> None:
    """In seconds since 1970; a dry run and failed tasks report nothing."""
    times = {task: value for (name, task), value in observed.metrics.items() if name == "s3_to_azure.fresh_until"}

    assert set(times) == {"good.s3_to_azure.report"}
    assert time.time() - 3600 < times["good.s3_to_azure.report"] < time.time()


def test_every_copying_task_reports_its_duration(observed: Observed) -> None:
    """In milliseconds, as StatsD takes times, also where it failed."""
    durations = {task: value for (name, task), value in observed.metrics.items() if name == "s3_to_azure.copy.duration"}

    assert set(durations) == {"good.copy", "good.again", "good.s3_to_azure.copy", "bad.copy"}
    assert all(0 < value < 60_000 for value in durations.values())
