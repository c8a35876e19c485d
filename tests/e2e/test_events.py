"""A bucket sends its events to a queue; a real Airflow receives them and copies what they announce."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.conftest import ROOT, Bucket, needs_airflow_3_3
from tests.servers import AirflowServer, S3Server, ServerError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from botocore.client import BaseClient

    from tests.servers import AzureServer

pytest.importorskip("aiobotocore", reason="the extra `events` is not installed")
pytestmark = [pytest.mark.airflow, pytest.mark.servers, pytest.mark.slow, needs_airflow_3_3]

DAG_ID = "s3_to_azure_events"
WITHIN = 180.0


@pytest.fixture
def events_bucket(tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket of a LocalStack that has queues."""
    with S3Server(tmp_path, services=("s3", "sqs")) as server:
        yield Bucket(server, "exports")


def _queue(bucket: Bucket) -> tuple[BaseClient, str]:
    """Create a queue to which the bucket sends its events; return its client and its URL."""
    server = bucket.server
    client = boto3.session.Session().client(
        "sqs",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    client.create_queue(QueueName="events")
    configuration = {
        "QueueArn": f"arn:aws:sqs:{server.region}:000000000000:events",
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
    }
    bucket.client.put_bucket_notification_configuration(
        Bucket=bucket.name, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )
    return client, f"{server.endpoint_url}/000000000000/events"


def _wait_for_blobs(airflow: AirflowServer, container: ContainerClient, names: set[str]) -> list[dict[str, Any]]:
    """Wait until the container has the blobs, and no run is active; return the runs."""
    deadline = time.monotonic() + WITHIN
    while True:
        runs: list[dict[str, Any]] = airflow.api("GET", f"/dags/{DAG_ID}/dagRuns")["dag_runs"]
        there = {name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")}
        if names <= there and all(run["state"] in ("success", "failed") for run in runs):
            assert there == names
            return runs
        if time.monotonic() > deadline:
            raise ServerError("Airflow", f"has copied {there} after {WITHIN:g} s; runs: {runs}", airflow.log)
        time.sleep(1)


def test_objects_are_copied_when_their_events_arrive(
    events_bucket: Bucket, azure_server: AzureServer, container: ContainerClient, tmp_path: Path
) -> None:
    """Under their own names, and again after the first run; a malformed message and a deletion hinder nothing."""
    sqs, url = _queue(events_bucket)
    first = {"a b+c/é%25.csv": b"1", "plain": b"2"}
    for key, body in first.items():
        events_bucket.put(key, body)
    events_bucket.put("gone", b"x")
    events_bucket.client.delete_object(Bucket=events_bucket.name, Key="gone")
    malformed = sqs.send_message(QueueUrl=url, MessageBody="not an event")["MessageId"]
    connections = {
        "aws_default": events_bucket.server.airflow_connection(),
        "wasb_default": azure_server.airflow_connection(),
    }
    settings = {
        "S3_TO_AZURE_EVENTS_QUEUE": url,
        "S3_TO_AZURE_BUCKET": events_bucket.name,
        "S3_TO_AZURE_CONTAINER": container.container_name,
        "S3_TO_AZURE_DRY_RUN": "false",
    }

    with AirflowServer(tmp_path, ROOT / "dags", connections, settings) as airflow:
        airflow.wait_for_dag(DAG_ID)
        airflow.unpause(DAG_ID)
        _wait_for_blobs(airflow, container, set(first))
        events_bucket.put("later", b"3")
        runs = _wait_for_blobs(airflow, container, {*first, "later"})
        counts: Counter[str] = Counter()
        for run in runs:
            counts.update(airflow.xcom(DAG_ID, run["dag_run_id"], "read_events", key="events"))
        logs = "".join(airflow.logs(DAG_ID, run["dag_run_id"], "read_events") for run in runs)

    assert {run["state"] for run in runs} == {"success"}
    assert counts == {"messages": 7, "keys": 4, "created": 4, "deletions": 1, "tests": 1, "ignored": 0, "malformed": 1}
    assert malformed in logs
    assert {name: container.download_blob(name).readall() for name in first} == first
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert {number for name, number in queue.items() if name.startswith("ApproximateNumber")} == {"0"}
