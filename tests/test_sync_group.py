"""The task group plan → copy → report, through Airflow's own task runner, against the S3 server and Azurite."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, TaskGroup

from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import Run, run_dag

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]

MIB = 1024 * 1024
Sync = Callable[..., DAG]


@pytest.fixture
def sync(bucket: Bucket, container: ContainerClient) -> Sync:
    """A DAG of one sync group from the bucket to the container."""

    def build(**arguments: Any) -> DAG:
        with DAG(f"sync_{container.container_name}") as dag:
            s3_to_azure_sync(
                s3_bucket=bucket.name,
                container_name=container.container_name,
                **{"retries": 0, "block_size": MIB, "batch_objects": 5, **arguments},
            )
        return dag

    return build


def _copies(container: ContainerClient) -> dict[str, bytes]:
    names = [blob.name for blob in container.list_blobs() if not blob.name.startswith("_s3_to_azure/")]
    return {name: container.download_blob(name).readall() for name in names}


def _ledger(container: ContainerClient, run: Run) -> list[dict[str, Any]]:
    folder = run.xcom("s3_to_azure.plan", "plan")["folder"]
    names = sorted(blob.name for blob in container.list_blobs(name_starts_with=f"{folder}/ledger/"))
    return [json.loads(line) for name in names for line in container.download_blob(name).readall().splitlines()]


def test_everything_under_a_prefix_arrives_and_is_in_the_ledger_once(
    bucket: Bucket, container: ContainerClient, sync: Sync
) -> None:
    """Small objects, one of several blocks and an empty one are copied over several batches."""
    bodies = {f"in/{n:02d}.bin": random.Random(n).randbytes(1000 * n) for n in range(20)}
    bodies["in/big"] = random.Random(99).randbytes(3 * MIB + 1)
    for key, body in bodies.items():
        bucket.put(key, body)
    bucket.put("elsewhere/a", b"not selected")

    run = run_dag(sync(s3_prefix="in/"))

    assert run.state == "success"
    assert _copies(container) == bodies
    rows = _ledger(container, run)
    assert sorted(row["key"] for row in rows) == sorted(bodies)
    assert {row["status"] for row in rows} == {"copied"}
    report = run.xcom("s3_to_azure.report")
    assert (report["objects"], report["copied"], report["failed"], report["missing"]) == (21, 21, 0, 0)
    assert report["copied_bytes"] == sum(map(len, bodies.values()))
    assert report["bytes_read"] == report["copied_bytes"]
    assert len(run.labels("s3_to_azure.copy")) == 6


def test_a_second_run_copies_nothing_but_what_changed(bucket: Bucket, container: ContainerClient, sync: Sync) -> None:
    """Unchanged objects cost nothing; a change of the same size is seen."""
    for n in range(6):
        bucket.put(f"k{n}", b"old %d" % n)
    run_dag(sync())
    bucket.put("k3", b"new 3")

    run = run_dag(sync())

    report = run.xcom("s3_to_azure.report")
    assert (report["copied"], report["unchanged"], report["bytes_read"]) == (1, 5, 5)
    assert _copies(container)["k3"] == b"new 3"


def test_nothing_to_copy_is_a_green_run(
    container: ContainerClient, sync: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty selection skips the copy tasks and still reports, with a warning: it may be a typing error."""
    run = run_dag(sync(s3_prefix="nothing/"))

    assert "no key is selected under 's3://" in caplog.text

    assert run.state == "success"
    assert run.states()[("s3_to_azure.copy", -1)] == "skipped"
    assert run.xcom("s3_to_azure.report")["objects"] == 0
    assert _copies(container) == {}


def test_what_azure_cannot_hold_is_skipped_with_its_reason(
    bucket: Bucket, container: ContainerClient, sync: Sync
) -> None:
    """Folder markers and impossible names are in the ledger, and the others are copied."""
    reasons = {
        "folder/": "it only stands for a folder",
        "dot.": "a blob name cannot end with '.'",
        "up/../x": "Azure resolves the path segments '.' and '..' in a blob name",
        "line\nbreak": "Azure takes no control characters in a blob name",
        "back\\slash": "Azure turns a backslash in a blob name into a slash",
    }
    for key in reasons:
        bucket.put(key, b"" if key.endswith("/") else b"x")
    bucket.put("fine", b"y")

    run = run_dag(sync())

    assert run.state == "success"
    rows = _ledger(container, run)
    assert {row["key"]: row["reason"] for row in rows if row["status"] == "skipped"} == reasons
    assert _copies(container) == {"fine": b"y"}


def test_odd_keys_arrive_under_their_own_names(bucket: Bucket, container: ContainerClient, sync: Sync) -> None:
    """Keys are bytes, not paths, URLs or templates."""
    keys = [
        "a//b",
        "/lead",
        "plus+",
        "per%25cent",
        "sp ace",
        "{{ conn.aws_default.password }}",
        "q?&=#x",
        "emoji 🦆",
    ]
    keys += ["caf\u00e9", "cafe\u0301", "quote'\"", "tilde~(!)*", "x" * 1000]
    for key in keys:
        bucket.put(key, key.encode())

    run = run_dag(sync())

    assert run.state == "success"
    assert _copies(container) == {key: key.encode() for key in keys}


def test_a_failed_key_stops_no_other_and_fails_the_run(
    bucket: Bucket,
    container: ContainerClient,
    sync: Sync,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A leased blob cannot be written: its key is failed in the ledger, all others are copied, the run is red."""
    for n in range(4):
        bucket.put(f"k{n}", b"new %d" % n)
    container.upload_blob("k2", b"old")
    lease = container.get_blob_client("k2").acquire_lease()

    run = run_dag(sync())

    lease.release()
    assert run.state == "failed"
    assert run.states()[("s3_to_azure.report", -1)] == "failed"
    report, batch = run.xcom("s3_to_azure.report"), run.xcom("s3_to_azure.copy", map_index=0)
    assert (report["copied"], report["failed"], report["missing"]) == (3, 1, 0)
    assert [failure["key"] for failure in report["failures"]] == ["k2"]
    assert (batch["copied"], batch["failed"]) == (3, 1)
    assert {row["key"]: row["status"] for row in _ledger(container, run)} == {
        "k0": "copied",
        "k1": "copied",
        "k2": "failed",
        "k3": "copied",
    }
    out = capfd.readouterr()
    assert "1 of 4 keys could not be copied" in out.out + out.err
    assert "the blob is leased" in out.out + out.err


def test_names_are_built_from_prefixes(bucket: Bucket, container: ContainerClient, sync: Sync) -> None:
    """strip_prefix is cut off and blob_prefix put before, both templated."""
    bucket.put("exports/2026-01-01/a", b"a")

    run_dag(sync(s3_prefix="exports/{{ ds }}/", strip_prefix="exports/", blob_prefix="landing/"))

    assert _copies(container) == {"landing/2026-01-01/a": b"a"}


def test_globs_and_times_select(bucket: Bucket, container: ContainerClient, sync: Sync) -> None:
    """Only what the selection contains is part of the sync and of its ledger."""
    for key in ("a/1.csv", "a/2.csv", "a/1.tmp", "b/c/3.csv"):
        bucket.put(key, b"x")

    run = run_dag(
        sync(
            include=["**.csv"],
            exclude=["a/2*"],
            modified_since="{{ data_interval_start }}",
            modified_before=datetime(2100, 1, 1, tzinfo=UTC),
        )
    )

    assert sorted(_copies(container)) == ["a/1.csv", "b/c/3.csv"]
    assert run.xcom("s3_to_azure.report")["objects"] == 2


def test_batches_are_labelled_by_what_they_copy(bucket: Bucket, sync: Sync) -> None:
    """The UI shows folder, count and size, and a key that looks like a template is shown as it is."""
    bucket.put("in/{{ 6 * 7 }}/a", b"x" * 2048)
    bucket.put("in/{{ 6 * 7 }}/b", b"x" * 1024)

    run = run_dag(sync())

    assert run.labels("s3_to_azure.copy") == ["in/{{ 6 * 7 }}/ (2 objects, 3.0 KiB)"]


def test_several_syncs_live_in_one_dag(bucket: Bucket, container: ContainerClient) -> None:
    """Groups in groups keep their plans and ledgers apart."""
    bucket.put("a/1", b"1")
    bucket.put("b/2", b"2")
    sides: dict[str, Any] = {
        "s3_bucket": bucket.name,
        "container_name": container.container_name,
        "retries": 0,
    }
    with DAG(f"several_{container.container_name}") as dag, TaskGroup("nightly"):
        s3_to_azure_sync("first", s3_prefix="a/", **sides)
        s3_to_azure_sync("second", s3_prefix="b/", **sides)

    run = run_dag(dag)

    assert run.state == "success"
    assert _copies(container) == {"a/1": b"1", "b/2": b"2"}
    assert run.xcom("nightly.first.report")["copied"] == run.xcom("nightly.second.report")["copied"] == 1


def test_a_missing_bucket_fails_the_run_with_its_name(
    container: ContainerClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """The plan fails at once, and the report says that there was no plan."""
    with DAG(f"no_bucket_{container.container_name}") as dag:
        s3_to_azure_sync(s3_bucket="no-such-bucket", container_name=container.container_name, retries=0)

    run = run_dag(dag)

    assert run.state == "failed"
    out = capfd.readouterr()
    assert "there is no bucket 'no-such-bucket'" in out.out + out.err
    assert "made no plan, so nothing was copied" in out.out + out.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"include": "*.csv"}, "include is the text '*.csv'; it takes a list of globs"),
        ({"modified_since": "yesterday"}, "modified_since is 'yesterday'; it takes a time such as"),
        ({"modified_since": "2026-01-01"}, "without a time zone"),
        ({"strip_prefix": "x/"}, "strip_prefix 'x/' is not the beginning of s3_prefix ''"),
        ({"batch_objects": 0}, "batch_objects and batch_size must be at least 1"),
    ],
)
def test_bad_arguments_are_named(
    sync: Sync, capfd: pytest.CaptureFixture[str], arguments: dict[str, Any], message: str
) -> None:
    """A plan that cannot be made says which argument is wrong and what it takes."""
    run = run_dag(sync(**{"retries": 5, **arguments}))

    assert run.states()[("s3_to_azure.plan", -1)] == "failed"
    out = capfd.readouterr()
    assert message in out.out + out.err
