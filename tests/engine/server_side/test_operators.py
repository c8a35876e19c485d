"""Operators that have Azure copy by itself, on a worker and in a trigger, through Airflow's own task runner."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_s3_azure import triggers
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync
from airflow_s3_azure.triggers import ServerSideObjectTrigger
from tests.airflow_runs import clear_and_run, run_dag

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.fakes.reading_azurite import ReadingAzurite
    from tests.servers import S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("reading_connections")]

BLOCK = 64 * 1024


@pytest.fixture(autouse=True)
def _no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none that a trigger could be too fast for."""
    monkeypatch.setattr(triggers, "SOONEST_SECONDS", 0)


def _bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _dag(bucket: Bucket, container: ContainerClient, **arguments: Any) -> DAG:
    given: dict[str, Any] = {"s3_key": "a", "mode": "server_side", "block_size": BLOCK, **arguments}
    with DAG(f"one_{container.container_name}") as dag:
        S3ToAzureBlobStreamOperator(
            task_id="copy", s3_bucket=bucket.name, container_name=container.container_name, **given
        )
    return dag


@pytest.mark.parametrize("deferrable", [False, True])
def test_azure_copies_an_object(
    bucket: Bucket, container: ContainerClient, reading_azurite: ReadingAzurite, deferrable: bool
) -> None:
    """The XCom is that of a streamed copy, but that no byte was read."""
    body = _bytes(3 * BLOCK + 5)
    etag = bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")

    run = run_dag(_dag(bucket, container, deferrable=deferrable, verify="require"))

    assert run.state == "success"
    row = run.xcom("copy")
    assert {name: row[name] for name in ("key", "blob", "status", "size", "blocks", "etag", "verified")} == {
        "key": "a",
        "blob": "a",
        "status": "copied",
        "size": len(body),
        "blocks": 4,
        "etag": etag,
        "verified": "crc64nvme",
    }
    assert (row["bytes_read"], row["source"]) == (0, f"s3://{bucket.name}/a")
    assert container.download_blob("a").readall() == body
    assert len(reading_azurite.reads) == 4
    assert run.xcom("copy", "_link_AzurePortalLink") == reading_azurite.container_client(container.container_name).url


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sync_copies_its_batches(bucket: Bucket, container: ContainerClient, deferrable: bool) -> None:
    """The ledger and the report are the same; a failure is named, and clearing the batch copies what is left."""
    bodies = {f"in/{number}": _bytes(number * BLOCK // 2) for number in range(6)}
    for key, body in bodies.items():
        bucket.put(key, body, ChecksumAlgorithm="CRC64NVME")
    leased = container.get_blob_client("in/4")
    leased.upload_blob(b"old")
    lease = leased.acquire_lease()
    with DAG(f"sync_{container.container_name}", params={"mode": "server_side"}) as dag:
        s3_to_azure_sync(
            s3_bucket=bucket.name,
            s3_prefix="in/",
            container_name=container.container_name,
            mode="{{ params.mode }}",
            deferrable=deferrable,
            block_size=BLOCK,
            retries=0,
        )

    run = run_dag(dag)
    lease.release()
    again = clear_and_run(dag, run, only_failed=True) if not deferrable else None

    assert run.state == "failed"
    summary = run.xcom("s3_to_azure.copy", map_index=0)
    if again is None:
        assert (summary["copied"], summary["failed"], summary["bytes_read"]) == (5, 1, 0)
        assert "LeaseIdMissing" in summary["failures"][0]["error"]
    else:
        assert again.state == "success"
        assert (summary["copied"], summary["failed"], summary["bytes_read"]) == (6, 0, 0)
    found = {blob: container.download_blob(blob).readall() for blob in bodies}
    assert found == (bodies if again else {**bodies, "in/4": b"old"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "{{ 'azcopy' }}"}, "ConfigurationError: mode is 'azcopy'"),
        ({"mode": "stream", "deferrable": True}, "deferrable=True needs mode='server_side'"),
        ({"deferrable": True, "slice": timedelta(hours=1)}, "slice and deferrable are both given"),
        ({"requester_pays": True}, "mode='server_side' cannot read requester-pays buckets"),
        ({"requester_pays": True, "deferrable": True}, "mode='server_side' cannot read requester-pays buckets"),
        ({"aws_conn_id": "nope", "deferrable": True}, "there is no Airflow connection 'nope' (aws_conn_id)"),
        ({"s3_key": "missing", "deferrable": True}, "('s3://{bucket}/missing' -> "),
        ({"verify": "require", "s3_key": "crc32"}, "('s3://{bucket}/crc32' -> "),
        ({"verify": "require", "s3_key": "crc32", "deferrable": True}, "('s3://{bucket}/crc32' -> "),
    ],
)
def test_what_no_retry_can_fix_fails_at_once(
    bucket: Bucket,
    container: ContainerClient,
    capfd: pytest.CaptureFixture[str],
    arguments: dict[str, Any],
    message: str,
) -> None:
    """The same errors on a worker and out of a trigger."""
    bucket.put("a", b"x")
    bucket.put("crc32", _bytes(2 * BLOCK), ChecksumAlgorithm="CRC32")

    run = run_dag(_dag(bucket, container, retries=5, **arguments))

    assert run.states() == {("copy", -1): "failed"}
    out = capfd.readouterr()
    assert message.format(bucket=bucket.name) in out.out + out.err
    assert list(container.list_blobs()) == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_s3_that_azure_cannot_reach_is_refused(
    bucket: Bucket,
    container: ContainerClient,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
) -> None:
    """A loopback endpoint and an account in Azure's cloud, before any request to it but a HEAD of the container."""
    bucket.put("a", b"x")
    monkeypatch.setattr("airflow_s3_azure.engine.server_side.reachability._AZURE", (".1",))

    run = run_dag(_dag(bucket, container, deferrable=deferrable))

    assert run.states() == {("copy", -1): "failed"}
    out = capfd.readouterr()
    assert "cannot reach S3 at 127.0.0.1: the address is private to this network" in out.out + out.err


def _trigger(bucket: Bucket, container: ContainerClient) -> ServerSideObjectTrigger:
    return ServerSideObjectTrigger(
        endpoints=Endpoints(bucket.name, container.container_name).as_json(),
        options=CopyOptions(mode="server_side", block_size=BLOCK, max_concurrency=2).as_json(),
        s3_key="a",
        s3_version_id=None,
        blob_name="a",
    )


def test_a_trigger_is_made_again_from_its_serialized_form(
    bucket: Bucket, container: ContainerClient, reading_azurite: ReadingAzurite, s3_server: S3Server
) -> None:
    """That is the operator's arguments, as JSON, and no credential."""
    path, arguments = _trigger(bucket, container).serialize()
    text = json.dumps(arguments)
    module, _, name = path.rpartition(".")
    made = getattr(import_module(module), name)(**json.loads(text))

    assert isinstance(made, ServerSideObjectTrigger)
    assert made.serialize() == (path, arguments)
    assert [
        one for one in (s3_server.secret_key, s3_server.access_key, reading_azurite.server.key) if one in text
    ] == []


def test_a_trigger_that_is_stopped_ends_its_threads_and_leaves_its_blocks(
    bucket: Bucket, container: ContainerClient, reading_azurite: ReadingAzurite
) -> None:
    """As Airflow does when the task is cleared, or the triggerer ends; the next one resumes."""
    body = _bytes(6 * BLOCK)
    bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")
    begun, going_on = threading.Event(), threading.Event()

    def wait(number: int) -> None:
        if number >= 3:
            begun.set()
            going_on.wait(30)

    async def stop() -> float:
        running = asyncio.ensure_future(_first(_trigger(bucket, container)))
        assert await asyncio.to_thread(begun.wait, 30)
        loop = asyncio.get_running_loop()
        started = loop.time()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return loop.time() - started

    reading_azurite.before = wait
    seconds = asyncio.run(stop())
    deadline = time.monotonic() + 3
    while (left := _threads()) and time.monotonic() < deadline:
        time.sleep(0.05)
    going_on.set()
    reading_azurite.before = lambda number: None
    event = asyncio.run(_first(_trigger(bucket, container)))

    assert seconds < 5
    assert left == []
    assert event["outcome"]["status"] == "copied"
    assert event["outcome"]["resumed_blocks"] in (2, 3)
    assert container.download_blob("a").readall() == body


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("s3-to-azure-")]


async def _first(trigger: ServerSideObjectTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        return dict(event.payload)
    raise AssertionError("it fired nothing")
