"""The operator, through Airflow's own task runner, against the S3 server and Azurite."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task

from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from tests.airflow_runs import run_dag

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]

MIB = 1024 * 1024
RESERVED = "blob name {!r} is refused: _s3_to_azure/ is where manifests and ledgers are"
RESERVED_NAMES = [
    "_s3_to_azure/dag/run/group/now/delete.jsonl",
    "/_s3_to_azure/x",
    "_S3_TO_AZURE/x",
    "%5fs3_to_azure/x",
]


def _dag(bucket: Bucket, container: ContainerClient, **arguments: Any) -> DAG:
    with DAG(f"one_{container.container_name}") as dag:
        S3ToAzureBlobStreamOperator(
            task_id="copy", s3_bucket=bucket.name, container_name=container.container_name, **arguments
        )
    return dag


def test_copies_an_object_and_reports_the_result(bucket: Bucket, container: ContainerClient) -> None:
    """One object of three blocks arrives byte for byte, and the XCom describes the copy."""
    body = random.Random(1).randbytes(2 * MIB + 5)
    etag = bucket.put("exports/a.bin", body, ChecksumAlgorithm="CRC64NVME", ContentType="application/x-thing")

    run = run_dag(_dag(bucket, container, s3_key="exports/a.bin", block_size=MIB, max_concurrency=2))

    assert run.state == "success"
    blob = container.get_blob_client("exports/a.bin")
    assert blob.download_blob().readall() == body
    assert blob.get_blob_properties().content_settings.content_type == "application/x-thing"
    result = run.xcom("copy")
    assert {name: result[name] for name in ("key", "blob", "status", "size", "blocks", "etag", "verified")} == {
        "key": "exports/a.bin",
        "blob": "exports/a.bin",
        "status": "copied",
        "size": len(body),
        "blocks": 3,
        "etag": etag,
        "verified": "crc64nvme",
    }
    assert result["bytes_read"] == len(body)
    assert result["blob_etag"].strip('"') == blob.get_blob_properties().etag.strip('"')
    assert len(json.dumps(result)) < 1000


def test_a_second_run_moves_nothing(bucket: Bucket, container: ContainerClient) -> None:
    """The record on the blob is enough to know that it is the same object."""
    bucket.put("a", b"x" * 1000)
    dag = _dag(bucket, container, s3_key="a")
    run_dag(dag)

    result = run_dag(dag).xcom("copy")

    assert (result["status"], result["bytes_read"]) == ("unchanged", 0)


def test_no_more_is_read_than_the_bandwidth_allows(bucket: Bucket, container: ContainerClient) -> None:
    """A limit of a MiB per second, from a template, makes three blocks of half a MiB take a second."""
    bucket.put("a", random.Random(2).randbytes(3 * MIB // 2))

    run = run_dag(_dag(bucket, container, s3_key="a", block_size=MIB // 2, max_bandwidth="{{ 1024 * 1024 }}"))

    result = run.xcom("copy")
    assert result["status"] == "copied"
    assert result["seconds"] > 1.0


def test_templates_name_source_and_destination(bucket: Bucket, container: ContainerClient) -> None:
    """Keys and prefixes are templated as users expect."""
    bucket.put("day=2026-01-01/a", b"x")

    run = run_dag(_dag(bucket, container, s3_key="day={{ ds }}/a", blob_prefix="landing/{{ ds_nodash }}/"))

    assert run.xcom("copy")["blob"] == "landing/20260101/day=2026-01-01/a"
    assert container.get_blob_client("landing/20260101/day=2026-01-01/a").exists()


def test_mapped_keys_are_never_rendered(bucket: Bucket, container: ContainerClient) -> None:
    """A key with template syntax is copied under its own name, not under what it would render to."""
    keys = ["plain", "{{ conn.aws_default.password }}", "{% raw %}", "{{ 6 * 7 }}"]
    for key in keys:
        bucket.put(key, key.encode())

    with DAG(f"mapped_{container.container_name}") as dag:

        @task
        def list_keys() -> list[str]:
            return keys

        S3ToAzureBlobStreamOperator.partial(
            task_id="copy", s3_bucket=bucket.name, container_name=container.container_name
        ).expand(s3_key=list_keys())
    run = run_dag(dag)

    assert run.state == "success"
    assert [run.xcom("copy", map_index=index)["key"] for index in range(len(keys))] == keys
    assert {blob.name: container.download_blob(blob.name).readall() for blob in container.list_blobs()} == {
        key: key.encode() for key in keys
    }


def test_mapped_tasks_are_labeled_by_their_key(bucket: Bucket, container: ContainerClient) -> None:
    """In printable characters, and short enough for Airflow's database; an author's own template is kept."""
    keys = ["in/a.csv", "in/\u202e::group::", "l" * 600]
    for key in keys:
        bucket.put(key, b"x")
    with DAG(f"labels_{container.container_name}") as dag:
        endpoints = {"s3_bucket": bucket.name, "container_name": container.container_name}
        S3ToAzureBlobStreamOperator.partial(task_id="copy", **endpoints).expand(s3_key=keys)
        S3ToAzureBlobStreamOperator.partial(task_id="own", map_index_template="mine", **endpoints).expand(
            s3_key=keys[:1]
        )

    run = run_dag(dag)

    assert run.labels("copy") == ["in/a.csv", r"in/\u202e:\x3agroup::", f"{'l' * 124}…{'l' * 125}"]
    assert run.labels("own") == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"s3_key": "missing"},
            "SourceNotFound: S3 returned 404",
        ),
        ({"s3_key": "a", "blob_name": "b", "blob_prefix": "c"}, "blob_name and blob_prefix are both given"),
        (
            {"s3_key": "a", "blob_name": "ends."},
            "blob name 'ends.' is refused: a blob name cannot end with '.'",
        ),
        *(({"s3_key": "a", "blob_name": name}, RESERVED.format(name)) for name in RESERVED_NAMES),
        ({"s3_key": "azure/x", "blob_prefix": "_s3_to_"}, RESERVED.format("_s3_to_azure/x")),
        ({"s3_key": "_s3_to_azure/x"}, RESERVED.format("_s3_to_azure/x")),
        ({"s3_key": "../finance/x"}, "blob name '../finance/x' is refused: Azure resolves the path segments '.'"),
        ({"s3_key": ""}, "s3_key is empty"),
        ({"s3_key": "a", "archived": "{{ 'thaw' }}"}, "archived is 'thaw'; it takes 'skip', 'fail' or 'restore'"),
        (
            {"s3_key": "a", "archived": "restore", "restore_tier": "{{ 'Fast' }}"},
            "restore_tier is 'Fast'; it takes 'Bulk', 'Standard' or 'Expedited'",
        ),
        (
            {"s3_key": "a", "archived": "restore", "restore_days": "{{ 0 }}"},
            "restore_days is '0'; it takes at least 1 day",
        ),
        ({"s3_key": "a", "aws_conn_id": "nope"}, "there is no Airflow connection 'nope' (aws_conn_id)"),
        ({"s3_key": "a", "wasb_conn_id": "nope"}, "there is no Airflow connection 'nope' (wasb_conn_id)"),
    ],
)
def test_what_no_retry_can_fix_fails_at_once(
    bucket: Bucket,
    container: ContainerClient,
    capfd: pytest.CaptureFixture[str],
    arguments: dict[str, Any],
    message: str,
) -> None:
    """Bad input fails the task although it has retries left, and the log names the remedy."""
    bucket.put("a", b"x")

    run = run_dag(_dag(bucket, container, retries=5, **arguments))

    assert run.states() == {("copy", -1): "failed"}
    out = capfd.readouterr()
    assert message.format(bucket=bucket.name, container=container.url) in out.out + out.err
    assert list(container.list_blobs()) == []


@pytest.mark.parametrize("kind", ["bucket", "container"])
def test_a_missing_bucket_or_container_is_named(
    bucket: Bucket, container: ContainerClient, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    """A missing bucket or container is an error of its own, at once."""
    bucket.put("a", b"x")
    names: dict[str, Any] = {"s3_bucket": bucket.name, "container_name": container.container_name, "s3_key": "a"}
    names |= {"s3_bucket": "no-such-bucket"} if kind == "bucket" else {"container_name": "no-such-container"}
    with DAG(f"missing_{kind}_{container.container_name}") as dag:
        S3ToAzureBlobStreamOperator(task_id="copy", **names)

    run = run_dag(dag)

    assert run.state == "failed"
    out = capfd.readouterr()
    assert f"there is no {kind} 'no-such-{kind}'" in out.out + out.err


def test_overwrite_off_leaves_a_blob_alone(bucket: Bucket, container: ContainerClient) -> None:
    """An existing blob is skipped with the reason, not replaced and not an error."""
    bucket.put("a", b"new")
    container.upload_blob("a", b"old")

    result = run_dag(_dag(bucket, container, s3_key="a", overwrite=False)).xcom("copy")

    assert (result["status"], result["reason"]) == ("skipped", "the blob exists and overwrite is off")
    assert container.download_blob("a").readall() == b"old"


def test_create_container_creates_it(bucket: Bucket, container: ContainerClient) -> None:
    """With create_container the destination need not exist."""
    bucket.put("a", b"x")
    name = container.container_name + "-new"
    with DAG(f"create_{name}") as dag:
        S3ToAzureBlobStreamOperator(
            task_id="copy", s3_bucket=bucket.name, s3_key="a", container_name=name, create_container=True
        )

    assert run_dag(dag).xcom("copy")["status"] == "copied"
